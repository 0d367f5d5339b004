//! Why a schema is not what it should be, and what to do about it.

use std::fmt::Write as _;

use tokio_postgres::error::{ErrorPosition, SqlState};

use super::{TRIES_MAX, TURN_MAX};
use crate::store::connect::{ConnectError, is_away};
use crate::store::refusal;

/// Why the schema is not what it should be. Nothing of a file that failed remains.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No session, or it was lost.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A file's name does not contain its version.
    #[error("{0}: expected migrations/<14 digits>_<name>.sql, each version once and ascending")]
    Name(String),
    /// The schema is older than this program, or was never made.
    #[error("the database lacks {file}: run `punctual migrate` first")]
    Behind {
        /// The first file that is missing.
        file: String,
    },
    /// A file that was applied has been edited since.
    #[error(
        "{file} was changed after it was applied to this database: \
         migrations are append-only; restore it and put the change in a new file"
    )]
    Changed {
        /// The file.
        file: String,
    },
    /// A later version has run here.
    #[error(
        "the database is newer than this program: it has {what}, \
         which it does not know; use the version that added it"
    )]
    Newer {
        /// What is unknown.
        what: String,
    },
    /// The schema was changed so that this program cannot run on it any more.
    #[error(
        "the database's schema is for programs of number {oldest} and later, and this one is number \
         {program}: use a later version of Punctual"
    )]
    TooOld {
        /// The number of the oldest program that may run on it.
        oldest: i32,
        /// The number of this one.
        program: i32,
    },
    /// A file of Punctual's reports that it does not apply here, and why: the app's table has a shape that
    /// Punctual cannot work with, or an earlier version still runs. Nothing was changed.
    #[error("{}", source.as_db_error().map_or_else(|| "the schema cannot be read".to_owned(), refusal::own_words))]
    Refused {
        /// Everything that prevents it, in the file's words.
        source: tokio_postgres::Error,
    },
    /// The schema of the settings does not exist.
    #[error(
        "there is no schema {schema}: set PUNCTUAL_SCHEMA to the schema of the app's tables, without quotes, or create it"
    )]
    NoSchema {
        /// The schema.
        schema: String,
    },
    /// A preset follows a table `scheduled_messages`, and Punctual's would be in the same schema.
    #[error(
        "the preset {preset} follows {schema}.scheduled_messages, so Punctual's own tables must be in another schema; \
         nothing was changed. Set PUNCTUAL_SCHEMA to a name of your choice, here and for every daemon, for example \
         PUNCTUAL_SCHEMA=punctual_app"
    )]
    OwnSchema {
        /// The preset.
        preset: &'static str,
        /// The schema of the app's tables.
        schema: &'static str,
    },
    /// The app's table is not in the schema of the settings, and there is one in another.
    #[error(
        "the schema {schema} has no table scheduled_messages, and the schema {other} has one; nothing was changed. If \
         that is the app's, set PUNCTUAL_SCHEMA={other}, or, if it has other columns, describe it as a [[source]] in \
         punctual.toml (or run `punctual migrate --preset campaign`). If it is not, create {schema}.scheduled_messages (id uuid \
         primary key default gen_random_uuid(), to_number text not null, body text not null, scheduled_at timestamptz \
         not null, status text not null default 'pending') first, then run `punctual migrate` again"
    )]
    Elsewhere {
        /// The schema of the settings.
        schema: String,
        /// The schema that has one.
        other: String,
    },
    /// A table that decides what is sent is in another schema only.
    #[error(
        "the schema {schema} lacks a table that decides what is sent, and there is {}; nothing was changed. An empty one \
         in {schema} would be read in its place, so that no opt-out or preference would count: move it (alter table \
         {} set schema {schema}), or, if it is of something else, create one in {schema} first; then run \
         `punctual migrate` again",
        apart.join(", "), apart[0]
    )]
    Apart {
        /// The schema of the settings.
        schema: String,
        /// The tables, with their schemas.
        apart: Vec<String>,
    },
    /// Punctual's triggers are on the table of another schema.
    #[error(
        "this database is used with the tables of schema {other}, and PUNCTUAL_SCHEMA says {schema}; nothing was \
         changed. Set PUNCTUAL_SCHEMA={other}; or move the app's tables first (alter table … set schema), then run \
         `punctual migrate` with PUNCTUAL_SCHEMA={schema}"
    )]
    UsedWith {
        /// The schema of the settings.
        schema: String,
        /// The schema with the triggers.
        other: String,
    },
    /// A source table of the settings is not followed, or is followed as earlier settings described it.
    #[error(
        "the source {source_name} is not followed as the settings describe it: run `punctual migrate` first"
    )]
    NotFollowed {
        /// Its name.
        source_name: String,
    },
    /// The app's tables of the settings are not written, or are written as earlier settings described them.
    #[error("sent messages are not written as [app] describes it: run `punctual migrate` first")]
    NotMapped,
    /// Rows of a source table were locked all the time.
    #[error(
        "other sessions keep rows of the source {source_name} locked (look for long transactions in pg_stat_activity): \
         these rows are not followed yet; run `punctual migrate` again"
    )]
    RowsLocked {
        /// Its name.
        source_name: String,
    },
    /// The planner of reminders cannot be switched.
    #[error(
        "the planner of reminders cannot work with the app's tables: {why}; nothing of it was changed"
    )]
    Planner {
        /// Why.
        why: String,
    },
    /// The settings of a daemon want it, and it is off in the database.
    #[error(
        "planner.enabled is true, and the planner is off in the database: run `punctual migrate` with these settings"
    )]
    PlannerOff,
    /// The role that a daemon is to use does not exist.
    #[error(
        "no role {role}: create it first, for example with \
         create role {role} login password '…'"
    )]
    NoRole {
        /// Its name.
        role: String,
    },
    /// There are no users of Supabase's, or no preferences.
    #[error(
        "--rls own is for a Supabase project: it needs the function auth.uid(), the role authenticated and the table \
         user_sms_preferences; nothing was granted"
    )]
    NoUsers,
    /// The session's role lacks a right or a policy that the daemon needs.
    #[error(
        "the role {role} lacks {}: as the owner of the tables, run `punctual migrate --role {role}`",
        needs.join("; ")
    )]
    Role {
        /// Its name.
        role: String,
        /// What it lacks.
        needs: Vec<String>,
    },
    /// Another migrator did not finish.
    #[error("another migration of this database has been running for {} s", TURN_MAX.as_secs())]
    Busy,
    /// Other sessions have locks on the app's tables.
    #[error(
        "{file}: another session held a lock it needs, {TRIES_MAX} times in a row \
         (look for long transactions in pg_stat_activity); nothing of it was applied: {}",
        refusal::of(source)
    )]
    Locked {
        /// The file.
        file: String,
        /// The last refusal.
        source: tokio_postgres::Error,
    },
    /// Postgres refused a file.
    #[error("{file}{}", said(source, sql))]
    Sql {
        /// The file.
        file: String,
        /// Its text, which the error's position counts in.
        sql: String,
        /// What Postgres reported.
        source: tokio_postgres::Error,
    },
    /// An index could not be built beside the app's writes.
    #[error(
        "{index}{}\n  the next `punctual migrate` will build it again",
        said(source, "")
    )]
    Index {
        /// The index.
        index: String,
        /// What Postgres reported.
        source: tokio_postgres::Error,
    },
    /// Postgres refused a statement of this runner's own.
    #[error("cannot keep the record of migrations in schema punctual{}", said(.0, ""))]
    Record(#[source] tokio_postgres::Error),
}

