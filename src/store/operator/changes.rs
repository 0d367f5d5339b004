//! The history of pauses and paces: who set, changed and ended what.

use serde_json::Value;
use tokio_postgres::{Client, Row};

use crate::message::Moment;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError};

static HISTORY: &Sql = sql!("sql/changes.sql");

/// The most changes that are shown.
pub const CHANGES_MAX: i32 = 200;

/// What a history is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryOf {
    /// Pauses.
    Pauses,
    /// Paces.
    Paces,
}

impl HistoryOf {
    /// As the table has it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pauses => "pause",
            Self::Paces => "pace",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Changed {
    /// When.
    pub at: Moment,
    /// The kind of thing that was paused, or has a pace.
    pub scope: String,
    /// Which one; empty for everything.
    pub what: String,
    /// `insert`, `update` or `delete`.
    pub op: String,
    /// Who did it: the name that was given, or the database role.
    pub who: String,
    /// The database role.
    pub role: String,
    /// By which program.
    pub application: Option<String>,
    /// What was set before; `None`: nothing was.
    pub old: Option<Value>,
    /// What is set since; `None`: nothing is.
    pub new: Option<Value>,
}

/// The latest [`CHANGES_MAX`] changes, the last first.
pub async fn changes(client: &Client, of: HistoryOf) -> Result<Vec<Changed>, StoreError> {
    const STEP: &str = "reading the history of pauses and paces";
    let kind = of.as_str();
    let rows = client.query(HISTORY.text(), &[&kind, &CHANGES_MAX]).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(changed).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
}

fn changed(row: &Row) -> Result<Changed, tokio_postgres::Error> {
    Ok(Changed {
        at: row.try_get::<_, PgTimestamp>("at")?.0,
        scope: row.try_get("scope")?,
        what: row.try_get("what")?,
        op: row.try_get("op")?,
        who: row.try_get("who")?,
        role: row.try_get("role")?,
        application: row.try_get("application")?,
        old: row.try_get("old")?,
        new: row.try_get("new")?,
    })
}
