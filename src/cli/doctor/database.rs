//! What the database tells.

use tokio_postgres::Client;

use super::zones;
use crate::cli::session;
use crate::clock;
use crate::listen;
use crate::message::Moment;
use crate::store::doctor::{self, Finding, Level};
use crate::store::{Dsn, Migrator, StoreError};

/// Beyond this the machine's clock is worth a word. The daemon goes by the database's all the
/// same.
const CLOCK_OFF_US: i64 = 2_000_000;

pub(super) async fn check(url: &str) -> Vec<Finding> {
    let dsn = match Dsn::parse(url) {
        Ok(dsn) => dsn,
        Err(e) => {
            let remedy = "use postgres://USER:PASSWORD@HOST:5432/DATABASE";
            return vec![Finding::not(Level::Bad, "database", e.to_string(), remedy)];
        }
    };
    let mut findings = Vec::new();
    if let Some(warning) = dsn.warning() {
        findings.push(pooler(Level::Warn, warning.to_owned()));
    }
    let looked = session::with(&dsn, async |client| Ok(look(client, &dsn).await)).await;
    match looked {
        Ok(more) => findings.extend(more),
        Err(e) => findings.push(Finding::not(
            Level::Bad,
            "database",
            format!("{e:#}"),
            "check DATABASE_URL, and that the server can be reached from here",
        )),
    }
    findings
}

fn pooler(level: Level, found: String) -> Finding {
    Finding::not(
        level,
        "connection mode",
        found,
        "on Supabase take the direct connection or the session pooler, port 5432",
    )
}

async fn look(client: &Client, dsn: &Dsn) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("database", format!("connected to {dsn}"))];
    findings.push(match listen::prove(dsn).await {
        Ok(()) => Finding::ok("connection mode", "notices come through"),
        Err(e) => pooler(Level::Bad, e.to_string()),
    });
    findings.push(time(client).await.unwrap_or_else(|e| failed("clock", &e)));
    let migrator = Migrator::embedded();
    let catalog = doctor::catalog(client, &migrator.triggers()).await;
    findings.extend(or_why("catalog", catalog));
    match migrator.check(dsn).await {
        Ok(()) => {
            findings.push(Finding::ok("schema", "the one this version needs"));
            let indexes = doctor::indexes(client).await;
            findings.push(indexes.unwrap_or_else(|e| failed("indexes", &e)));
            findings.extend(or_why("rows", doctor::rows(client).await));
            findings.push(match doctor::zones(client).await {
                Ok(named) => zones::unknown(&named),
                Err(e) => failed("zones", &e),
            });
        }
        Err(e) => findings.push(failed("schema", &e)),
    }
    findings
}

fn or_why(what: &str, looked: Result<Vec<Finding>, StoreError>) -> Vec<Finding> {
    looked.unwrap_or_else(|e| vec![failed(what, &e)])
}

/// The error says what to do by itself.
fn failed(what: &str, error: &dyn std::error::Error) -> Finding {
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
            format!("the database's is {off} µs from this machine's"),
        )
    } else {
        let found = format!(
            "the database's is {} s from this machine's",
            off / 1_000_000
        );
        let remedy = "messages leave by the database's clock; let a time daemon set both";
        Finding::not(Level::Warn, WHAT, found, remedy)
    })
}