impl MigrateError {
    pub(super) fn newer_migration(version: i64, name: &str) -> Self {
        Self::Newer {
            what: format!("migration {version} ({name})"),
        }
    }

    /// Whether the database is away, and may be back soon.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_away(),
            Self::Sql { source, .. } | Self::Record(source) => is_away(source),
            _ => false,
        }
    }
}

/// Message, detail, hint and place, as `psql` shows them; only the names where these quote values of rows, or are
/// the words of a function or trigger of the app's.
pub(super) fn said(error: &tokio_postgres::Error, sql: &str) -> String {
    let Some(db) = error.as_db_error() else {
        use std::error::Error;
        return match error.source() {
            Some(cause) => format!(": {error}: {cause}"),
            None => format!(": {error}"),
        };
    };
    let mut text = String::new();
    if let Some(ErrorPosition::Original(position)) = db.position() {
        let before = usize::try_from(*position).unwrap_or(usize::MAX);
        // The position counts characters from one.
        let line = 1 + sql
            .chars()
            .take(before.saturating_sub(1))
            .filter(|c| *c == '\n')
            .count();
        let _ = write!(text, " line {line}");
    }
    if refusal::quotes_values(db) || refusal::is_of_others(db) {
        let _ = write!(text, ": {}", refusal::names(db));
        return text;
    }
    let _ = write!(text, ": {} ({})", refusal::own_words(db), db.code().code());
    for (label, more) in [
        ("detail", db.detail()),
        ("hint", db.hint()),
        ("where", db.where_()),
    ] {
        if let Some(more) = more {
            let _ = write!(text, "\n  {label}: {}", more.replace('\n', "\n    "));
        }
    }
    text
}

/// Whether another session had a lock, and may not have it next time.
pub(super) fn is_lock(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::T_R_DEADLOCK_DETECTED
    })
}

/// Whether a file of Punctual's refuses: by `PU001` and the like.
pub(super) fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|db| db.code().code().starts_with("PU") && !refusal::is_of_others(db))
}
