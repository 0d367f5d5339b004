//! One run, within one session.

use std::sync::LazyLock;

use tokio_postgres::Client;

use super::apply::{Part, RecordAs, apply};
use super::elsewhere;
use super::error::is_refusal;
use super::progress::Step;
use super::record::{self, Purpose};
use super::{
    File, MigrateError, Migrator, PAUSE_MIN, Report, TURN_MAX, app, indexes, parts, planner,
    presets, role, sources, take_over,
};
use crate::clock::Stopwatch;
use crate::store::app_schema::placed;
use crate::store::schema::files::SHAPE;

/// The session lock that makes migrators take turns: "punctual" in ASCII, a number that no one else
/// has a reason to lock.
const TURN: i64 = i64::from_be_bytes(*b"punctual");

/// Where [`SHAPE`] asks whether its statuses have to be read.
const READS: &str = "
  if wrong = '{}'
     and not exists (";

/// The same, and never again once the triggers hold rows to them: there is no CHECK any more that says so.
static SHAPE_AGAIN: LazyLock<String> = LazyLock::new(|| {
    let unless = "
  if wrong = '{}'
     and not exists (select from pg_catalog.pg_class k join pg_catalog.pg_namespace n on n.oid = k.relnamespace
                      where n.nspname = 'punctual' and k.relname = 'app_words')
     and not exists (";
    SHAPE.sql.replace(READS, unless)
});

pub(super) async fn all(
    migrator: &Migrator<'_>,
    client: &Client,
    progress: &(dyn Fn(Step<'_>) + Sync),
) -> Result<Report, MigrateError> {
    // Not unlocked: the lock ends with the session, which ends with the run.
    take_turn(client).await?;
    let mut report = Report::default();
    // The tables of one with a schema of its own are known to be followed only when they are there.
    let (apart, with_others) = match migrator.preset {
        Some(preset) if preset.schema.is_some() => (Some(preset), None),
        other => (None, other),
    };
    if let Some(preset) = apart {
        elsewhere::make_schema(client, preset).await?;
        report.tables = presets::make(client, preset).await?;
    }
    if elsewhere::check(client, &presets::wanted(migrator)).await? {
        elsewhere::make_table(client).await?;
    }
    shape(client).await?;
    if migrator.takes_over && take_over::is_needed(client).await? {
        let parts = take_over::all(migrator, client).await?;
        progress(Step::File {
            name: take_over::TAKE_OVER.name,
            number: 1,
            of: 1,
        });
        apply(client, &parts, migrator.program).await?;
        report.applied.push(take_over::TAKE_OVER.name.to_owned());
        for part in &parts {
            report.applied(part);
        }
    }
    record::make(client).await?;
    let missing = record::missing(migrator, client, Purpose::Apply).await?;
    let parts: Vec<_> = missing.into_iter().map(parts::of_migration).collect();
    each(migrator, client, &parts, progress, &mut report).await?;
    let changed = record::changed(migrator, client, Purpose::Apply).await?;
    let parts: Vec<_> = changed
        .into_iter()
        .map(|file| vec![Part::of_triggers(file)])
        .collect();
    each(migrator, client, &parts, progress, &mut report).await?;
    report.indexes = indexes::build(client, progress).await?;
    if let Some(preset) = with_others {
        report.tables = presets::make(client, preset).await?;
    }
    let all = presets::sources_of(client, migrator).await?;
    report.sources = sources::follow(client, &all, progress).await?;
    report.app = app::map(client, migrator.app.as_ref(), progress).await?;
    if !all.is_empty() {
        report.notes = sources::notes(client).await?;
    }
    planner::switch(client, migrator.planner.as_ref(), progress, &mut report).await?;
    report.supabase_repair = take_over::repair(client).await?;
    Ok(report)
}

/// Each file, with what belongs to it, in a transaction of its own, so that none keeps the locks of another.
async fn each(
    migrator: &Migrator<'_>,
    client: &Client,
    all: &[Vec<Part<'_>>],
    progress: &(dyn Fn(Step<'_>) + Sync),
    report: &mut Report,
) -> Result<(), MigrateError> {
    for (parts, number) in all.iter().zip(1..) {
        for part in parts.iter().filter(|part| part.is_recorded()) {
            progress(Step::File {
                name: part.file.name,
                number,
                of: all.len(),
            });
        }
        apply(client, parts, migrator.program).await?;
        for part in parts {
            report.applied(part);
        }
    }
    Ok(())
}

impl Report {
    /// Parts that belong to a file are not reported one by one.
    fn applied(&mut self, part: &Part<'_>) {
        let name = part.file.name.to_owned();
        let list = match part.record {
            RecordAs::Trigger => &mut self.triggers,
            RecordAs::Migration(_) => &mut self.applied,
            RecordAs::None => return,
        };
        tracing::info!(file = name, "applied");
        list.push(name);
    }
}

/// Whether the app's table has a usable shape; changes nothing.
async fn shape(client: &Client) -> Result<(), MigrateError> {
    let text = placed(&SHAPE_AGAIN);
    let asked = client.batch_execute(&text).await;
    asked.map_err(|source| {
        if is_refusal(&source) {
            MigrateError::Refused { source }
        } else {
            MigrateError::Sql {
                file: SHAPE.name.to_owned(),
                sql: text.into_owned(),
                source,
            }
        }
    })
}

/// Whether everything is applied that this program needs; changes nothing.
pub(super) async fn check(migrator: &Migrator<'_>, client: &Client) -> Result<(), MigrateError> {
    let lacks = |file: &str| {
        Err(MigrateError::Behind {
            file: file.to_owned(),
        })
    };
    elsewhere::check(client, &migrator.sources).await?;
    if !record::is_there(client).await? {
        return lacks("its first migration");
    }
    if migrator.takes_over && take_over::is_needed(client).await? {
        return lacks(SHAPE.name);
    }
    // First, because a program that is too old knows nothing else of the schema; but a role that may not read
    // that gets an error about the missing right.
    let missing = match record::missing(migrator, client, Purpose::Start).await {
        Err(MigrateError::Record(source)) => {
            role::check(client).await?;
            return Err(MigrateError::Record(source));
        }
        missing => missing?,
    };
    role::check(client).await?;
    shape(client).await?;
    if let Some(migration) = missing.first() {
        return lacks(migration.file.name);
    }
    let changed: Vec<File<'_>> = record::changed(migrator, client, Purpose::Start).await?;
    if let Some(file) = changed.first() {
        return lacks(file.name);
    }
    app::check(client, migrator.app.as_ref()).await?;
    sources::check(client, &migrator.sources).await?;
    sources::check(client, &presets::followed(client).await?).await
}

/// Polls instead of waiting inside the lock function: a statement that waits has a snapshot, and a
/// `create index concurrently` of the other migrator would wait for that.
async fn take_turn(client: &Client) -> Result<(), MigrateError> {
    let began = Stopwatch::start();
    loop {
        let row = client
            .query_one(sql!("../sql/migrate_turn.sql").text(), &[&TURN])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_reads_the_statuses_at_one_place() {
        assert_eq!(SHAPE.sql.matches(READS).count(), 1);
        assert!(SHAPE_AGAIN.contains("'app_words'"));
    }
}
