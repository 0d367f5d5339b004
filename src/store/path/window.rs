//! The window: what is pending up to a moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use tokio_postgres::types::ToSql;

use super::rows::{lane, lane_address, written};
use crate::message::{MessageId, Moment, Priority, Routes};
use crate::reactor::Upcoming;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, prepared};

pub(in crate::store) static LOAD_WINDOW: &Sql = sql!("sql/load_window.sql");

/// Rows passed on at once while a window is read: the database is never far ahead of the consumer.
const CHUNK: usize = 1_000;

impl Store {
    /// Reads what is pending and due up to `until`, soonest first and at most so many, and passes it on in chunks; with
    /// `from`, not what was planned before that. An
    /// error may come after some chunks. Returns when the first is planned that was not passed on, if there are more;
    /// what is paused is due later than that.
    pub async fn load(
        &self,
        (from, until): (Option<Moment>, Moment),
        most: usize,
        max_lateness: Duration,
        mut chunk: impl FnMut(Vec<Upcoming>) -> BoxFuture<'static, ()> + Send,
    ) -> Result<Option<Moment>, StoreError> {
        const STEP: &str = "loading the window";
        let _reading = Reading::begin(&self.windows);
        let until = PgTimestamp(until);
        let late = micros(max_lateness);
        let sender = self.default_sender.as_deref();
        // One more shows that there are more.
        let limit = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
        let from = from.map(PgTimestamp);
        let params: [&(dyn ToSql + Sync); 5] = [&until, &late, &sender, &limit, &from];
        let ask = async {
            let client = self.client().await?;
            let load = prepared(&client, LOAD_WINDOW, STEP).await?;
            let rows = client.query_raw(&load, params).await;
            Ok((rows.map_err(StoreError::at(STEP))?, client))
        };
        // The client is kept to the end: the rows come over its connection.
        let (rows, client) = self.bounded(ask).await?;
        let mut rows = std::pin::pin!(rows);
        let mut part = Vec::new();
        let mut left = most;
        let mut reached = None;
        loop {
            let next = async {
                self.note_session(&client);
                rows.try_next().await.map_err(StoreError::at(STEP))
            };
            // The time-out applies to the database only, not to the consumer of the rows.
            let Some(row) = self.bounded(next).await? else {
                break;
            };
            if left == 0 {
                let planned = row.try_get::<_, PgTimestamp>("planned");
                reached = Some(planned.map_err(StoreError::unreadable(STEP))?.0);
                break;
            }
            left -= 1;
            part.push(read_upcoming(&row, &self.routes).map_err(StoreError::unreadable(STEP))?);
            if part.len() == CHUNK {
                chunk(std::mem::take(&mut part)).await;
            }
        }
        if !part.is_empty() {
            chunk(part).await;
        }
        Ok(reached)
    }
}

/// A window is being read, until this is dropped.
struct Reading<'a>(&'a AtomicU64);

impl<'a> Reading<'a> {
    fn begin(windows: &'a AtomicU64) -> Self {
        windows.fetch_add(1, Ordering::Relaxed);
        Self(windows)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Store {
    /// Whether a window is being read. Each of its rows has a time-out, so it ends.
    pub fn is_reading_window(&self) -> bool {
        self.windows.load(Ordering::Relaxed) > 0
    }
}

fn read_upcoming(
    row: &tokio_postgres::Row,
    routes: &Routes,
) -> Result<Upcoming, tokio_postgres::Error> {
    Ok(Upcoming {
        id: MessageId(row.try_get("id")?),
        due: row.try_get::<_, PgTimestamp>("due")?.0,
        version: row.try_get("version")?,
        attempts: row.try_get("attempts")?,
        priority: Priority::of(row.try_get("priority")?),
        lane: lane(row, lane_address(row)?, routes)?,
        written: written(row)?,
    })
}
