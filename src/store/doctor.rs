//! Looks at a database for what newcomers get wrong. Changes nothing.

use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::StoreError;
use super::at::At;
use crate::message::Moment;

const CATALOG: &str = include_str!("sql/doctor.sql");
const TABLE: &str = include_str!("sql/doctor_table.sql");
const ROWS: &str = include_str!("sql/doctor_rows.sql");
const HAS_CRON: &str = include_str!("sql/doctor_has_cron.sql");
const CRON: &str = include_str!("sql/doctor_cron.sql");
const NOW: &str = include_str!("sql/now.sql");

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but somebody should know.
    Warn,
    /// It does not work, or not safely.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do, where it is not ok.
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

/// What the catalog and the settings of the server tell. `triggers`: all there should be.
pub async fn catalog(client: &Client, triggers: &[&str]) -> Result<Vec<Finding>, StoreError> {
    let mut findings = ask(client, CATALOG, &[&triggers]).await?;
    findings.extend(ask(client, TABLE, &[]).await?);
    findings.push(cron(client).await?);
    Ok(findings)
}

/// What the rows tell. Needs the schema.
pub async fn rows(client: &Client) -> Result<Vec<Finding>, StoreError> {
    ask(client, ROWS, &[]).await
}

/// The database's clock.
pub async fn database_time(client: &Client) -> Result<Moment, StoreError> {
    const STEP: &str = "reading the database's clock";
    let row = client.query_one(NOW, &[]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    let now: At = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
    Ok(now.0)
}

async fn ask(
    client: &Client,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Finding>, StoreError> {
    const STEP: &str = "looking at the database";
    let rows = client.query(sql, params).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    rows.iter()
        .map(|row| {
            let level = match row.try_get("level")? {
                "ok" => Level::Ok,
                "warn" => Level::Warn,
                _ => Level::Bad,
            };
            let remedy: String = row.try_get("remedy")?;
            Ok(Finding {
                what: row.try_get("what")?,
                level,
                found: row.try_get("found")?,
                remedy: if level == Level::Ok {
                    String::new()
                } else {
                    remedy
                },
            })
        })
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))
}

/// Another sender on the table texts everybody twice.
async fn cron(client: &Client) -> Result<Finding, StoreError> {
    const STEP: &str = "looking for other senders";
    const WHAT: &str = "other senders";
    let has = client.query_one(HAS_CRON, &[]).await;
    let has: bool = has
        .map_err(StoreError::at(STEP))?
        .try_get(0)
        .map_err(StoreError::unreadable(STEP))?;
    if !has {
        return Ok(Finding::ok(WHAT, "no jobs of pg_cron to be seen"));
    }
    let jobs = client.query(CRON, &[]).await;
    let jobs: Vec<String> = jobs
        .map_err(StoreError::at(STEP))?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))?;
    if jobs.is_empty() {
        return Ok(Finding::ok(
            WHAT,
            "no job of pg_cron names scheduled_messages",
        ));
    }
    Ok(Finding::not(
        Level::Warn,
        WHAT,
        format!("pg_cron job {} names scheduled_messages", jobs.join(", ")),
        "if it sends messages, everybody is texted twice: select cron.unschedule(jobid)",
    ))
}
