//! Cancels pending rows that are too late, without a claim: many at once, after a long pause.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::message::{MessageId, Moment};
use crate::policy::too_late;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, prepared};

static CANDIDATES: &Sql = sql!("sql/expire_candidates.sql");
static CANCEL: &Sql = sql!("sql/expire_cancel.sql");

impl Store {
    /// Cancels rows that are too late by [`too_late`], at most `most` of each kind; returns which.
    /// Rows due before `quarantine` are left alone, because they may have been sent, and so are paused ones.
    pub async fn expire(
        &self,
        max_lateness: Duration,
        quarantine: Option<Moment>,
        most: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        const STEP: &str = "cancelling messages that are too late";
        let mut client = self.client().await?;
        let candidates = prepared(&client, CANDIDATES, STEP).await?;
        let cancel = prepared(&client, CANCEL, STEP).await?;
        let (allowed, most) = (micros(max_lateness), i64::from(most));
        let quarantine = quarantine.map(PgTimestamp);
        let sender = self.default_sender.as_deref();
        let params: [&(dyn ToSql + Sync); 4] = [&allowed, &most, &quarantine, &sender];
        let failed = StoreError::at(STEP);
        let transaction = client.transaction().await.map_err(failed)?;
        let rows = transaction.query(&candidates, &params).await;
        let (mut ids, mut reasons) = (Vec::<Uuid>::new(), Vec::<String>::new());
        for row in rows.map_err(StoreError::at(STEP))? {
            let times = RowTimes::read(&row).map_err(StoreError::unreadable(STEP))?;
            if let Some(reason) = times.too_late(max_lateness) {
                ids.push(times.id);
                reasons.push(reason);
            }
        }
        let cancelled = if ids.is_empty() {
            Vec::new()
        } else {
            let done = transaction.query(&cancel, &[&ids, &reasons]).await;
            let done = done.map_err(StoreError::at(STEP))?;
            let id = |row: &Row| row.try_get(0).map(MessageId);
            let read: Result<_, _> = done.iter().map(id).collect();
            read.map_err(StoreError::unreadable(STEP))?
        };
        transaction.commit().await.map_err(StoreError::at(STEP))?;
        Ok(cancelled)
    }
}

/// The times of a locked row, as `expire_candidates.sql` and `look_up_put_back_rows.sql` return them.
pub(in crate::store) struct RowTimes {
    pub(in crate::store) id: Uuid,
    /// From when its lateness counts.
    late_from: Moment,
    send_before: Option<Moment>,
    /// The time of the read.
    now: Moment,
}

impl RowTimes {
    pub(in crate::store) fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let send_before: Option<PgTimestamp> = row.try_get(2)?;
        Ok(Self {
            id: row.try_get(0)?,
            late_from: row.try_get::<_, PgTimestamp>(1)?.0,
            send_before: send_before.map(|at| at.0),
            now: row.try_get::<_, PgTimestamp>(3)?.0,
        })
    }

    /// Why it is too late; `None`: it is not.
    pub(in crate::store) fn too_late(&self, max_lateness: Duration) -> Option<String> {
        too_late(self.late_from, self.send_before, max_lateness, self.now)
    }
}
