//! The settings of the database, which every command that uses it reads.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::format_duration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::raw::Raw;
use super::{ConfigError, Sources, key, values};
use crate::limits::Limits;
use crate::store::{AppSchema, AppTables, Dsn, DsnError, SourceTable};

/// How often changes may be polled. With less, sweeps would cost more than what they find; with more, a sweep for what
/// is about to be due would reach beyond a short horizon.
const POLL_EVERY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10);

/// How a daemon learns of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Changes {
    /// It is notified.
    Notify,
    /// It reads them from the write-ahead log.
    Feed,
    /// It looks for them, and leaves nothing in a session.
    Poll,
}

/// The database, and where in it the app's tables are.
#[derive(Clone, Debug)]
pub struct Database {
    /// How to reach Postgres. The store reads what is in it.
    pub url: SecretString,
    /// The schema of the app's tables.
    pub schema: AppSchema,
    /// How a daemon learns of changes.
    pub changes: Changes,
    /// How often it looks for them, if it does.
    pub poll_every: Duration,
}

/// As the settings file has it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    database_url: &'static str,
    schema: &'a str,
    changes: Changes,
    poll_every: String,
}

impl Database {
    pub(super) fn shown(&self, database_url: &'static str) -> Shown<'_> {
        Shown {
            database_url,
            schema: self.schema.as_str(),
            changes: self.changes,
            poll_every: format_duration(self.poll_every).to_string(),
        }
    }

    /// The limits of a daemon that learns of changes so.
    pub fn limits(&self) -> Limits {
        match self.changes {
            Changes::Notify => Limits::default(),
            Changes::Feed => Limits::fed(),
            Changes::Poll => Limits::polling(self.poll_every),
        }
    }

    /// Parses the URL, and has all statements of this process name this schema.
    ///
    /// # Panics
    ///
    /// If the process works with another schema already.
    pub fn dsn(&self) -> Result<Dsn, DsnError> {
        self.schema.choose();
        let dsn = Dsn::parse(self.url.expose_secret())?;
        match self.changes {
            Changes::Notify => Ok(dsn),
            Changes::Feed => dsn.clone().fed().map(|_| dsn),
            Changes::Poll => dsn.polled(),
        }
    }
}

/// Reads only what concerns the database, for commands that need nothing else. Misspelt keys are
/// errors here too.
pub fn database(sources: &Sources) -> Result<Database, ConfigError> {
    let mut raw = Raw::read(sources);
    match read(&mut raw) {
        Some(database) if raw.problems.is_empty() => Ok(database),
        _ => Err(raw.into_error()),
    }
}

/// The same without a database: reads only the schema of the app's tables.
pub fn app_schema(sources: &Sources) -> Result<AppSchema, ConfigError> {
    let mut raw = Raw::read(sources);
    let schema = raw.or(&key::SCHEMA, "public", values::schema);
    if raw.problems.is_empty() {
        Ok(schema)
    } else {
        Err(raw.into_error())
    }
}

/// The same: reads only the source tables.
pub fn source_tables(sources: &Sources) -> Result<Vec<SourceTable>, ConfigError> {
    let raw = Raw::read(sources);
    if raw.problems.is_empty() {
        Ok(raw.sources)
    } else {
        Err(raw.into_error())
    }
}

/// The same: reads only the app's tables for sent messages.
pub fn app_tables(sources: &Sources) -> Result<Option<AppTables>, ConfigError> {
    let raw = Raw::read(sources);
    if raw.problems.is_empty() {
        Ok(raw.app_tables)
    } else {
        Err(raw.into_error())
    }
}

pub(super) fn read(raw: &mut Raw) -> Option<Database> {
    let schema = raw.or(&key::SCHEMA, "public", values::schema);
    let changes = raw.or(&key::CHANGES, "notify", changes);
    let poll_every = raw.or(&key::POLL_EVERY, "1s", |text| {
        values::duration(text, &POLL_EVERY)
    });
    let url = raw.require(
        &key::DATABASE_URL,
        "postgres://USER:PASSWORD@HOST:5432/DATABASE, by a direct or session-mode connection",
        values::database_url,
    );
    Some(Database {
        url: url?,
        schema,
        changes,
        poll_every,
    })
}

fn changes(text: &str) -> Result<Changes, String> {
    match text {
        "notify" => Ok(Changes::Notify),
        "feed" => Ok(Changes::Feed),
        "poll" => Ok(Changes::Poll),
        _ => Err("notify, feed or poll".into()),
    }
}
