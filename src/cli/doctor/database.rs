//! Checks of the database: connection, clock, catalog, schema, rows.

use std::time::Duration;

use tokio_postgres::Client;

use super::{next, senders, zones};
use crate::cli::{once, session};
use crate::clock;
use crate::config::{Changes, Config, Database};
use crate::limits::daemon::ChannelLimits;
use crate::listen;
use crate::message::{Moment, Sender, counted};
use crate::plan::reminders::TEMPLATE;
use crate::reactor::report::Remark;
use crate::schedule::ROUND_TRIP_MAX;
use crate::schedule::offset::JUMP_US;
use crate::store::doctor::{self, Finding, Level};
use crate::store::forecast;
use crate::store::{Dsn, MigrateError, Migrator, StoreError};

/// With a larger difference between the clocks a daemon does not start to send.
const CLOCK_OFF_US: i64 = JUMP_US;

/// With more of the log kept for change feeds, something is wrong, and the disk may fill up.
const KEPT_MAX: u64 = 1 << 30;

/// Round trips measured: the shortest was delayed by nothing else.
const ROUND_TRIPS: usize = 3;

pub(super) async fn check(database: &Database, config: Option<&Config>) -> Vec<Finding> {
    let dsn = match database.dsn() {
        Ok(dsn) => dsn,
        Err(e) => {
            let remedy = "use postgres://USER:PASSWORD@HOST:5432/DATABASE";
            return vec![Finding::not(Level::Bad, "database", e.to_string(), remedy)];
        }
    };
    let mut findings = vec![encryption(&dsn)];
    if let Some(warning) = dsn.pooler_warning() {
        findings.push(pooler(Level::Warn, warning.to_owned()));
    }
    let ignored = dsn.warnings().iter().cloned();
    findings.extend(ignored.map(|found| {
        let remedy = "remove it from DATABASE_URL or the environment";
        Finding::not(Level::Warn, "connection string", found, remedy)
    }));
    let dsn = dsn.for_doctor();
    let looked = session::with(&dsn, async |client| {
        Ok(look(client, &dsn, database, config).await)
    });
    let looked = looked.await;
    match looked {
        Ok(more) => findings.extend(more),
        Err(e) => findings.push(Finding::not(
            Level::Bad,
            "database",
            once(&e),
            "check DATABASE_URL, and that the server is reachable from here",
        )),
    }
    findings
}

fn encryption(dsn: &Dsn) -> Finding {
    const WHAT: &str = "encryption";
    let found = format!("sslmode={}", dsn.sslmode());
    match dsn.sslmode() {
        _ if dsn.is_local() => Finding::ok(WHAT, format!("{found}, on this machine")),
        "disable" => Finding::not(
            Level::Bad,
            WHAT,
            "sslmode=disable to another host: password, numbers and texts cross the network unencrypted",
            "use sslmode=verify-full, or remove the parameter",
        ),
        "prefer" => Finding::not(
            Level::Warn,
            WHAT,
            format!("{found}: anyone in between can make the connection unencrypted"),
            "use sslmode=verify-full, or remove the parameter",
        ),
        _ => Finding::ok(WHAT, found),
    }
}

fn pooler(level: Level, found: String) -> Finding {
    Finding::not(
        level,
        "connection mode",
        found,
        "on Supabase use the direct connection or the session pooler, port 5432; or set PUNCTUAL_CHANGES=poll",
    )
}

/// How a daemon would learn of changes here.
async fn connection_mode(dsn: &Dsn, every: Duration) -> Finding {
    const WHAT: &str = "connection mode";
    if !dsn.is_polled() {
        return match listen::prove(dsn, &ChannelLimits::default()).await {
            Ok(()) => Finding::ok(WHAT, "LISTEN/NOTIFY works"),
            Err(e) => pooler(Level::Bad, e.to_string()),
        };
    }
    match listen::check_polled(dsn).await {
        Ok(()) => Finding::ok(
            WHAT,
            format!(
                "{}, every {every:?}: what is scheduled, moved or cancelled is found within that; what is known is sent at \
                 its exact moment. Other daemons, drafts and the planner's changes are noticed within {:?}. Each statement \
                 is sent and planned with each use",
                Remark::POLLED_TEXT,
                ChannelLimits::default().proof_every
            ),
        ),
        // It says what to do.
        Err(e) => failed(WHAT, &e),
    }
}

