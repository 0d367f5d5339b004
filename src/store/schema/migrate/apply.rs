//! Applying files: whole or not at all, and without holding up the app.

use std::time::Duration;

use tokio_postgres::Client;

use super::error::{is_lock, is_refusal};
use super::{
    File, LOCK_TIMEOUT_MAX, LOCK_TIMEOUT_MIN, MigrateError, Migration, PAUSE_MAX, PAUSE_MIN,
    TRIES_MAX, checksum,
};

/// A file, and what is recorded of it in its transaction.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) file: File<'a>,
    pub(super) record: RecordAs,
}

#[derive(Clone, Copy)]
pub(super) enum RecordAs {
    Migration(i64),
    Trigger,
    /// A result that can be seen needs none.
    None,
}

impl<'a> Part<'a> {
    pub(super) const fn of_migration(migration: &Migration<'a>) -> Self {
        Self {
            file: migration.file,
            record: RecordAs::Migration(migration.version),
        }
    }

    pub(super) const fn of_triggers(file: File<'a>) -> Self {
        Self {
            file,
            record: RecordAs::Trigger,
        }
    }

    pub(super) const fn is_recorded(&self) -> bool {
        !matches!(self.record, RecordAs::None)
    }

    pub(super) const fn unrecorded(file: File<'a>) -> Self {
        Self {
            file,
            record: RecordAs::None,
        }
    }
}

/// Applies these files and records them in one transaction; again while others have locks.
pub(super) async fn apply(
    client: &Client,
    parts: &[Part<'_>],
    program: i32,
) -> Result<(), MigrateError> {
    let (mut patience, mut pause) = (LOCK_TIMEOUT_MIN, PAUSE_MIN);
    for tried in 1.. {
        let Err(error) = attempt(client, parts, program, patience).await else {
            break;
        };
        // If this fails the session is gone, and the next statement says so.
        let _ = client.batch_execute("rollback").await;
        match error {
            MigrateError::Sql { file, source, .. } if is_lock(&source) => {
                if tried == TRIES_MAX {
                    return Err(MigrateError::Locked { file, source });
                }
                tracing::warn!(file, tried, "waiting for a lock that another session holds");
            }
            // The app may have changed its table since the check at the start.
            MigrateError::Sql { source, .. } if is_refusal(&source) => {
                return Err(MigrateError::Refused { source });
            }
            other => return Err(other),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        patience = (patience * 2).min(LOCK_TIMEOUT_MAX);
    }
    Ok(())
}

async fn attempt(
    client: &Client,
    parts: &[Part<'_>],
    program: i32,
    patience: Duration,
) -> Result<(), MigrateError> {
    let begin = client
        .batch_execute(sql!("../sql/migrate_begin.sql").text())
        .await;
    begin.map_err(MigrateError::Record)?;
    let timeout = format!("{}ms", patience.as_millis());
    let sql = sql!("../sql/migrate_lock_timeout.sql").text();
    let set = client.query_one(sql, &[&timeout]).await;
    set.map_err(MigrateError::Record)?;
    let mut last = None;
    for part in parts {
        let done = client.batch_execute(&part.file.text()).await;
        done.map_err(|source| sql_error(part.file, source))?;
        record(client, part, program).await?;
        last = Some(part.file);
    }
    let committed = client.batch_execute("commit").await;
    committed.map_err(|source| match last {
        Some(file) => sql_error(file, source),
        None => MigrateError::Record(source),
    })
}

async fn record(client: &Client, part: &Part<'_>, program: i32) -> Result<(), MigrateError> {
    let name = part.file.name;
    let recorded = match part.record {
        RecordAs::Migration(version) => {
            let sql = sql!("../sql/migrate_record_migration.sql").text();
            let checksum = checksum(part.file.sql);
            client.execute(sql, &[&version, &name, &checksum]).await
        }
        RecordAs::Trigger => {
            let sql = sql!("../sql/migrate_record_trigger.sql").text();
            let checksum = checksum(&part.file.text());
            client.execute(sql, &[&name, &checksum, &program]).await
        }
        RecordAs::None => Ok(0),
    };
    recorded.map(drop).map_err(MigrateError::Record)
}

fn sql_error(file: File<'_>, source: tokio_postgres::Error) -> MigrateError {
    MigrateError::Sql {
        file: file.name.to_owned(),
        sql: file.text().into_owned(),
        source,
    }
}
