//! The window: what is pending up to a moment.

use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::claims::{LANE_ADDRESS, lane, written};
use crate::message::{MessageId, Moment, Priority};
use crate::reactor::Upcoming;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, prepared};

pub(in crate::store) static LOAD_WINDOW: &Sql = sql!("sql/load_window.sql");
static BEYOND: &Sql = sql!("sql/beyond.sql");
static NOW: &Sql = sql!("sql/now.sql");
static SAMPLE: &Sql = sql!("sql/sample.sql");
static PREPARES: &Sql = sql!("sql/prepares.sql");
static NOTIFY: &Sql = sql!("sql/notify.sql");

/// Rows passed on at once while a window is read: the database is never far ahead of the consumer.
const CHUNK: usize = 1_000;

/// What is sampled is counted up to this.
const SAMPLE_MAX: i64 = 10_000;

/// What only the database knows.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How full the notification queue is, 0 to 1.
    pub notify_queue: f64,
    /// Messages `unconfirmed`.
    pub in_doubt: f64,
    /// Writes that the app's tables refused and that wait.
    pub outbox: f64,
}

impl Store {
    /// Measures what only the database knows.
    pub async fn sample(&self) -> Result<Sample, StoreError> {
        const STEP: &str = "measuring for the metrics";
        let client = self.client().await?;
        let sample = prepared(&client, SAMPLE, STEP).await?;
        let row = client.query_one(&sample, &[&SAMPLE_MAX]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let read = || {
            Ok(Sample {
                notify_queue: row.try_get("notify_queue")?,
                in_doubt: row.try_get("in_doubt")?,
                outbox: row.try_get("outbox")?,
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }

    /// Reads what is pending and due up to `until`, soonest first, and passes it on in chunks. An
    /// error may come after some chunks.
    pub async fn load(
        &self,
        until: Moment,
        max_lateness: Duration,
        mut chunk: impl FnMut(Vec<Upcoming>) -> BoxFuture<'static, ()> + Send,
    ) -> Result<(), StoreError> {
        const STEP: &str = "loading the window";
        let until = PgTimestamp(until);
        let late = micros(max_lateness);
        let sender = self.default_sender.as_deref();
        let params: [&(dyn ToSql + Sync); 3] = [&until, &late, &sender];
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
        loop {
            let next = async {
                self.note_session(&client);
                rows.try_next().await.map_err(StoreError::at(STEP))
            };
            // The time-out applies to the database only, not to the consumer of the rows.
            let Some(row) = self.bounded(next).await? else {
                break;
            };
            part.push(read_upcoming(&row).map_err(StoreError::unreadable(STEP))?);
            if part.len() == CHUNK {
                chunk(std::mem::take(&mut part)).await;
            }
        }
        if !part.is_empty() {
            chunk(part).await;
        }
        Ok(())
    }

    /// How many pending messages are due after `until`, counted up to `most`.
    pub async fn beyond(&self, until: Moment, most: u32) -> Result<u64, StoreError> {
        const STEP: &str = "counting what is beyond the window";
        let client = self.client().await?;
        let beyond = prepared(&client, BEYOND, STEP).await?;
        let row = client
            .query_one(&beyond, &[&PgTimestamp(until), &i64::from(most)])
            .await
            .map_err(StoreError::at(STEP))?;
        let n: i64 = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        Ok(n.unsigned_abs())
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<Moment, StoreError> {
        const STEP: &str = "reading the database's clock";
        let client = self.client().await?;
        let now = prepared(&client, NOW, STEP).await?;
        let row = client
            .query_one(&now, &[])
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(row
            .try_get::<_, PgTimestamp>(0)
            .map_err(StoreError::unreadable(STEP))?
            .0)
    }

    /// Whether transactions can be prepared, which cannot notify.
    pub async fn prepares_transactions(&self) -> Result<bool, StoreError> {
        const STEP: &str = "reading whether transactions can be prepared";
        let client = self.client().await?;
        let row = client.query_one(PREPARES.text(), &[]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        row.try_get("prepares")
            .map_err(StoreError::unreadable(STEP))
    }

    /// Sends a payload on the notification channel, over a connection of the pool.
    pub async fn notify(&self, payload: &str) -> Result<(), StoreError> {
        const STEP: &str = "notifying";
        let client = self.client().await?;
        let notify = prepared(&client, NOTIFY, STEP).await?;
        client
            .query(&notify, &[&payload])
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }
}

/// Sends a payload on the notification channel, in a session without settings. In one protocol message, with
/// nothing prepared: a pooler may pass each message to another session.
pub async fn notify_plainly(client: &Client, payload: &str) -> Result<(), StoreError> {
    client
        .query_typed(NOTIFY.text(), &[(&payload, Type::TEXT)])
        .await
        .map_err(StoreError::at("notifying"))?;
    Ok(())
}

fn read_upcoming(row: &tokio_postgres::Row) -> Result<Upcoming, tokio_postgres::Error> {
    Ok(Upcoming {
        id: MessageId(row.try_get("id")?),
        due: row.try_get::<_, PgTimestamp>("due")?.0,
        version: row.try_get("version")?,
        attempts: row.try_get("attempts")?,
        priority: Priority::of(row.try_get("priority")?),
        lane: lane(row, LANE_ADDRESS)?,
        written: written(row)?,
    })
}
