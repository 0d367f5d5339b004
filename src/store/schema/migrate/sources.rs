//! Source tables: followed as the settings describe them, and no longer.

use std::fmt::Write as _;

use serde_json::Value;
use tokio_postgres::Client;

use super::apply::{Part, apply};
use super::progress::Step;
use super::{File, MigrateError, PAUSE_MIN, PROGRAM};
use crate::store::SourceTable;

/// Rows that were there before which are followed in one transaction.
const ROWS: i32 = 1_000;

/// Passes over the rows that other sessions had locked, with a pause before each.
const PASSES_MAX: u32 = 120;

/// The trigger that notes outcomes: in a transaction of its own, because no other may lock two tables of the app.
const OUTCOMES: File<'static> = File {
    name: "the trigger for outcomes of source tables",
    sql: assembled!("../sql/source_outcomes.sql"),
};

/// Follows each of them; returns those for which there was something to do, in words.
pub(super) async fn follow(
    client: &Client,
    sources: &[SourceTable],
    progress: &(dyn Fn(Step<'_>) + Sync),
) -> Result<Vec<String>, MigrateError> {
    let mut done = Vec::new();
    for source in sources {
        let is_new = !is_followed(client, source).await?;
        progress(Step::Index { name: &source.name });
        apply(client, &[Part::unrecorded(OUTCOMES)], PROGRAM).await?;
        let sql = format!("select punctual.follow({}::jsonb)", literal(&json(source)));
        let file = File {
            name: &source.name,
            sql: &sql,
        };
        apply(client, &[Part::unrecorded(file)], PROGRAM).await?;
        numbers(client, &source.name, "follow_numbers").await?;
        let rows = fill(client, &source.name).await?;
        if is_new || rows > 0 {
            done.push(format!(
                "{}: {rows} rows that were there before",
                source.name
            ));
        }
    }
    Ok(done)
}

/// Ends that one is followed.
pub(super) async fn unfollow(client: &Client, name: &str) -> Result<(), MigrateError> {
    let sql = format!("select punctual.unfollow({})", literal(name));
    let file = File { name, sql: &sql };
    apply(client, &[Part::unrecorded(file)], PROGRAM).await?;
    numbers(client, name, "unfollow_numbers").await
}

/// The triggers on the table with the numbers: in a transaction of their own, for the same reason.
async fn numbers(client: &Client, name: &str, function: &str) -> Result<(), MigrateError> {
    let sql = format!("select punctual.{function}({})", literal(name));
    let file = File { name, sql: &sql };
    apply(client, &[Part::unrecorded(file)], PROGRAM).await
}

/// Whether all are followed as they are described here.
pub(super) async fn check(client: &Client, sources: &[SourceTable]) -> Result<(), MigrateError> {
    for source in sources {
        if !is_followed(client, source).await? {
            return Err(MigrateError::NotFollowed {
                source_name: source.name.clone(),
            });
        }
    }
    Ok(())
}

async fn is_followed(client: &Client, source: &SourceTable) -> Result<bool, MigrateError> {
    let sql = sql!("../sql/source_definition.sql").text();
    let row = client.query_opt(sql, &[&source.name]).await;
    let Some(row) = row.map_err(MigrateError::Record)? else {
        return Ok(false);
    };
    let known: Value = row.try_get(0).map_err(MigrateError::Record)?;
    Ok(serde_json::from_str::<Value>(&json(source)).is_ok_and(|wanted| wanted == known))
}

/// Follows the rows that were there before, after the triggers: whoever changes one from now on is seen. A row that is
/// locked is not waited for, so this is part of no deadlock; it is looked for again.
async fn fill(client: &Client, name: &str) -> Result<u64, MigrateError> {
    let mut rows = 0;
    for _ in 0..PASSES_MAX {
        let mut past: Option<String> = None;
        loop {
            let sql = sql!("../sql/source_fill.sql").text();
            let row = client.query_one(sql, &[&name, &past, &ROWS]).await;
            let row = row.map_err(MigrateError::Record)?;
            let followed: i32 = row.try_get("followed").map_err(MigrateError::Record)?;
            rows += u64::from(followed.unsigned_abs());
            past = row.try_get("last_key").map_err(MigrateError::Record)?;
            if followed < ROWS {
                break;
            }
        }
        let sql = sql!("../sql/source_left.sql").text();
        let row = client.query_one(sql, &[&name]).await;
        let row = row.map_err(MigrateError::Record)?;
        if !row.try_get::<_, bool>(0).map_err(MigrateError::Record)? {
            return Ok(rows);
        }
        tracing::warn!(
            source = name,
            "waiting for rows that other sessions have locked"
        );
        tokio::time::sleep(PAUSE_MIN).await;
    }
    Err(MigrateError::RowsLocked {
        source_name: name.to_owned(),
    })
}

fn json(source: &SourceTable) -> String {
    // Strings and lists of strings.
    serde_json::to_string(source).unwrap_or_default()
}

/// A text as an expression: in digits, so that nothing in it is taken for something else.
fn literal(text: &str) -> String {
    let hex = text.bytes().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("convert_from('\\x{hex}', 'UTF8')")
}
