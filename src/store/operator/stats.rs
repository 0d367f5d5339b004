//! How many messages of a filter there are, by time, status or reason.

use std::str::FromStr;

use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::OperatorError;
use super::walk::Walk;
use crate::message::Filter;
use crate::store::{Sql, Store, StoreError, prepared};

static STATS: &Sql = sql!("sql/stats.sql");

/// The most messages that are counted at once.
const COUNTED_MAX: usize = 500_000;

/// What messages are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(rename_all = "snake_case"))]
pub enum By {
    /// The ten seconds in which they are due, in UTC.
    #[cfg_attr(test, schema(rename = "10s"))]
    TenSeconds,
    /// The minute.
    Minute,
    /// The quarter of an hour.
    #[cfg_attr(test, schema(rename = "15min"))]
    QuarterHour,
    /// The hour in which they are due, in UTC.
    Hour,
    /// The day in which they are due, in the installation's time zone.
    Day,
    /// Their status.
    Status,
    /// Why they were not sent, or not yet.
    Reason,
}

/// Not something to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("by is one of 10s, minute, 15min, hour, day, status and reason")]
pub struct UnknownBy;

impl FromStr for By {
    type Err = UnknownBy;

    fn from_str(text: &str) -> Result<Self, UnknownBy> {
        match text {
            "10s" => Ok(Self::TenSeconds),
            "minute" => Ok(Self::Minute),
            "15min" => Ok(Self::QuarterHour),
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            "status" => Ok(Self::Status),
            "reason" => Ok(Self::Reason),
            _ => Err(UnknownBy),
        }
    }
}

impl By {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TenSeconds => "10s",
            Self::Minute => "minute",
            Self::QuarterHour => "15min",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Status => "status",
            Self::Reason => "reason",
        }
    }
}

/// Counts of messages.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Stats {
    /// What they are counted by.
    pub by: &'static str,
    /// The counts, in the order of their keys.
    pub counts: Vec<Stat>,
    /// Only so many messages were counted: there are more.
    pub is_partial: bool,
}

/// How many messages of one key and status there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Stat {
    /// When the hour or other time began (like `2026-01-01T09:00:00Z`), the day, the status or the reason (`none`:
    /// none).
    pub key: String,
    /// Their status.
    pub status: String,
    /// How many there are.
    pub messages: i64,
}

impl Store {
    /// Counts the messages of a filter.
    pub async fn stats(&self, filter: &Filter, by: By) -> Result<Stats, OperatorError> {
        const STEP: &str = "counting messages";
        let ids = self.searched(filter).await?;
        let walk = Walk::new(filter, ids, None, COUNTED_MAX, COUNTED_MAX);
        let word = by.as_str();
        let more: [&(dyn ToSql + Sync); 1] = [&word];
        let parameters = [walk.parameters().as_slice(), &more].concat();
        let client = self.client().await?;
        let statement = prepared(&client, STATS, STEP).await?;
        let rows = client.query(&statement, &parameters).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read = rows.iter().map(stat).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(StoreError::unreadable(STEP))?;
        Ok(Stats {
            by: word,
            is_partial: read.iter().any(|(_, is_partial)| *is_partial),
            counts: read.into_iter().map(|(stat, _)| stat).collect(),
        })
    }
}

fn stat(row: &Row) -> Result<(Stat, bool), tokio_postgres::Error> {
    let stat = Stat {
        key: row.try_get("key")?,
        status: row.try_get("status")?,
        messages: row.try_get("messages")?,
    };
    Ok((stat, row.try_get("is_partial")?))
}