/// Whether a daemon would have a change feed here, and how much of the log is kept for those that run.
async fn change_feed(dsn: &Dsn) -> Finding {
    const WHAT: &str = "change feed";
    let condition = match listen::check_fed(dsn).await {
        Ok(condition) => condition,
        // It says what to do.
        Err(e) => return failed(WHAT, &e),
    };
    let slots = usize::try_from(condition.slots).unwrap_or(usize::MAX);
    let slots = counted(slots, "slot", "slots");
    let found = format!(
        "{slots}, for which {} MiB of the log are kept",
        condition.kept >> 20
    );
    if condition.free == 0 {
        return Finding::not(
            Level::Warn,
            WHAT,
            format!("{found}; there is room for no more"),
            "raise max_replication_slots and max_wal_senders: beside another's slot a daemon without one hears nothing",
        );
    }
    if condition.kept > KEPT_MAX {
        return Finding::not(
            Level::Warn,
            WHAT,
            found,
            "a daemon does not keep up, or a transaction has been open for long; stop the daemon, and its slot is gone; \
             max_slot_wal_keep_size bounds what is kept",
        );
    }
    Finding::ok(WHAT, found)
}

async fn look(
    client: &Client,
    dsn: &Dsn,
    database: &Database,
    config: Option<&Config>,
) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("database", format!("connected to {dsn}"))];
    // Otherwise each transaction has the time limits.
    if !dsn.is_polled()
        && let Err(e) = doctor::prepare(client).await
    {
        findings.push(failed("database", &e));
        return findings;
    }
    let engine = doctor::engine(client).await;
    findings.push(engine.unwrap_or_else(|e| failed("engine", &e)));
    findings.push(connection_mode(dsn, database.poll_every).await);
    if database.changes == Changes::Feed {
        findings.push(change_feed(dsn).await);
    }
    findings.push(time(client).await.unwrap_or_else(|e| failed("clock", &e)));
    findings.push(
        distance(client)
            .await
            .unwrap_or_else(|e| failed("distance", &e)),
    );
    let migrator = Migrator::embedded();
    let schema = migrator.check(dsn).await;
    if let Err(
        e @ (MigrateError::NoSchema { .. }
        | MigrateError::Elsewhere { .. }
        | MigrateError::Apart { .. }
        | MigrateError::UsedWith { .. }),
    ) = &schema
    {
        // The other checks would only say what follows from it.
        findings.push(failed("schema", e));
        return findings;
    }
    let mut catalog = doctor::catalog(client, &migrator.triggers()).await;
    if matches!(&schema, Err(MigrateError::Behind { file }) if !file.starts_with("triggers/")) {
        // Without the tables, missing triggers are not a problem of their own.
        catalog.retain(|finding| finding.what != "triggers");
    }
    findings.extend(catalog);
    if !matches!(&schema, Err(MigrateError::Behind { .. })) {
        findings.extend(or_why("sending path", doctor::path(client).await));
        let role = doctor::daemon_roles(client).await;
        findings.push(role.unwrap_or_else(|e| failed("daemon role", &e)));
    }
    match schema {
        Ok(()) => {
            findings.push(Finding::ok("schema", "up to date"));
            findings.extend(data(client, dsn, config).await);
        }
        Err(e) => findings.push(failed("schema", &e)),
    }
    findings
}

/// What the rows show, and who works with them.
async fn data(client: &Client, dsn: &Dsn, config: Option<&Config>) -> Vec<Finding> {
    let indexes = doctor::indexes(client).await;
    let mut findings = vec![indexes.unwrap_or_else(|e| failed("indexes", &e))];
    // Otherwise the session is not its own: the planner decides, and the time limits hold.
    if !dsn.is_polled()
        && let Err(e) = doctor::by_key(client).await
    {
        findings.push(failed("rows", &e));
        return findings;
    }
    let timezone = config.and_then(|config| config.timezone.iana_name());
    let sender = config.and_then(|config| config.default_sender.as_ref());
    findings.extend(doctor::instances(client, timezone, sender.map(Sender::as_str)).await);
    findings.push(account(client, config).await);
    findings.extend(doctor::rows(client, sender.map(Sender::as_str)).await);
    let sources = config.map(|config| config.sources.iter().map(|s| s.name.clone()));
    let sources: Option<Vec<String>> = sources.map(Iterator::collect);
    findings.extend(doctor::sources(client, sources.as_deref()).await);
    let described = config.map(|config| config.app_tables.is_some());
    findings.extend(doctor::app(client, described).await);
    let planner = config.map(|config| &config.planner);
    let wanted = planner.map(|planner| planner.enabled == Some(true));
    let template = planner.map_or(TEMPLATE, |planner| planner.planning.template.as_str());
    findings.extend(doctor::planner(client, wanted, template).await);
    let assumed = session::assumed_of(config);
    findings.extend(next::check(client, sender.map(Sender::as_str), &assumed).await);
    findings.push(match doctor::senders(client).await {
        Ok(senders) => senders::unusable(&senders, config.map(|_| &assumed)),
        Err(e) => failed("senders", &e),
    });
    if let Some(config) = config {
        findings.extend(senders::rates(client, config).await);
    }
    match doctor::zones(client).await {
        Ok(zones) => findings.extend([zones::unknown(&zones), zones::without_summer(&zones)]),
        Err(e) => findings.push(failed("zones", &e)),
    }
    findings
}

