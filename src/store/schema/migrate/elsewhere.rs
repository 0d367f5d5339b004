//! Whether the app's tables are in the schema that the settings name. An empty table beside the app's own would be
//! served well, and nothing would ever be sent: unless that is a source table, which is followed.

use tokio_postgres::Client;

use super::apply::{Part, apply};
use super::{File, MigrateError, PROGRAM};
use crate::store::SourceTable;
use crate::store::app_schema::in_use;
use crate::store::schema::preset::Preset;

/// The table of the messages, in a schema where another one is followed.
const OWN: File<'static> = File {
    name: "the table scheduled_messages",
    sql: assembled!("../sql/migrate_own_table.sql"),
};

/// Refuses a schema that does not exist, or is not the one with the app's table. Which one a database is used with
/// need not be recorded: it has Punctual's triggers. Changes nothing, and needs no right. Whether the table of the
/// messages is to be made beside one that is followed.
pub(super) async fn check(
    client: &Client,
    sources: impl IntoIterator<Item = &SourceTable>,
) -> Result<bool, MigrateError> {
    let schema = in_use().to_string();
    let sources = sources.into_iter().map(|source| {
        let of = source.schema.as_deref().unwrap_or(in_use().as_str());
        format!("{of}.{}", source.table)
    });
    let sources: Vec<String> = sources.collect();
    let sql = sql!("../sql/migrate_elsewhere.sql").text();
    let row = client.query_one(sql, &[&sources]).await;
    let row = row.map_err(MigrateError::Record)?;
    let read = || Ok((row.try_get("has_schema")?, row.try_get("ours_here")?));
    let (has_schema, ours_here): (bool, Option<bool>) = read().map_err(MigrateError::Record)?;
    let read = || Ok((row.try_get("other")?, row.try_get("other_is_ours")?));
    let (other, other_is_ours): (Option<String>, Option<bool>) =
        read().map_err(MigrateError::Record)?;
    let has_source: bool = row.try_get("has_source").map_err(MigrateError::Record)?;
    let apart: Vec<String> = row.try_get("apart").map_err(MigrateError::Record)?;
    match other {
        Some(other) if other_is_ours == Some(true) && ours_here != Some(true) => {
            Err(MigrateError::UsedWith { schema, other })
        }
        Some(other) if ours_here.is_none() => Err(MigrateError::Elsewhere { schema, other }),
        _ if !has_schema => Err(MigrateError::NoSchema { schema }),
        _ if !apart.is_empty() => Err(MigrateError::Apart { schema, apart }),
        _ => Ok(ours_here.is_none() && has_source),
    }
}

/// Makes the schema for a preset that follows a table `scheduled_messages`, which cannot be in the same one.
pub(super) async fn make_schema(client: &Client, preset: &Preset) -> Result<(), MigrateError> {
    let Some(theirs) = preset.schema else {
        return Ok(());
    };
    if in_use().as_str() == theirs {
        return Err(MigrateError::OwnSchema {
            preset: preset.name,
            schema: theirs,
        });
    }
    let sql = format!("create schema if not exists \"{}\"", in_use());
    let file = File {
        name: "the schema of Punctual's tables",
        sql: &sql,
    };
    apply(client, &[Part::unrecorded(file)], PROGRAM).await
}

/// Makes the table of the messages.
pub(super) async fn make_table(client: &Client) -> Result<(), MigrateError> {
    apply(client, &[Part::unrecorded(OWN)], PROGRAM).await
}
