//! The checks of `punctual doctor` that read the database. They change nothing, and each statement has a time limit:
//! a table may be large, and an index may be missing.

mod app;
mod engine;
mod finding;
mod planner;
mod senders;
mod sources;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::faults::{self, Fault};
use super::migrate::triggers::columns;
use super::migrate::{MigrateError, Trigger, indexes, role};
use crate::message::{MessageId, Moment};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError};
use crate::version::VERSION;

pub use app::app;
pub use engine::engine;
pub use finding::{Finding, Level};
pub use planner::planner;
pub use senders::{Busiest, Named, busiest, senders};
pub use sources::sources;

static SESSION: &Sql = sql!("sql/doctor_session.sql");
static BY_KEY: &Sql = sql!("sql/doctor_by_key.sql");
static SERVER: &Sql = sql!("sql/doctor_server.sql");
static SETTINGS: &Sql = sql!("sql/doctor_settings.sql");
static TABLES: &Sql = sql!("sql/doctor_tables.sql");
static TRIGGERS: &Sql = sql!("sql/doctor_triggers.sql");
static ACCESS: &Sql = sql!("sql/doctor_access.sql");
static DEFINERS: &Sql = sql!("sql/doctor_definers.sql");
static COLUMNS: &Sql = sql!("sql/doctor_columns.sql");
static DAEMON_ROLES: &Sql = sql!("sql/doctor_daemon_roles.sql");
static INSTANCES: &Sql = sql!("sql/doctor_instances.sql");
static ROWS: &Sql = sql!("sql/doctor_rows.sql");
static FAILED: &Sql = sql!("sql/doctor_failed.sql");
static NEXT: &Sql = sql!("sql/doctor_next.sql");
static HAS_CRON: &Sql = sql!("sql/doctor_has_cron.sql");
static CRON: &Sql = sql!("sql/doctor_cron.sql");
static ZONES: &Sql = sql!("sql/doctor_zones.sql");
static HAS_USER_ZONES: &Sql = sql!("sql/doctor_has_user_zones.sql");
static USER_ZONES: &Sql = sql!("sql/doctor_user_zones.sql");
static NOW: &Sql = sql!("../session/sql/now.sql");

/// Indexes that every message needs.
const ON_THE_WAY: [&str; 2] = ["scheduled_messages_due_idx", "scheduled_messages_open_idx"];

/// A time zone as written in a table, with its number of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its source: `messages` or `users`.
    pub whose: &'static str,
    /// As written.
    pub zone: String,
    /// The number of rows.
    pub times: i64,
}

/// The time zones in the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    /// Each as written.
    pub said: Vec<Said>,
    /// Whether this role may read those of the users.
    pub of_users_too: bool,
}

/// Makes a session one of doctor's.
pub async fn prepare(client: &Client) -> Result<(), StoreError> {
    let set = client.batch_execute(SESSION.text()).await;
    set.map_err(StoreError::at("setting a time limit"))
}

