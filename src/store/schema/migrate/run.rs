//! One run, within one session.

use std::time::Duration;

use tokio_postgres::Client;

use super::error::{is_lock, is_shape};
use super::progress::Step;
use super::{
    File, LOCK_TIMEOUT_MAX, LOCK_TIMEOUT_MIN, MigrateError, Migration, Migrator, PAUSE_MAX,
    PAUSE_MIN, Report, TRIES_MAX, TURN_MAX, indexes, role, triggers,
};
use crate::clock::Stopwatch;
use crate::store::schema::files::SHAPE;

/// The session's lock that makes migrators take turns: "punctual" in ASCII, a number nobody
/// else has a reason to lock.
const TURN: i64 = i64::from_be_bytes(*b"punctual");

/// What to do with a file once its own SQL has run, in the same transaction.
pub(super) enum Record {
    Migration(i64),
    Trigger,
    /// What can be seen to be done needs none.
    None,
}

pub(super) async fn all(
    migrator: &Migrator<'_>,
    client: &Client,
    tell: &(dyn Fn(Step<'_>) + Sync),
) -> Result<Report, MigrateError> {
    take_turn(client).await?;
    shape(client).await?;
    // Not given back: the lock is the session's, and the session ends with the run.
    make_record(client).await?;
    let mut report = Report::default();
    let missing = missing(migrator, client).await?;
    for (migration, number) in missing.iter().zip(1..) {
        let (name, of) = (migration.file.name, missing.len());
        tell(Step::File { name, number, of });
        apply(
            client,
            migration.file,
            &Record::Migration(migration.version),
        )
        .await?;
        tracing::info!(file = name, "migration applied");
        report.applied.push(name.to_owned());
    }
    let changed = changed(migrator, client, true).await?;
    for (&file, number) in changed.iter().zip(1..) {
        let (name, of) = (file.name, changed.len());
        tell(Step::File { name, number, of });
        apply(client, file, &Record::Trigger).await?;
        tracing::info!(file = file.name, "triggers applied");
        report.triggers.push(file.name.to_owned());
    }
    report.indexes = indexes::build(client, tell).await?;
    Ok(report)
}

/// Whether the app's table is one that can be worked with; changes nothing.
async fn shape(client: &Client) -> Result<(), MigrateError> {
    let asked = client.batch_execute(SHAPE.sql).await;
    asked.map_err(|source| {
        if is_shape(&source) {
            MigrateError::Shape { source }
        } else {
            MigrateError::Sql {
                file: SHAPE.name.to_owned(),
                sql: SHAPE.sql.to_owned(),
                source,
            }
        }
    })
}

/// Whether everything is applied as it is here; changes nothing.
pub(super) async fn check(migrator: &Migrator<'_>, client: &Client) -> Result<(), MigrateError> {
    if !has_record(client).await? {
        return Err(MigrateError::Behind {
            file: "its first migration".to_owned(),
        });
    }
    role::check(client).await?;
    shape(client).await?;
    let lacks = |file: File<'_>| MigrateError::Behind {
        file: file.name.to_owned(),
    };
    if let Some(migration) = missing(migrator, client).await?.first() {
        return Err(lacks(migration.file));
    }
    // Without those of optional tables messages go all the same, and the claim asks the tables.
    match changed(migrator, client, false).await?.first() {
        Some(file) => Err(lacks(*file)),
        None => Ok(()),
    }
}

/// Asks again and again instead of waiting inside the lock: a statement that waits holds a
/// snapshot, and a `create index concurrently` of the other one would wait for that.
async fn take_turn(client: &Client) -> Result<(), MigrateError> {
    let began = Stopwatch::start();
    loop {
        let row = client
            .query_one(sql!("../sql/migrate_turn.sql"), &[&TURN])
            .await
            .map_err(MigrateError::Record)?;
        if row.get(0) {
            return Ok(());
        }
        if began.elapsed() > TURN_MAX {
            return Err(MigrateError::Busy);
        }
        tokio::time::sleep(PAUSE_MIN).await;
    }
}

/// The tables that say what was applied. Only made when they are missing: `create schema if
/// not exists` asks for a right on the database even where the schema exists.
async fn make_record(client: &Client) -> Result<(), MigrateError> {
    if has_record(client).await? {
        return Ok(());
    }
    client
        .batch_execute(sql!("../sql/migrate_make_record.sql"))
        .await
        .map_err(MigrateError::Record)
}

async fn has_record(client: &Client) -> Result<bool, MigrateError> {
    let sql = sql!("../sql/migrate_has_record.sql");
    let row = client
        .query_one(sql, &[])
        .await
        .map_err(MigrateError::Record)?;
    row.try_get(0).map_err(MigrateError::Record)
}

/// The migrations still to apply. Everything on record must be known and unchanged first: a
/// database that has gone another way is not touched.
async fn missing<'m, 'a>(
    migrator: &'m Migrator<'a>,
    client: &Client,
) -> Result<Vec<&'m Migration<'a>>, MigrateError> {
    let rows = client
        .query(sql!("../sql/migrate_applied.sql"), &[])
        .await
        .map_err(MigrateError::Record)?;
    let mut missing: Vec<&Migration<'_>> = migrator.migrations.iter().collect();
    for row in rows {
        let (version, name, checksum): (i64, String, String) =
            (row.get("version"), row.get("name"), row.get("checksum"));
        let Some(at) = missing.iter().position(|m| m.version == version) else {
            return Err(MigrateError::Newer { version, name });
        };
        let file = missing.remove(at).file;
        if file.checksum() != checksum {
            return Err(MigrateError::Changed {
                file: file.name.to_owned(),
            });
        }
    }
    Ok(missing)
}

/// The trigger files whose text is not the one on record, and those of which somebody has
/// dropped a trigger since: one of an optional table too, if asked.
async fn changed<'a>(
    migrator: &Migrator<'a>,
    client: &Client,
    optional_too: bool,
) -> Result<Vec<File<'a>>, MigrateError> {
    let rows = client
        .query(sql!("../sql/migrate_triggers.sql"), &[])
        .await
        .map_err(MigrateError::Record)?;
    let on_record = |file: &File<'_>| {
        rows.iter().any(|row| {
            row.get::<_, &str>("name") == file.name
                && row.get::<_, String>("checksum") == file.checksum()
        })
    };
    let mut wanted = migrator.triggers();
    wanted.retain(|trigger| optional_too || !trigger.optional);
    let lost = triggers::lost(client, &wanted).await?;
    let whole = |file: &File<'_>| !triggers::of(file.sql).any(|t| lost.contains(t.name));
    let all = migrator.triggers.iter();
    Ok(all
        .filter(|file| !(on_record(file) && whole(file)))
        .copied()
        .collect())
}

