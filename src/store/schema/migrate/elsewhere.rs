//! Whether the app's tables are in the schema that the settings name. An empty table beside the app's own would be
//! served well, and nothing would ever be sent.

use tokio_postgres::Client;

use super::MigrateError;
use crate::store::app_schema::in_use;

/// Refuses a schema that does not exist, or is not the one with the app's table. Which one a database is used with
/// need not be recorded: it has Punctual's triggers. Changes nothing, and needs no right.
pub(super) async fn check(client: &Client) -> Result<(), MigrateError> {
    let sql = sql!("../sql/migrate_elsewhere.sql").text();
    let row = client.query_one(sql, &[]).await;
    let row = row.map_err(MigrateError::Record)?;
    let read = || Ok((row.try_get("has_schema")?, row.try_get("ours_here")?));
    let (has_schema, ours_here): (bool, Option<bool>) = read().map_err(MigrateError::Record)?;
    let read = || Ok((row.try_get("other")?, row.try_get("other_is_ours")?));
    let (other, other_is_ours): (Option<String>, Option<bool>) =
        read().map_err(MigrateError::Record)?;
    let apart: Vec<String> = row.try_get("apart").map_err(MigrateError::Record)?;
    let schema = in_use().to_string();
    match other {
        Some(other) if other_is_ours == Some(true) && ours_here != Some(true) => {
            Err(MigrateError::UsedWith { schema, other })
        }
        Some(other) if ours_here.is_none() => Err(MigrateError::Elsewhere { schema, other }),
        _ if !has_schema => Err(MigrateError::NoSchema { schema }),
        _ if !apart.is_empty() => Err(MigrateError::Apart { schema, apart }),
        _ => Ok(()),
    }
}
