//! What is due and was not sent.

use std::time::Duration;

use tokio_postgres::types::ToSql;

use crate::message::Moment;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, prepared};

static OVERDUE: &Sql = sql!("sql/overdue.sql");

/// Counted up to this.
const COUNT_MAX: i64 = 10_000;

/// So many of the oldest are tried for a lock.
const TRIED_MAX: i64 = 20;

/// What is due and was not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Messages, counted up to 10,000 with those that are paused or wait for their pace.
    pub messages: u64,
    /// How many others are paused.
    pub paused: u64,
    /// How many wait for their pace.
    pub paced: u64,
    /// For how long the oldest of them has been due.
    pub oldest: Duration,
    /// Other transactions have locked the oldest of them.
    pub is_locked: bool,
}

impl Store {
    /// What has been due for longer than this, and not before `quarantined`.
    pub async fn overdue(
        &self,
        longer_than: Duration,
        quarantined: Option<Moment>,
    ) -> Result<Overdue, StoreError> {
        const STEP: &str = "looking for what is due and was not sent";
        let at = StoreError::at(STEP);
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(&at)?;
        let overdue = prepared(&tx, OVERDUE, STEP).await?;
        let (late, before) = (micros(longer_than), quarantined.map(PgTimestamp));
        let sender = self.default_sender.as_deref();
        let params: [&(dyn ToSql + Sync); 5] = [&late, &before, &COUNT_MAX, &TRIED_MAX, &sender];
        let row = tx.query_one(&overdue, &params).await.map_err(&at)?;
        tx.rollback().await.map_err(&at)?;
        let read = || {
            let (messages, oldest): (i64, i64) =
                (row.try_get("messages")?, row.try_get("oldest_us")?);
            let (paused, paced): (i64, i64) = (row.try_get("paused")?, row.try_get("paced")?);
            Ok(Overdue {
                messages: messages.unsigned_abs(),
                paused: paused.unsigned_abs(),
                paced: paced.unsigned_abs(),
                oldest: Duration::from_micros(oldest.max(0).unsigned_abs()),
                is_locked: row.try_get("is_locked")?,
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }
}