/// Whether a provider refuses an account, by what the instances that run have published.
async fn account(client: &Client, config: Option<&Config>) -> Finding {
    const WHAT: &str = "account";
    let assumed = session::assumed_of(config);
    let around = match forecast::surroundings(client, &assumed).await {
        Ok(around) => around,
        Err(e) => return failed(WHAT, &e),
    };
    let lanes = around.instances.iter().filter_map(|one| one.state.as_ref());
    let refused = lanes.flat_map(|state| &state.lanes).find_map(|lane| {
        let refused = lane.refused.as_ref()?;
        Some((lane, refused))
    });
    let Some((lane, refused)) = refused else {
        return Finding::ok(
            WHAT,
            "no provider refuses one, as far as a running daemon says",
        );
    };
    let code = refused.code.map(|code| format!(", code {code}"));
    let found = format!(
        "the provider has refused {}/{} since {} ({}{}): its messages wait",
        lane.account,
        lane.channel,
        refused.since,
        refused.category.replace('_', " "),
        code.unwrap_or_default()
    );
    Finding::not(
        Level::Bad,
        WHAT,
        found,
        "correct the credentials or the account; the daemon tries one message from time to time, and goes on by itself",
    )
}

pub(super) fn or_why(what: &str, looked: Result<Vec<Finding>, StoreError>) -> Vec<Finding> {
    looked.unwrap_or_else(|e| vec![failed(what, &e)])
}

/// The error itself says what to do.
pub(super) fn failed(what: &str, error: &dyn std::error::Error) -> Finding {
    Finding::not(Level::Bad, what, error.to_string(), "")
}

async fn time(client: &Client) -> Result<Finding, StoreError> {
    const WHAT: &str = "clock";
    let before = clock::reading();
    let database = doctor::database_time(client).await?;
    let after = clock::reading();
    let middle = before.real_us.midpoint(after.real_us);
    let off = database.micros_from(Moment::from_micros(middle));
    Ok(if off.abs() < CLOCK_OFF_US {
        Finding::ok(
            WHAT,
            format!("database clock differs by {}", milliseconds(off)),
        )
    } else {
        let found = format!("database clock differs by {}", milliseconds(off));
        let remedy = "messages are sent by the database's clock, and a daemon waits until this host's agrees within \
                      1 s: run a time daemon on both machines; if the database's is right: punctual run --accept-clock";
        Finding::not(Level::Warn, WHAT, found, remedy)
    })
}

/// How long a statement is on its way, as a claim is.
async fn distance(client: &Client) -> Result<Finding, StoreError> {
    const WHAT: &str = "distance";
    let mut least = Duration::MAX;
    for _ in 0..ROUND_TRIPS {
        let before = clock::reading();
        doctor::database_time(client).await?;
        least = least.min(clock::reading().up.since(before.up));
    }
    let us = i64::try_from(least.as_micros()).unwrap_or(i64::MAX);
    let found = format!("a round trip to the database takes {}", milliseconds(us));
    Ok(if least <= ROUND_TRIP_MAX {
        Finding::ok(WHAT, found)
    } else {
        let remedy = "messages sent from here are late: a message is claimed no more than 50 ms before it is due, so that it \
                      can be changed until then. Run the daemon nearer to its database";
        Finding::not(Level::Warn, WHAT, found, remedy)
    })
}

fn milliseconds(us: i64) -> String {
    format!("{}.{} ms", us / 1_000, (us % 1_000).abs() / 100)
}
