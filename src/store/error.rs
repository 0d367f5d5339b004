//! What can go wrong between here and the database.

use std::time::Duration;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, SqlState};

/// A step of the store that failed. The message names the step and keeps the cause; it never
/// holds a parameter of the statement, which could be a number or a text.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection to be had.
    #[error("no connection to the database{}", of_pool(.0))]
    Connect(#[source] PoolError),
    /// No answer: the way there is dead, or the server is stuck.
    #[error("the database did not answer within {} s", patience.as_secs())]
    Silent {
        /// How long was waited.
        patience: Duration,
    },
    /// The server waits for us, and we for it.
    #[error("the connection to the database is dead: the server is at nothing for it")]
    Mute,
    /// A statement failed.
    #[error("{step} failed{}", detail(source))]
    Query {
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: tokio_postgres::Error,
    },
    /// An answer that does not fit the question: a table of another shape.
    #[error("{step} answered with something unreadable")]
    Unreadable {
        /// What was being done.
        step: &'static str,
        /// What did not fit.
        #[source]
        source: tokio_postgres::Error,
    },
}

/// The server's own words and code. Its DETAIL is left out: it quotes rows.
fn detail(e: &tokio_postgres::Error) -> String {
    e.as_db_error().map_or_else(String::new, |db| {
        format!(": {} ({})", db.message(), db.code().code())
    })
}

/// What the server said to a new connection. The pool's own words would repeat themselves.
fn of_pool(e: &PoolError) -> String {
    match e {
        PoolError::Backend(e) => detail(e),
        PoolError::Timeout(_) => ": none was free, or to be had, in time".to_owned(),
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

    /// Whether this is a refusal that may concern one row only: a constraint, or the app's own
    /// trigger. Then the others of its statement may fare better without it. What concerns the
    /// whole table or server (a lock, a right, want of resources) is not made better by asking for
    /// each row alone.
    pub fn is_about_a_row(&self) -> bool {
        let Self::Query { source, .. } = self else {
            return false;
        };
        let of_all = [
            "08", "0A", "25", "28", "40", "42", "53", "54", "55", "57", "58", "XX",
        ];
        source
            .code()
            .is_some_and(|code| !of_all.iter().any(|class| code.code().starts_with(class)))
    }

    /// What the guard says to whoever comes too late, and its advice; `None`: this is something else.
    pub fn guarded(&self) -> Option<(&str, Option<&str>)> {
        self.refused_with("PT409")
            .map(|db| (db.message(), db.hint()))
    }

    /// The constraint that a row already there keeps others out by; `None`: this is something else.
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

    /// Whether the database itself refused the statement, so that its transaction is certainly
    /// undone. Otherwise the connection broke, and what was committed is not known.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Query { source, .. } => source.as_db_error().is_some_and(|db| {
                // These end the session, possibly after the commit was made.
                !matches!(
                    *db.code(),
                    SqlState::ADMIN_SHUTDOWN
                        | SqlState::CRASH_SHUTDOWN
                        | SqlState::CANNOT_CONNECT_NOW
                )
            }),
            Self::Connect(_) | Self::Silent { .. } | Self::Mute | Self::Unreadable { .. } => false,
        }
    }
}
