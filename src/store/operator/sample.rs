//! What is counted and measured every few seconds for metrics and health, each up to a bound.

use crate::message::Moment;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static BEYOND: &Sql = sql!("sql/beyond.sql");
static SAMPLE: &Sql = sql!("sql/sample.sql");

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
    /// Bytes of the log that the server keeps for the change feed that is behind most; `None`: there is none.
    pub feed_kept: Option<f64>,
}

/// How many messages are pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Due in the window, also those that are paused or wait for their pace.
    pub within: u64,
    /// Due after it.
    pub beyond: u64,
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
                feed_kept: row.try_get("feed_kept")?,
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }

    /// How many messages are pending, due up to `until` and after it, each counted up to `most`.
    pub async fn pending(&self, until: Moment, most: u32) -> Result<Pending, StoreError> {
        const STEP: &str = "counting what is pending";
        let client = self.client().await?;
        let beyond = prepared(&client, BEYOND, STEP).await?;
        let row = client
            .query_one(&beyond, &[&PgTimestamp(until), &i64::from(most)])
            .await
            .map_err(StoreError::at(STEP))?;
        let count = |name: &str| row.try_get(name).map(i64::unsigned_abs);
        let read = || {
            Ok(Pending {
                within: count("within")?,
                beyond: count("beyond")?,
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }
}