/// One file, with its record, whole or not at all; again while others are in the way.
pub(super) async fn apply(
    client: &Client,
    file: File<'_>,
    record: &Record,
) -> Result<(), MigrateError> {
    let (mut patience, mut pause) = (LOCK_TIMEOUT_MIN, PAUSE_MIN);
    for tried in 1.. {
        let Err(error) = attempt(client, file, record, patience).await else {
            break;
        };
        // If this fails the session is gone, and the next statement says so.
        let _ = client.batch_execute("rollback").await;
        match error {
            MigrateError::Sql { source, .. } if is_lock(&source) => {
                if tried == TRIES_MAX {
                    return Err(MigrateError::Locked {
                        file: file.name.to_owned(),
                        source,
                    });
                }
            }
            // Between the look at the start and here the app may have changed its table.
            MigrateError::Sql { source, .. } if is_shape(&source) => {
                return Err(MigrateError::Shape { source });
            }
            other => return Err(other),
        }
        tracing::warn!(
            file = file.name,
            tried,
            "another session holds a lock it needs"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        patience = (patience * 2).min(LOCK_TIMEOUT_MAX);
    }
    Ok(())
}

async fn attempt(
    client: &Client,
    file: File<'_>,
    record: &Record,
    patience: Duration,
) -> Result<(), MigrateError> {
    let sql_error = |source| MigrateError::Sql {
        file: file.name.to_owned(),
        sql: file.sql.to_owned(),
        source,
    };
    let begin = sql!("../sql/migrate_begin.sql");
    client
        .batch_execute(begin)
        .await
        .map_err(MigrateError::Record)?;
    let timeout = format!("{}ms", patience.as_millis());
    client
        .query_one(sql!("../sql/migrate_lock_timeout.sql"), &[&timeout])
        .await
        .map_err(MigrateError::Record)?;
    // Sent exactly as it is, so that a position in an error counts in the file.
    client.batch_execute(file.sql).await.map_err(sql_error)?;
    let checksum = file.checksum();
    let recorded = match record {
        Record::Migration(version) => {
            let sql = sql!("../sql/migrate_record_migration.sql");
            client.execute(sql, &[version, &file.name, &checksum]).await
        }
        Record::Trigger => {
            let sql = sql!("../sql/migrate_record_trigger.sql");
            client.execute(sql, &[&file.name, &checksum]).await
        }
        Record::None => Ok(0),
    };
    recorded.map_err(MigrateError::Record)?;
    client.batch_execute("commit").await.map_err(sql_error)
}
