//! Cancels pending rows that are too late, without a claim: many at once, after a long pause.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::message::Moment;
use crate::policy::too_late;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Store, StoreError, micros, prepared};

const CANDIDATES: &str = sql!("sql/expire_candidates.sql");
const CANCEL: &str = sql!("sql/expire_cancel.sql");

impl Store {
    /// Cancels rows that are too late by [`too_late`], at most `most` of each kind; returns how many.
    /// Rows due before `quarantine` are left alone: they may have been sent.
    pub async fn expire(
        &self,
        max_lateness: Duration,
        quarantine: Option<Moment>,
        most: u32,
    ) -> Result<u64, StoreError> {
        const STEP: &str = "cancelling messages that are too late";
        let mut client = self.client().await?;
        let candidates = prepared(&client, CANDIDATES, STEP).await?;
        let cancel = prepared(&client, CANCEL, STEP).await?;
        let (allowed, most) = (micros(max_lateness), i64::from(most));
        let quarantine = quarantine.map(PgTimestamp);
        let params: [&(dyn ToSql + Sync); 3] = [&allowed, &most, &quarantine];
        let failed = StoreError::at(STEP);
        let transaction = client.transaction().await.map_err(failed)?;
        let rows = transaction.query(&candidates, &params).await;
        let (mut ids, mut reasons) = (Vec::<Uuid>::new(), Vec::<String>::new());
        for row in rows.map_err(StoreError::at(STEP))? {
            let candidate = candidate(&row).map_err(StoreError::unreadable(STEP))?;
            let (id, wanted_at, send_before, now) = candidate;
            if let Some(reason) = too_late(wanted_at, send_before, max_lateness, now) {
                ids.push(id);
                reasons.push(reason);
            }
        }
        let cancelled = if ids.is_empty() {
            0
        } else {
            let done = transaction.execute(&cancel, &[&ids, &reasons]).await;
            done.map_err(StoreError::at(STEP))?
        };
        transaction.commit().await.map_err(StoreError::at(STEP))?;
        Ok(cancelled)
    }
}

/// Its id, from when its lateness counts, its `send_before`, and the time of the read.
type Candidate = (Uuid, Moment, Option<Moment>, Moment);

fn candidate(row: &tokio_postgres::Row) -> Result<Candidate, tokio_postgres::Error> {
    let PgTimestamp(wanted_at) = row.try_get(1)?;
    let send_before: Option<PgTimestamp> = row.try_get(2)?;
    let PgTimestamp(now) = row.try_get(3)?;
    Ok((row.try_get(0)?, wanted_at, send_before.map(|at| at.0), now))
}
