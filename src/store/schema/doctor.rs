//! The checks of `punctual doctor` that read the database. Changes nothing.

use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::faults::{self, Fault};
use super::migrate::triggers::columns;
use super::migrate::{Trigger, indexes};
use crate::message::Moment;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{MigrateError, StoreError};

const SERVER: &str = sql!("sql/doctor_server.sql");
const TABLES: &str = sql!("sql/doctor_tables.sql");
const COLUMNS: &str = sql!("sql/doctor_columns.sql");
const ROWS: &str = sql!("sql/doctor_rows.sql");
const HAS_CRON: &str = sql!("sql/doctor_has_cron.sql");
const CRON: &str = sql!("sql/doctor_cron.sql");
const ZONES: &str = sql!("sql/doctor_zones.sql");
const HAS_USER_ZONES: &str = sql!("sql/doctor_has_user_zones.sql");
const USER_ZONES: &str = sql!("sql/doctor_user_zones.sql");
const NOW: &str = sql!("../path/sql/now.sql");

/// Indexes that every message needs.
const ON_THE_WAY: [&str; 2] = ["scheduled_messages_due_idx", "scheduled_messages_open_idx"];

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but the operator should know.
    Warn,
    /// It does not work, or not safely.
    Bad,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub what: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do, if it is not ok.
    pub remedy: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(what: &str, found: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            level: Level::Ok,
            found: found.into(),
            remedy: String::new(),
        }
    }

    /// Not as it should be.
    pub fn not(level: Level, what: &str, found: impl Into<String>, remedy: &str) -> Self {
        Self {
            what: what.to_owned(),
            level,
            found: found.into(),
            remedy: remedy.to_owned(),
        }
    }
}

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

/// Findings from the catalog and the server's settings. `triggers`: all that should exist.
pub async fn catalog(
    client: &Client,
    triggers: &[Trigger<'_>],
) -> Result<Vec<Finding>, StoreError> {
    let (names, tables, optional) = columns(triggers);
    let mut findings = ask(client, SERVER, &[]).await?;
    findings.extend(ask(client, TABLES, &[&names, &tables, &optional]).await?);
    findings.extend(ask(client, COLUMNS, &[]).await?);
    findings.push(cron(client).await?);
    Ok(findings)
}

/// What keeps messages from being found or claimed. Needs the schema.
pub async fn path(client: &Client) -> Result<Vec<Finding>, StoreError> {
    let mut faults = faults::of_catalog(client).await?;
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

/// Findings from the rows. Needs the schema.
pub async fn rows(client: &Client) -> Result<Vec<Finding>, StoreError> {
    ask(client, ROWS, &[]).await
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

async fn said(client: &Client, whose: &'static str, sql: &str) -> Result<Vec<Said>, StoreError> {
    const STEP: &str = "reading zones";
    let rows = client.query(sql, &[]).await;
    rows.map_err(StoreError::at(STEP))?
        .iter()
        .map(|row| {
            let (zone, times) = (row.try_get("zone")?, row.try_get("n")?);
            Ok(Said { whose, zone, times })
        })
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))
}

async fn truth(client: &Client, sql: &str, step: &'static str) -> Result<bool, StoreError> {
    let row = client.query_one(sql, &[]).await;
    let row = row.map_err(StoreError::at(step))?;
    row.try_get(0).map_err(StoreError::unreadable(step))
}

/// The database's clock.
pub async fn database_time(client: &Client) -> Result<Moment, StoreError> {
    const STEP: &str = "reading the database's clock";
    let row = client.query_one(NOW, &[]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    let now: PgTimestamp = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
    Ok(now.0)
}

async fn ask(
    client: &Client,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Finding>, StoreError> {
    const STEP: &str = "checking the database";
    let rows = client.query(sql, params).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    rows.iter()
        .map(|row| {
            let what = row.try_get("what")?;
            let Some(found) = row.try_get::<_, Option<String>>("found")? else {
                return Ok(Finding::ok(what, row.try_get::<_, String>("fine")?));
            };
            let level = match row.try_get("level")? {
                "warn" => Level::Warn,
                _ => Level::Bad,
            };
            Ok(Finding::not(level, what, found, row.try_get("remedy")?))
        })
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))
}

/// Another sender on the table would text every recipient twice.
async fn cron(client: &Client) -> Result<Finding, StoreError> {
    const STEP: &str = "looking for other senders";
    const WHAT: &str = "other senders";
    if !truth(client, HAS_CRON, STEP).await? {
        return Ok(Finding::ok(WHAT, "no pg_cron job found"));
    }
    let jobs = client.query(CRON, &[]).await;
    let jobs: Vec<String> = jobs
        .map_err(StoreError::at(STEP))?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))?;
    if jobs.is_empty() {
        return Ok(Finding::ok(WHAT, "no pg_cron job names scheduled_messages"));
    }
    Ok(Finding::not(
        Level::Warn,
        WHAT,
        format!("pg_cron job {} names scheduled_messages", jobs.join(", ")),
        "if it sends messages, every recipient is texted twice: select cron.unschedule(jobid)",
    ))
}