/// Findings from the catalog and the server's settings. `triggers`: all that should exist.
pub async fn catalog(client: &Client, triggers: &[Trigger<'_>]) -> Vec<Finding> {
    let (names, tables, optional) = columns(triggers);
    let mut findings = ask(client, "server", SERVER, &[]).await;
    findings.extend(ask(client, "server settings", SETTINGS, &[]).await);
    findings.extend(ask(client, "tables", TABLES, &[&names, &tables, &optional]).await);
    findings.extend(ask(client, "app triggers", TRIGGERS, &[]).await);
    findings.extend(ask(client, "who may", ACCESS, &[]).await);
    findings.extend(ask(client, "definer functions", DEFINERS, &[]).await);
    findings.extend(ask(client, "columns", COLUMNS, &[]).await);
    findings.push(cron(client).await);
    findings
}

/// What prevents messages from being found or claimed. Needs the schema.
pub async fn path(client: &Client) -> Result<Vec<Finding>, StoreError> {
    let mut faults = faults::of_catalog(client, true).await?;
    // Triggers have a line of their own.
    faults.retain(|fault| fault.what != "triggers");
    faults.extend(faults::of_statements(client).await);
    if faults.is_empty() {
        return Ok(vec![Finding::ok("sending path", "nothing in the way")]);
    }
    let finding = |fault: Fault| {
        let level = if fault.is_certain {
            Level::Bad
        } else {
            Level::Warn
        };
        Finding::not(level, &fault.what, fault.found, &fault.remedy)
    };
    Ok(faults.into_iter().map(finding).collect())
}

/// Makes the session's further statements use indexes: for those on rows.
pub async fn by_key(client: &Client) -> Result<(), StoreError> {
    let set = client.batch_execute(BY_KEY.text()).await;
    set.map_err(StoreError::at("setting how rows are found"))
}

/// What the roles of daemons lack (this session's is checked with the schema) or have in excess. Needs the schema.
pub async fn daemon_roles(client: &Client) -> Result<Finding, MigrateError> {
    const WHAT: &str = "daemon role";
    let rows = client.query(DAEMON_ROLES.text(), &[]).await;
    let (mut lacking, mut excessive, mut remedies) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows.map_err(MigrateError::Record)? {
        let name: String = row.try_get("rolname").map_err(MigrateError::Record)?;
        let is_own: bool = row.try_get("is_own").map_err(MigrateError::Record)?;
        let lacks = if is_own {
            Vec::new()
        } else {
            role::lacks(client, &name).await?
        };
        let excess = role::excess(client, &name).await?;
        if !lacks.is_empty() || !excess.is_empty() {
            remedies.push(format!("punctual migrate --role {name}"));
        }
        if !lacks.is_empty() {
            lacking.push(format!("{name} lacks {}", lacks.join("; ")));
        }
        if !excess.is_empty() {
            excessive.push(format!(
                "{name} has more rights than it needs: {}",
                excess.join("; ")
            ));
        }
    }
    let remedies = remedies.join("; ");
    if !lacking.is_empty() {
        let remedy = format!("a daemon of this role does not start: {remedies}");
        lacking.append(&mut excessive);
        let found = lacking.join("; ");
        return Ok(Finding::not(Level::Bad, WHAT, found, &remedy));
    }
    if !excessive.is_empty() {
        let remedy = format!(
            "anyone with its password can delete or change the record of what was sent: {remedies}"
        );
        let found = excessive.join("; ");
        return Ok(Finding::not(Level::Warn, WHAT, found, &remedy));
    }
    Ok(Finding::ok(WHAT, "has the rights it needs, and no others"))
}

/// Who sends, of which version, and how punctually. `timezone` and `sender`, the default one: this program's,
/// if its settings are valid. Needs the schema.
pub async fn instances(
    client: &Client,
    timezone: Option<&str>,
    sender: Option<&str>,
) -> Vec<Finding> {
    ask(client, "daemon", INSTANCES, &[&VERSION, &timezone, &sender]).await
}

/// Findings from the rows. `sender`: the default one. Needs the schema.
pub async fn rows(client: &Client, sender: Option<&str>) -> Vec<Finding> {
    let mut findings = ask(client, "rows", ROWS, &[&sender]).await;
    findings.extend(ask(client, "failed", FAILED, &[]).await);
    findings
}

/// One of the next messages.
pub struct Next {
    /// Which one.
    pub id: MessageId,
    /// Its sender is its recipient.
    pub is_to_itself: bool,
}

/// The next 1,000 messages. `sender`: the default one. Needs the schema.
pub async fn next(client: &Client, sender: Option<&str>) -> Result<Vec<Next>, StoreError> {
    const STEP: &str = "reading the next messages";
    let rows = client.query(NEXT.text(), &[&sender]).await;
    let read = |row: &Row| {
        Ok(Next {
            id: MessageId(row.try_get("id")?),
            is_to_itself: row.try_get("is_to_itself")?,
        })
    };
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(read).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
}

/// Missing indexes. Needs the schema.
pub async fn indexes(client: &Client) -> Result<Finding, MigrateError> {
    const WHAT: &str = "indexes";
    let lost = indexes::lost(client).await?;
    // The unique index of `dedup_key` is another check.
    let lost: Vec<String> = lost.into_iter().filter(|i| !i.ends_with("_key")).collect();
    if lost.is_empty() {
        return Ok(Finding::ok(WHAT, "all in place"));
    }
    let level = if lost.iter().any(|name| ON_THE_WAY.contains(&&**name)) {
        Level::Bad
    } else {
        Level::Warn
    };
    Ok(Finding::not(
        level,
        WHAT,
        format!("{} missing or invalid", lost.join(", ")),
        "statements read whole tables instead: run `punctual migrate` as the tables' owner",
    ))
}

/// The zones of the next messages and of the users. Needs the schema.
pub async fn zones(client: &Client) -> Result<Zones, StoreError> {
    let mut said = said(client, "messages", ZONES).await?;
    let of_users_too = truth(client, HAS_USER_ZONES, "looking for the users' zones").await?;
    if of_users_too {
        said.extend(self::said(client, "users", USER_ZONES).await?);
    }
    Ok(Zones { said, of_users_too })
}

async fn said(
    client: &Client,
    whose: &'static str,
    sql: &'static Sql,
) -> Result<Vec<Said>, StoreError> {
    const STEP: &str = "reading zones";
    let rows = client.query(sql.text(), &[]).await;
    rows.map_err(StoreError::at(STEP))?
        .iter()
        .map(|row| {
            let (zone, times) = (row.try_get("zone")?, row.try_get("n")?);
            Ok(Said { whose, zone, times })
        })
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))
}

