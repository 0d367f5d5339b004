//! The settings of the database, which every command that uses it reads.

use secrecy::{ExposeSecret as _, SecretString};

use super::raw::Raw;
use super::{ConfigError, Sources, key, values};
use crate::store::{AppSchema, AppTables, Dsn, DsnError, SourceTable};

/// The database, and where in it the app's tables are.
#[derive(Clone, Debug)]
pub struct Database {
    /// How to reach Postgres. The store reads what is in it.
    pub url: SecretString,
    /// The schema of the app's tables.
    pub schema: AppSchema,
}

impl Database {
    /// Parses the URL, and has all statements of this process name this schema.
    ///
    /// # Panics
    ///
    /// If the process works with another schema already.
    pub fn dsn(&self) -> Result<Dsn, DsnError> {
        self.schema.choose();
        Dsn::parse(self.url.expose_secret())
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
    let url = raw.require(
        &key::DATABASE_URL,
        "postgres://USER:PASSWORD@HOST:5432/DATABASE, by a direct or session-mode connection",
        values::database_url,
    );
    Some(Database { url: url?, schema })
}
