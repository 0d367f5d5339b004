//! What a database has recorded of the files, and what follows for a program: what it still has to
//! apply, and whether it may run on the schema of a later program.

use tokio_postgres::Client;

use super::{File, MigrateError, Migration, Migrator, triggers};
use crate::store::schema::files::RECORD;

/// How a difference is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Apply the files; never go back to them from newer ones.
    Apply,
    /// Run on it: newer files are accepted, unless they record that this program is too old for
    /// them.
    Start,
}

/// The tables that record what was applied. Only made when they are missing: `create schema if not
/// exists` needs a right on the database even where the schema exists.
pub(super) async fn make(client: &Client) -> Result<(), MigrateError> {
    if is_there(client).await? {
        return Ok(());
    }
    let made = client.batch_execute(RECORD).await;
    made.map_err(MigrateError::Record)
}

pub(super) async fn is_there(client: &Client) -> Result<bool, MigrateError> {
    let row = client.query_one(sql!("../sql/migrate_has_record.sql").text(), &[]);
    row.await
        .and_then(|row| row.try_get(0))
        .map_err(MigrateError::Record)
}

/// The migrations still to apply. The recorded ones must be unchanged: a database with other files
/// is not touched.
pub(super) async fn missing<'m, 'a>(
    migrator: &'m Migrator<'a>,
    client: &Client,
    purpose: Purpose,
) -> Result<Vec<&'m Migration<'a>>, MigrateError> {
    let rows = client
        .query(sql!("../sql/migrate_applied.sql").text(), &[])
        .await;
    let mut missing: Vec<&Migration<'_>> = migrator.migrations.iter().collect();
    for row in rows.map_err(MigrateError::Record)? {
        let read = || Ok((row.try_get("version")?, row.try_get("name")?));
        let (version, name): (i64, String) = read().map_err(MigrateError::Record)?;
        let read = || Ok((row.try_get("checksum")?, row.try_get("oldest_program")?));
        let (checksum, oldest): (String, i32) = read().map_err(MigrateError::Record)?;
        if oldest > migrator.program {
            return Err(MigrateError::TooOld {
                oldest,
                program: migrator.program,
            });
        }
        match missing.iter().position(|m| m.version == version) {
            // Applied by another runner: it is applied again, and so recorded as it is here.
            Some(_) if checksum.is_empty() => {}
            Some(at) if super::checksum(missing[at].file.sql) == checksum => {
                missing.remove(at);
            }
            Some(at) => {
                return Err(MigrateError::Changed {
                    file: missing[at].file.name.to_owned(),
                });
            }
            None if purpose == Purpose::Start => {}
            None => return Err(MigrateError::newer_migration(version, &name)),
        }
    }
    Ok(missing)
}

/// The trigger files whose text is not the recorded one, and those with a trigger that has been
/// dropped since. A start does not need those of optional tables: without them messages are sent
/// nonetheless, because the claim reads the tables.
pub(super) async fn changed<'a>(
    migrator: &Migrator<'a>,
    client: &Client,
    purpose: Purpose,
) -> Result<Vec<File<'a>>, MigrateError> {
    let rows = client
        .query(sql!("../sql/migrate_triggers.sql").text(), &[])
        .await;
    let mut on_record: Vec<(String, String)> = Vec::new();
    for row in rows.map_err(MigrateError::Record)? {
        let read = || Ok((row.try_get("name")?, row.try_get("checksum")?));
        let (name, checksum) = read().map_err(MigrateError::Record)?;
        let program: i32 = row.try_get("program").map_err(MigrateError::Record)?;
        if program > migrator.program {
            return match purpose {
                Purpose::Start => Ok(Vec::new()),
                Purpose::Apply => Err(MigrateError::Newer {
                    what: format!("{name} of a later version"),
                }),
            };
        }
        on_record.push((name, checksum));
    }
    let mut wanted = migrator.triggers();
    wanted.retain(|trigger| purpose == Purpose::Apply || !trigger.optional);
    let lost = triggers::lost(client, &wanted).await?;
    let is_on_record = |file: &File<'_>| {
        let checksum = super::checksum(&file.text());
        on_record
            .iter()
            .any(|(name, its)| name == file.name && *its == checksum)
    };
    let is_whole = |file: &File<'_>| !triggers::of(file.sql).any(|t| lost.contains(t.name));
    let all = migrator.triggers.iter();
    Ok(all
        .filter(|file| !(is_on_record(file) && is_whole(file)))
        .copied()
        .collect())
}