async fn truth(client: &Client, sql: &'static Sql, step: &'static str) -> Result<bool, StoreError> {
    let row = client.query_one(sql.text(), &[]).await;
    let row = row.map_err(StoreError::at(step))?;
    row.try_get(0).map_err(StoreError::unreadable(step))
}

/// The database's clock.
pub async fn database_time(client: &Client) -> Result<Moment, StoreError> {
    const STEP: &str = "reading the database's clock";
    let row = client.query_one(NOW.text(), &[]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    let now: PgTimestamp = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
    Ok(now.0)
}

/// A statement's findings; one that fails is a finding of its own, under the name of its group.
async fn ask(
    client: &Client,
    group: &str,
    sql: &'static Sql,
    params: &[&(dyn ToSql + Sync)],
) -> Vec<Finding> {
    let rows = client.query(sql.text(), params).await;
    let read = rows.and_then(|rows| rows.iter().map(Finding::read).collect());
    read.unwrap_or_else(|error| vec![failed(group, error)])
}

/// What is unknown for lack of time is not a fault.
fn failed(group: &str, error: tokio_postgres::Error) -> Finding {
    if error.code() == Some(&SqlState::QUERY_CANCELED) {
        let remedy =
            "run it when the server has less to do; `indexes` shows whether one is missing";
        return Finding::not(Level::Warn, group, "not checked: it took over 10 s", remedy);
    }
    let error = StoreError::at("checking the database")(error);
    Finding::not(Level::Bad, group, error.to_string(), "")
}

/// Another sender on the table would text every recipient twice.
async fn cron(client: &Client) -> Finding {
    const WHAT: &str = "other senders";
    let read = |row: &Row| Ok((row.try_get("job")?, row.try_get("does")?));
    let jobs: Result<Vec<(String, String)>, _> = match client.query_one(HAS_CRON.text(), &[]).await
    {
        Ok(row) => match row.try_get(0) {
            Ok(true) => {
                let rows = client.query(CRON.text(), &[]).await;
                rows.and_then(|rows| rows.iter().map(read).collect())
            }
            Ok(false) => return Finding::ok(WHAT, "no pg_cron job found"),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let jobs = match jobs {
        Ok(jobs) if jobs.is_empty() => {
            return Finding::ok(
                WHAT,
                "no pg_cron job names scheduled_messages or sends texts",
            );
        }
        Ok(jobs) => jobs,
        Err(error) => return failed(WHAT, error),
    };
    let jobs = jobs
        .iter()
        .map(|(job, does)| format!("pg_cron job {job} {does}"));
    Finding::not(
        Level::Warn,
        WHAT,
        jobs.collect::<Vec<_>>().join("; "),
        "if it sends messages, every recipient is texted twice: select cron.unschedule(jobid)",
    )
}
