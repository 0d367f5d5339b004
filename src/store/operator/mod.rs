//! What people see of many messages, and what they do to them: lists, searches, counts and acts, for which one
//! statement (`sql/walk.sql`) applies a [`Filter`](crate::message::Filter); campaigns; pauses and paces, and their
//! history; forecasts; what metrics and health count, and the numbers that are checked ahead.

mod acts;
pub mod campaigns;
pub mod changes;
pub mod forecast;
mod list;
pub mod numbers;
pub(in crate::store) mod overdue;
pub mod paces;
pub mod pauses;
pub(in crate::store) mod sample;
mod stats;
mod walk;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::{Sql, StoreError};
use crate::message::{Status, counted};

pub(in crate::store) use acts::BEGIN as ACT_BEGIN;
pub use acts::{ACT_MAX, Act, Acted, Actor, Done, NewTime};
pub use list::{Listed, Page, Paging};
pub use stats::{By, Stat, Stats, UnknownBy};

/// Why a list is not shown, or an act not done.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The beginning of an id that too many messages have, or a recipient for whom too many messages are to be read.
    #[error(
        "too many messages to search: give more characters of an id, or list messages by a time and a status"
    )]
    Broad,
    /// The act does not apply to messages of the filter.
    #[error("{act} applies to messages that are {status}; leave the status out of the filter, or name that one", status = .status.as_str())]
    Status {
        /// The verb.
        act: &'static str,
        /// What it applies to.
        status: Status,
    },
    /// Not as many as were confirmed.
    #[error("{}", count_sentence(*.messages, *.confirmed))]
    Count {
        /// How many there are.
        messages: u64,
        /// How many were confirmed.
        confirmed: Option<u64>,
    },
    /// More than one act may change.
    #[error(
        "the filter has more than {ACT_MAX} messages, which is too many for one act: narrow it, for example by from and to"
    )]
    TooMany,
    /// It failed after it had changed some.
    #[error(
        "{} changed, and then it failed: {source}. To go on, count again",
        counted(*.changed, "message was", "messages were")
    )]
    Interrupted {
        /// How many.
        changed: u64,
        /// Why it failed.
        source: StoreError,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn count_sentence(messages: u64, confirmed: Option<u64>) -> String {
    let messages = counted(messages, "message", "messages");
    match confirmed {
        None => format!("the filter has {messages}: confirm that number"),
        Some(confirmed) => {
            format!("the filter has {messages} now, not {confirmed}: nothing was changed")
        }
    }
}

/// The number that a statement counts.
async fn count(
    client: &Client,
    sql: &'static Sql,
    params: &[&(dyn ToSql + Sync)],
    step: &'static str,
) -> Result<u64, StoreError> {
    let row = client.query_one(sql.text(), params).await;
    let n: Result<i64, _> = row.map_err(StoreError::at(step))?.try_get(0);
    Ok(n.map_err(StoreError::unreadable(step))?.unsigned_abs())
}

/// All rows of a statement without parameters.
async fn all<T>(
    client: &Client,
    sql: &'static Sql,
    read: fn(&Row) -> Result<T, tokio_postgres::Error>,
    step: &'static str,
) -> Result<Vec<T>, StoreError> {
    let rows = client.query(sql.text(), &[]).await;
    let rows = rows.map_err(StoreError::at(step))?;
    let read = rows.iter().map(read).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(step))
}
