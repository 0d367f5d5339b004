//! `punctual doctor`.

use std::fmt::Write as _;

use anyhow::bail;
use secrecy::ExposeSecret;
use tokio_postgres::Client;

use super::{output, session};
use crate::clock;
use crate::config::{self, Config, Sources};
use crate::message::Moment;
use crate::store::doctor::{self, Finding, Level};
use crate::store::{Dsn, Migrator};

/// Beyond this the machine's clock is worth a word. The daemon goes by the database's all the
/// same.
const CLOCK_OFF_US: i64 = 2_000_000;

/// Checks what newcomers get wrong, from the settings to the triggers; exit code 1 if anything is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  punctual doctor")]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let mut findings = settings(sources);
    if let Ok(url) = config::database_url(sources) {
        findings.extend(database(url.expose_secret()).await);
    }
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&findings)?)
    } else {
        tell(&findings)
    };
    output::print(&text)?;
    let bad = findings.iter().filter(|f| f.level == Level::Bad).count();
    if bad > 0 {
        bail!("{bad} of {} checks found something wrong", findings.len());
    }
    Ok(())
}

fn settings(sources: &Sources) -> Vec<Finding> {
    match Config::load(sources) {
        Ok(config) => {
            let sender = if config.default_sender.is_some() {
                Finding::ok("sender", "set")
            } else {
                Finding::not(
                    Level::Warn,
                    "sender",
                    "none is set",
                    "rows without a from_number fail: set TWILIO_SMS_FROM_NUMBER or \
                     TWILIO_MESSAGING_SERVICE_SID",
                )
            };
            vec![Finding::ok("settings", "usable"), sender]
        }
        Err(problems) => vec![Finding::not(
            Level::Bad,
            "settings",
            problems.to_string().replace('\n', "; "),
            "README.md lists every setting",
        )],
    }
}

async fn database(url: &str) -> Vec<Finding> {
    let dsn = match Dsn::parse(url) {
        Ok(dsn) => dsn,
        Err(e) => {
            let remedy = "use postgres://USER:PASSWORD@HOST:5432/DATABASE";
            return vec![Finding::not(Level::Bad, "database", e.to_string(), remedy)];
        }
    };
    let mut findings = Vec::new();
    if let Some(warning) = dsn.warning() {
        findings.push(Finding::not(
            Level::Warn,
            "connection mode",
            warning,
            "on Supabase take the direct connection or the session pooler, port 5432",
        ));
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

async fn look(client: &Client, dsn: &Dsn) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("database", format!("connected to {dsn}"))];
    let failed = |what, e: &dyn std::fmt::Display| {
        Finding::not(Level::Bad, what, e.to_string(), "see the message")
    };
    match time(client).await {
        Ok(finding) => findings.push(finding),
        Err(e) => findings.push(failed("clock", &e)),
    }
    match doctor::catalog(client).await {
        Ok(more) => findings.extend(more),
        Err(e) => findings.push(failed("catalog", &e)),
    }
    match Migrator::embedded().check(dsn).await {
        Ok(()) => {
            findings.push(Finding::ok("schema", "the one this version needs"));
            match doctor::rows(client).await {
                Ok(more) => findings.extend(more),
                Err(e) => findings.push(failed("rows", &e)),
            }
        }
        Err(e) => findings.push(failed("schema", &e)),
    }
    findings
}

async fn time(client: &Client) -> Result<Finding, crate::store::StoreError> {
    let before = clock::reading();
    let database = doctor::database_time(client).await?;
    let after = clock::reading();
    let middle = before.real_us.midpoint(after.real_us);
    let off = database.micros_from(Moment::from_micros(middle));
    let found = format!("the database's is {off} µs from this machine's");
    Ok(if off.abs() < CLOCK_OFF_US {
        Finding::ok("clock", found)
    } else {
        let remedy = "messages leave by the database's clock; let a time daemon set both";
        Finding::not(Level::Warn, "clock", found, remedy)
    })
}

fn tell(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok  ",
            Level::Warn => "WARN",
            Level::Bad => "BAD ",
        };
        let _ = write!(text, "{level}  {:<16}{}", finding.what, finding.found);
        if !finding.remedy.is_empty() {
            let _ = write!(text, "\n                        → {}", finding.remedy);
        }
        text.push('\n');
    }
    text
}
