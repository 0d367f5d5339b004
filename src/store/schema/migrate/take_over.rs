//! A database of the numbering before the baseline, which this program takes over.

use tokio_postgres::Client;

use super::apply::Part;
use super::{File, MigrateError, Migrator, parts, record};

/// The versions before the baseline. No other one below it was released.
const VERSIONS: [i64; 23] = [
    20_251_231_000_000,
    20_260_101_000_000,
    20_260_101_000_100,
    20_260_101_000_200,
    20_260_101_000_300,
    20_260_101_000_400,
    20_260_102_000_000,
    20_260_102_000_100,
    20_260_102_000_200,
    20_260_104_000_000,
    20_260_105_000_000,
    20_260_105_000_100,
    20_260_105_000_200,
    20_260_105_000_300,
    20_260_105_000_400,
    20_261_125_100_000,
    20_261_125_101_000,
    20_261_125_101_100,
    20_261_125_101_200,
    20_261_125_101_300,
    20_261_125_103_000,
    20_261_125_103_100,
    20_261_125_120_000,
];

pub(super) const TAKE_OVER: File<'_> = File {
    name: "the take-over of the earlier schema",
    sql: assembled!("../sql/take_over.sql"),
};

/// Whether the schema is of the earlier numbering. Changes nothing, and needs no right.
pub(super) async fn is_needed(client: &Client) -> Result<bool, MigrateError> {
    let sql = sql!("../sql/migrate_is_earlier.sql").text();
    let row = client.query_one(sql, &[]).await;
    row.and_then(|row| row.try_get(0))
        .map_err(MigrateError::Record)
}

/// What is run, in one transaction: the functions that the app's statements call refer to the
/// tables by name, and are replaced together with these.
pub(super) async fn all<'a>(
    migrator: &Migrator<'a>,
    client: &Client,
) -> Result<Vec<Part<'a>>, MigrateError> {
    refuse_unknown(client).await?;
    let migrations = migrator.migrations.iter().flat_map(parts::of_migration);
    let triggers = migrator.triggers.iter().copied().map(Part::of_triggers);
    Ok([Part::unrecorded(TAKE_OVER)]
        .into_iter()
        .chain(migrations)
        .chain(triggers)
        .collect())
}

/// A version that was never released is from a program that this one cannot know.
async fn refuse_unknown(client: &Client) -> Result<(), MigrateError> {
    if !record::is_there(client).await? {
        return Ok(());
    }
    let sql = sql!("../sql/migrate_versions.sql").text();
    let rows = client.query(sql, &[]).await.map_err(MigrateError::Record)?;
    for row in rows {
        let read = || Ok((row.try_get("version")?, row.try_get("name")?));
        let (version, name): (i64, String) = read().map_err(MigrateError::Record)?;
        if !VERSIONS.contains(&version) {
            return Err(MigrateError::newer_migration(version, &name));
        }
    }
    Ok(())
}

/// The command that makes the Supabase CLI forget the earlier versions, if it has any recorded.
/// Until then it refuses to push. `None` also where this role may not read that.
pub(super) async fn repair(client: &Client) -> Result<Option<String>, MigrateError> {
    let may = client.query_one(sql!("../sql/supabase_may_read.sql").text(), &[]);
    let may: bool = may
        .await
        .and_then(|row| row.try_get(0))
        .map_err(MigrateError::Record)?;
    if !may {
        return Ok(None);
    }
    let known: Vec<String> = VERSIONS.iter().map(ToString::to_string).collect();
    let sql = sql!("../sql/supabase_versions.sql").text();
    let rows = client.query(sql, &[&known]).await;
    let versions: Vec<String> = rows
        .and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
        .map_err(MigrateError::Record)?;
    Ok((!versions.is_empty()).then(|| {
        format!(
            "supabase migration repair --status reverted {}",
            versions.join(" ")
        )
    }))
}
