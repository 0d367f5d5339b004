//! The database engine: others than Postgres speak its protocol, and lack some of what Punctual stands on.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{Finding, Level};
use crate::store::{Sql, StoreError};

static VERSION: &Sql = sql!("../sql/engine_version.sql");

/// What is needed, with a statement that fails where it is missing.
static NEEDS: [(&str, &Sql); 4] = [
    (
        "triggers of statements with transition tables",
        sql!("../sql/engine_triggers.sql"),
    ),
    (
        "partial indexes on expressions",
        sql!("../sql/engine_index.sql"),
    ),
    (
        "FOR NO KEY UPDATE SKIP LOCKED",
        sql!("../sql/engine_locks.sql"),
    ),
    ("advisory locks", sql!("../sql/engine_advisory.sql")),
];

/// Whether the engine has what Punctual needs, each tried in a transaction that is rolled back.
pub async fn engine(client: &Client) -> Result<Finding, StoreError> {
    const WHAT: &str = "engine";
    const STEP: &str = "trying what the engine can do";
    let version = client.query_one(VERSION.text(), &[]).await;
    let version = version.map_err(StoreError::at(STEP))?;
    let version: String = version.try_get(0).map_err(StoreError::unreadable(STEP))?;
    let (mut lacks, mut untried) = (Vec::new(), Vec::new());
    for (need, statement) in &NEEDS {
        let begun = client.batch_execute("begin").await;
        begun.map_err(StoreError::at(STEP))?;
        let tried = client.batch_execute(statement.text()).await;
        let undone = client.batch_execute("rollback").await;
        undone.map_err(StoreError::at(STEP))?;
        let Err(error) = tried else { continue };
        let Some(refusal) = error.as_db_error() else {
            return Err(StoreError::at(STEP)(error));
        };
        // Its temporary table is refused to this role, or to all on a standby.
        if [
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(refusal.code())
        {
            untried.push(format!("{need} ({})", refusal.message()));
        } else {
            lacks.push(format!("{need} ({})", refusal.message()));
        }
    }
    if lacks.is_empty() {
        let untried = match untried.as_slice() {
            [] => String::new(),
            untried => format!("; not tried: {}", untried.join(", ")),
        };
        return Ok(Finding::ok(WHAT, format!("{version}{untried}")));
    }
    let found = format!("{version} lacks {}", lacks.join(", "));
    let remedy = "use PostgreSQL 14 or later, or a service that runs it";
    Ok(Finding::not(Level::Bad, WHAT, found, remedy))
}
