//! Errors of database access.

use std::time::Duration;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::error::{DbError, SqlState};

use super::refusal;
use super::session::connect::{chain, is_away};

/// A failed step of the store. The message names the step and keeps the cause; it never contains a
/// parameter of the statement, which could be a number or a text.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection is available.
    #[error("no connection to the database{}", of_pool(.0))]
    Connect(#[source] PoolError),
    /// No response: the network is down, or the server is stuck.
    #[error("the database did not respond within {} s", patience.as_secs())]
    Silent {
        /// The time-out.
        patience: Duration,
    },
    /// Half-open: the server waits for the daemon, and the daemon for the server.
    #[error("the connection to the database is dead: the server has no work in progress for it")]
    Mute,
    /// A statement failed.
    #[error("{step} failed{}", detail(source))]
    Query {
        /// The step, as a phrase like "claiming messages".
        step: &'static str,
        /// Why it failed.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The statement ran in a database of another history than the current one.
    #[error("the response came from a database of another history")]
    AnotherHistory,
    /// A row that does not have the expected columns or types.
    #[error("{step} returned an unexpected row: {}", chain(source))]
    Unreadable {
        /// The step, as a phrase like "claiming messages".
        step: &'static str,
        /// The column that did not fit.
        #[source]
        source: tokio_postgres::Error,
    },
}

/// The part of the server's error that may be repeated (see [`refusal`]), or how the connection
/// broke.
fn detail(e: &tokio_postgres::Error) -> String {
    match e.as_db_error() {
        Some(db) => format!(": {}", refusal::names(db)),
        None => format!(": {}", chain(e)),
    }
}

/// Why there is no connection. The pool's own text would repeat it.
fn of_pool(e: &PoolError) -> String {
    match e {
        PoolError::Backend(e) | PoolError::PostCreateHook(HookError::Backend(e)) => detail(e),
        PoolError::PostCreateHook(HookError::Message(why)) => format!(": {why}"),
        PoolError::Timeout(TimeoutType::Wait) => ": all are in use".to_owned(),
        PoolError::Timeout(_) => ": the server does not respond".to_owned(),
        _ => String::new(),
    }
}

impl StoreError {
    pub(super) fn at(step: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |source| Self::Query { step, source }
    }

    pub(super) fn unreadable(step: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |source| Self::Unreadable { step, source }
    }

    /// Whether this may concern one row only: a constraint, or the app's own trigger. Then the other
    /// rows of the statement can succeed without it. An error of the whole table or server (a lock,
    /// a right, a lack of resources) would repeat for each row.
    pub fn is_about_a_row(&self) -> bool {
        let Self::Query { source, .. } = self else {
            return false;
        };
        let of_all = [
            "08", "0A", "25", "28", "40", "42", "53", "54", "55", "57", "58", "PU", "XX",
        ];
        source
            .code()
            .is_some_and(|code| !of_all.iter().any(|class| code.code().starts_with(class)))
    }

    /// Whether the server has no room for another connection.
    pub(super) fn is_full(&self) -> bool {
        let code = match self {
            Self::Connect(PoolError::Backend(e)) => e.code(),
            _ => None,
        };
        code == Some(&SqlState::TOO_MANY_CONNECTIONS)
    }

    /// Whether the database is away, and may be there in a moment.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Silent { .. } | Self::Mute | Self::Connect(PoolError::Timeout(_)) => true,
            Self::Connect(
                PoolError::Backend(e) | PoolError::PostCreateHook(HookError::Backend(e)),
            ) => is_away(e),
            Self::Query { source, .. } => is_away(source),
            Self::Connect(_) | Self::AnotherHistory | Self::Unreadable { .. } => false,
        }
    }

    /// The guard's message and hint, if it refused a change that came too late.
    pub fn guarded(&self) -> Option<(&str, Option<&str>)> {
        self.refused_with("PT409")
            .map(|db| (db.message(), db.hint()))
    }

    /// The server's own message, which may be the app's and quote a row: for a person who requests
    /// it.
    pub fn words(&self) -> Option<String> {
        let (Self::Query { source, .. } | Self::Unreadable { source, .. }) = self else {
            return None;
        };
        source.as_db_error().map(refusal::words)
    }

    /// Whether the schema `punctual`, or a table or function of it, is missing.
    pub fn is_schema_missing(&self) -> bool {
        let Self::Query { source, .. } = self else {
            return false;
        };
        source.code().is_some_and(|code| {
            matches!(
                *code,
                SqlState::INVALID_SCHEMA_NAME
                    | SqlState::UNDEFINED_TABLE
                    | SqlState::UNDEFINED_FUNCTION
            )
        })
    }

    /// The unique constraint that was violated, if one was.
    pub fn taken(&self) -> Option<&str> {
        self.refused_with(SqlState::UNIQUE_VIOLATION.code())
            .map(|db| db.constraint().unwrap_or_default())
    }

    fn refused_with(&self, code: &str) -> Option<&DbError> {
        let Self::Query { source, .. } = self else {
            return None;
        };
        source.as_db_error().filter(|db| db.code().code() == code)
    }

    /// Whether the database itself refused the statement, so its transaction is certainly rolled
    /// back. Otherwise the connection broke, and whether it was committed is unknown.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Query { source, .. } => source.as_db_error().is_some_and(|db| {
                // These end the session, possibly after the commit.
                !matches!(
                    *db.code(),
                    SqlState::ADMIN_SHUTDOWN
                        | SqlState::CRASH_SHUTDOWN
                        | SqlState::CANNOT_CONNECT_NOW
                )
            }),
            Self::Connect(_)
            | Self::Silent { .. }
            | Self::Mute
            | Self::AnotherHistory
            | Self::Unreadable { .. } => false,
        }
    }
}
