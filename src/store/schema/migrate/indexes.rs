//! Indexes on tables too large to be locked while one is built.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::MigrateError;
use super::progress::Step;
use crate::store::Sql;

static WANTED: &Sql = sql!("../sql/migrate_indexes.sql");
static HAS_RATES: &Sql = sql!("../sql/migrate_has_rates.sql");

/// The names of those that are missing or invalid.
pub(in crate::store) async fn lost(client: &Client) -> Result<Vec<String>, MigrateError> {
    wanted(client)
        .await?
        .iter()
        .map(|row| row.try_get("name"))
        .collect::<Result<_, _>>()
        .map_err(MigrateError::Record)
}

async fn wanted(client: &Client) -> Result<Vec<Row>, MigrateError> {
    let has_rates = match client.query_one(HAS_RATES.text(), &[]).await {
        Ok(row) => row.try_get(0),
        // Programs with migrations of their own have no paces.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(false),
        Err(error) => Err(error),
    };
    let has_rates: bool = has_rates.map_err(MigrateError::Record)?;
    let wanted = client.query(WANTED.text(), &[&has_rates]).await;
    wanted.map_err(MigrateError::Record)
}

/// Builds the indexes that the migrations left out, and again those that an interrupted build left invalid.
/// Outside a transaction, because `concurrently` requires that; returns the names.
pub(super) async fn build(
    client: &Client,
    progress: &(dyn Fn(Step<'_>) + Sync),
) -> Result<Vec<String>, MigrateError> {
    let mut wanted = wanted(client).await?;
    // The indexes of another owner's tables are that owner's to build, and `punctual doctor`
    // reports them.
    wanted.retain(|row| row.try_get("ours").unwrap_or_default());
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    client
        .batch_execute(sql!("../sql/migrate_patience.sql").text())
        .await
        .map_err(MigrateError::Record)?;
    let mut done = Vec::with_capacity(wanted.len());
    for row in &wanted {
        let read = || -> Result<(String, bool, String, String), tokio_postgres::Error> {
            Ok((
                row.try_get("name")?,
                row.try_get("leftover")?,
                row.try_get("build")?,
                row.try_get("drop")?,
            ))
        };
        let (index, leftover, build, drop) = read().map_err(MigrateError::Record)?;
        progress(Step::Index { name: &index });
        tracing::info!(
            index,
            leftover,
            "building an index concurrently; it waits for older transactions"
        );
        let statements = leftover.then_some(drop.clone()).into_iter().chain([build]);
        let mut made = Ok(());
        for statement in statements {
            made = client.batch_execute(&statement).await;
            if made.is_err() {
                break;
            }
        }
        match made {
            Ok(()) => done.push(index),
            // The app's rows are unchanged. A partial build would only slow down its writes.
            Err(twice) if twice.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                let dropped = client.batch_execute(&drop).await;
                dropped.map_err(MigrateError::Record)?;
                tracing::warn!(index, "not built: several messages in progress share a key");
            }
            Err(source) => return Err(MigrateError::Index { index, source }),
        }
    }
    Ok(done)
}
