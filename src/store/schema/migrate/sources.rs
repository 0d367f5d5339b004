//! Source tables: followed as the settings describe them, and no longer.

use std::fmt::Write as _;

use serde_json::Value;
use tokio_postgres::Client;

use super::apply::{Part, apply};
use super::progress::Step;
use super::{File, MigrateError, Migrator, PAUSE_MIN, PROGRAM};
use crate::store::SourceTable;
use crate::store::dsn::Dsn;

/// Rows that were there before which are followed in one transaction.
const ROWS: i32 = 1_000;

/// Passes over the rows that other sessions had locked, with a pause before each.
const PASSES_MAX: u32 = 120;

/// The deliveries of preset `buildos`, which jobs of the app may name.
const DELIVERIES: &str = "buildos_deliveries";

/// The trigger that notes outcomes: in a transaction of its own, because no other may lock two tables of the app.
const OUTCOMES: File<'static> = File {
    name: "the trigger for outcomes of source tables",
    sql: assembled!("../sql/source_outcomes.sql"),
};

impl Migrator<'_> {
    /// The same, with these source tables.
    #[must_use]
    pub fn following(self, sources: Vec<SourceTable>) -> Self {
        Self { sources, ..self }
    }

    /// Ends that a source table is followed.
    pub async fn unfollow(&self, dsn: &Dsn, name: &str) -> Result<(), MigrateError> {
        self.in_session(dsn, async |client| unfollow(client, name).await)
            .await
    }
}

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
        let sql = following(source);
        let file = File {
            name: &source.name,
            sql: &sql,
        };
        apply(client, &[Part::unrecorded(file)], PROGRAM).await?;
        call(client, &source.name, "follow_numbers(", "").await?;
        for nth in 1..=source.records() {
            let last = format!(", {nth}");
            call(client, &source.name, "follow_record(", &last).await?;
        }
        let missing = sql!("../sql/source_indexes.sql").text();
        indexes(client, missing, progress).await?;
        let mut rows = fill(client, &source.name).await?;
        if source.name == DELIVERIES {
            rows += take_jobs(client).await?;
        }
        if is_new || rows > 0 {
            done.push(format!(
                "{}: {rows} rows that were there before",
                source.name
            ));
        }
    }
    Ok(done)
}

/// All statements that follow one, in the order in which they are run.
pub(super) fn print(source: &SourceTable, text: &mut String) {
    let name = literal(&source.name);
    let mut records = String::new();
    // Writing to a String cannot fail.
    for nth in 1..=source.records() {
        let _ = writeln!(records, "select punctual.follow_record({name}, {nth});");
    }
    let _ = writeln!(
        text,
        "-- the source {0}\n\n{1};\n\n{2};\n\nselect punctual.follow_numbers({name});\n{records}\
         -- indexes: select build from punctual.record_indexes(), each outside a transaction\n\
         -- then its rows that are there, again from last_key on, until followed is below {ROWS}:\n\
         select last_key, followed from punctual.source_fill({name}, null, {ROWS});\n",
        source.name,
        OUTCOMES.text().trim_end(),
        following(source),
    );
    if source.name == DELIVERIES {
        let _ = writeln!(
            text,
            "-- and the jobs that wait, in the same way:\n\
             select last_key, followed from punctual.take_notification_jobs(null, {ROWS});\n"
        );
    }
}

/// The statement that follows one.
fn following(source: &SourceTable) -> String {
    format!("select punctual.follow({}::jsonb)", literal(&json(source)))
}

/// What may be wrong with those that are followed.
pub(super) async fn notes(client: &Client) -> Result<Vec<String>, MigrateError> {
    let rows = client
        .query(sql!("../sql/source_notes.sql").text(), &[])
        .await;
    let rows = rows.map_err(MigrateError::Record)?;
    rows.iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(MigrateError::Record)
}

/// Ends that one is followed.
async fn unfollow(client: &Client, name: &str) -> Result<(), MigrateError> {
    call(client, name, "unfollow(", "").await?;
    call(client, name, "unfollow_numbers(", "").await?;
    call(client, name, "unfollow_records(", "").await
}

/// Calls a function of the database with the name of a source: in a transaction of its own, because no other may lock
/// two tables of the app.
async fn call(client: &Client, name: &str, function: &str, last: &str) -> Result<(), MigrateError> {
    let sql = format!("select punctual.{function}{}{last})", literal(name));
    let file = File { name, sql: &sql };
    apply(client, &[Part::unrecorded(file)], PROGRAM).await
}

/// Builds the indexes that this statement names, beside the app's writes.
pub(super) async fn indexes(
    client: &Client,
    sql: &str,
    progress: &(dyn Fn(Step<'_>) + Sync),
) -> Result<(), MigrateError> {
    let rows = client.query(sql, &[]).await;
    for row in rows.map_err(MigrateError::Record)? {
        let read = || Ok((row.try_get("name")?, row.try_get("is_left")?));
        let (index, is_left): (String, bool) = read().map_err(MigrateError::Record)?;
        let read = || Ok((row.try_get("removal")?, row.try_get("build")?));
        let (removal, build): (String, Option<String>) = read().map_err(MigrateError::Record)?;
        progress(Step::Index { name: &index });
        tracing::info!(
            index,
            "building an index concurrently; it waits for older transactions"
        );
        for statement in is_left.then_some(removal).into_iter().chain(build) {
            let done = client.batch_execute(&statement).await;
            done.map_err(|source| MigrateError::Index {
                index: index.clone(),
                source,
            })?;
        }
    }
    Ok(())
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

pub(super) async fn is_followed(
    client: &Client,
    source: &SourceTable,
) -> Result<bool, MigrateError> {
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

/// Has the deliveries sent whose jobs waited when the tables were followed first. What is locked is a worker's.
async fn take_jobs(client: &Client) -> Result<u64, MigrateError> {
    let sql = sql!("../sql/notification_jobs_take.sql").text();
    let (mut rows, mut past): (u64, Option<String>) = (0, None);
    loop {
        let row = client.query_one(sql, &[&past, &ROWS]).await;
        let row = row.map_err(MigrateError::Record)?;
        let taken: i32 = row.try_get("followed").map_err(MigrateError::Record)?;
        rows += u64::from(taken.unsigned_abs());
        past = row.try_get("last_key").map_err(MigrateError::Record)?;
        if taken < ROWS {
            return Ok(rows);
        }
    }
}

fn json(source: &SourceTable) -> String {
    // Strings and lists of strings.
    serde_json::to_string(source).unwrap_or_default()
}

/// A text as an expression: in digits, so that nothing in it is taken for something else.
pub(super) fn literal(text: &str) -> String {
    let hex = text.bytes().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("convert_from('\\x{hex}', 'UTF8')")
}
