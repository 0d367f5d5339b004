//! The quarantine after a restore: which instances are unaccounted for, which rows are in it, and which are
//! cleared.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use super::look_ups::text_key;
use crate::message::{AttemptToken, InstanceId, LaneKey, MessageId, Moment, Routes};
use crate::proof::quarantine::QuarantinedRow;
use crate::store::path::rows::lane;
use crate::store::session::lineage::{Lineage, Quarantine};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, millis, prepared};

static ROWS: &Sql = sql!("sql/quarantine_rows.sql");
static PARTS: &Sql = sql!("sql/quarantine_parts.sql");
static CLEARED: &Sql = sql!("sql/quarantine_cleared.sql");
static BEGIN: &Sql = sql!("sql/quarantine_begin.sql");
static READ: &Sql = sql!("sql/quarantine_read.sql");
static ACCOUNT: &Sql = sql!("sql/quarantine_account.sql");
static END: &Sql = sql!("sql/quarantine_end.sql");
static CLEAR: &Sql = sql!("sql/quarantine_clear.sql");
static WITHOUT_OUTCOME: &Sql = sql!("sql/attempts_without_outcome.sql");

/// A message that an instance has cleared, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClearedAt {
    /// The message.
    pub id: MessageId,
    /// When it was cleared.
    pub at: Moment,
}

impl Store {
    /// Puts what is due before `before` in quarantine, for all instances. `ran`: those that are known to have
    /// run when the history changed; `first`: the earliest of them, since when all instances are known. Returns
    /// the quarantine as it is then.
    pub async fn quarantine_begin(
        &self,
        before: Moment,
        ran: &[InstanceId],
        first: Option<InstanceId>,
        silence: Duration,
    ) -> Result<Moment, StoreError> {
        const STEP: &str = "recording the quarantine";
        let ran: Vec<Uuid> = ran.iter().map(|instance| instance.0).collect();
        let heard_of = self
            .lineage
            .as_ref()
            .map_or_else(Vec::new, Lineage::heard_of);
        let heard_of: Vec<Uuid> = heard_of.iter().map(|instance| instance.0).collect();
        let client = self.client().await?;
        let begin = prepared(&client, BEGIN, STEP).await?;
        let row = client
            .query_one(
                &begin,
                &[
                    &PgTimestamp(before),
                    &self.instance.0,
                    &ran,
                    &millis(silence),
                    &first.map(|instance| instance.0),
                    &heard_of,
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        let before = row.try_get::<_, PgTimestamp>(0);
        Ok(before.map_err(StoreError::unreadable(STEP))?.0)
    }

    /// Reads the quarantine, for the daemon that follows it.
    pub async fn quarantine_read(&self) -> Result<(), StoreError> {
        const STEP: &str = "reading the quarantine";
        let Some(lineage) = &self.lineage else {
            return Ok(());
        };
        let client = self.client().await?;
        let read = prepared(&client, READ, STEP).await?;
        let row = client.query_opt(&read, &[]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let read = |row: Row| -> Result<Quarantine, tokio_postgres::Error> {
            let unaccounted: Vec<Uuid> = row.try_get("unaccounted")?;
            Ok(Quarantine {
                before: row.try_get::<_, PgTimestamp>("due_before")?.0,
                unaccounted: unaccounted.into_iter().map(InstanceId).collect(),
                has_ended: row.try_get("has_ended")?,
            })
        };
        let quarantine = row.map(read).transpose();
        lineage.saw_quarantine(quarantine.map_err(StoreError::unreadable(STEP))?);
        Ok(())
    }

    /// Records that everything these instances sent is in the ledger. Returns whether the
    /// quarantine has ended by that.
    pub async fn quarantine_account(&self, instances: &[InstanceId]) -> Result<bool, StoreError> {
        const STEP: &str = "accounting for instances";
        let ids: Vec<Uuid> = instances.iter().map(|instance| instance.0).collect();
        let client = self.client().await?;
        let account = prepared(&client, ACCOUNT, STEP).await?;
        let (mark, expected) = self.history_check();
        let row = client
            .query_opt(
                &account,
                &[
                    &self.instance.0,
                    &ids,
                    &expected.beats,
                    &expected.claimed,
                    &expected.recorded,
                ],
            )
            .await
            .inspect_err(|error| self.refused(error, mark))
            .map_err(StoreError::at(STEP))?;
        let has_ended = row.map(|row| row.try_get("has_ended")).transpose();
        Ok(has_ended
            .map_err(StoreError::unreadable(STEP))?
            .unwrap_or(true))
    }

    /// Ends the quarantine of what is due before `before`.
    pub async fn quarantine_end(&self, before: Moment) -> Result<(), StoreError> {
        const STEP: &str = "ending the quarantine";
        let client = self.client().await?;
        let end = prepared(&client, END, STEP).await?;
        let ended = client.execute(&end, &[&PgTimestamp(before)]).await;
        ended.map(drop).map_err(StoreError::at(STEP))
    }

    /// Clears these messages.
    pub async fn quarantine_clear(&self, ids: &[MessageId]) -> Result<(), StoreError> {
        const STEP: &str = "clearing messages from quarantine";
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let client = self.client().await?;
        let clear = prepared(&client, CLEAR, STEP).await?;
        let cleared = client.execute(&clear, &[&ids]).await;
        cleared.map(drop).map_err(StoreError::at(STEP))
    }

    /// How many of these attempts the ledger does not have with an outcome.
    pub async fn without_outcome(&self, tokens: &[AttemptToken]) -> Result<u64, StoreError> {
        const STEP: &str = "looking for attempts that were lost";
        let ids: Vec<Uuid> = tokens.iter().map(|token| token.0).collect();
        let client = self.client().await?;
        let count = prepared(&client, WITHOUT_OUTCOME, STEP).await?;
        let row = client.query_one(&count, &[&ids]).await;
        let n: Result<i64, _> = row.map_err(StoreError::at(STEP))?.try_get(0);
        Ok(n.map_err(StoreError::unreadable(STEP))?.unsigned_abs())
    }

    /// Rows that are due before `before`, to the numbers that follow `after`, in the order of
    /// their numbers; `most` of them.
    pub async fn quarantined(
        &self,
        before: Moment,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<QuarantinedRow>, StoreError> {
        const STEP: &str = "reading what is in quarantine";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let client = self.client().await?;
        let statement = prepared(&client, ROWS, STEP).await?;
        let rows = client
            .query(&statement, &[&PgTimestamp(before), &after, &most])
            .await
            .map_err(StoreError::at(STEP))?;
        rows.iter()
            .map(|row| read(row, &self.routes))
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// Messages of several parts of which the outcome of one is still looked up; `most` attempts are read.
    pub async fn quarantined_parts(&self, most: usize) -> Result<Vec<MessageId>, StoreError> {
        const STEP: &str = "reading which parts are looked up";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let client = self.client().await?;
        let statement = prepared(&client, PARTS, STEP).await?;
        let rows = client
            .query(&statement, &[&most])
            .await
            .map_err(StoreError::at(STEP))?;
        rows.iter()
            .map(|row| row.try_get(0).map(MessageId))
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// Messages that any instance has cleared, from the one after `after` on; `most` of them.
    pub async fn quarantine_cleared(
        &self,
        after: Option<ClearedAt>,
        most: usize,
    ) -> Result<Vec<ClearedAt>, StoreError> {
        const STEP: &str = "reading what was cleared from quarantine";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let (at, id) = after
            .map(|after| (PgTimestamp(after.at), after.id.0))
            .unzip();
        let client = self.client().await?;
        let statement = prepared(&client, CLEARED, STEP).await?;
        let rows = client
            .query(&statement, &[&at, &id, &most])
            .await
            .map_err(StoreError::at(STEP))?;
        let read = |row: &Row| {
            Ok(ClearedAt {
                id: MessageId(row.try_get(0)?),
                at: row.try_get::<_, PgTimestamp>(1)?.0,
            })
        };
        rows.iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// Whether the sender of a message of this lane, where it is not known, may be on WhatsApp.
    pub fn may_be_whatsapp(&self, lane: &LaneKey) -> bool {
        self.routes
            .may_be_whatsapp(lane, self.default_sender.as_deref())
    }

    /// The lanes that a message of this one may have gone by: of a route those of its accounts.
    pub fn ways(&self, lane: &LaneKey) -> Vec<LaneKey> {
        self.routes.ways(lane)
    }
}

fn read(row: &Row, routes: &Routes) -> Result<QuarantinedRow, tokio_postgres::Error> {
    let (number, from): (&str, Option<&str>) =
        (row.try_get("number")?, row.try_get("from_number")?);
    // As `lane_address!` has it.
    let to = format!(">{number}");
    Ok(QuarantinedRow {
        id: MessageId(row.try_get("id")?),
        to: row.try_get("number")?,
        from: row.try_get("from_number")?,
        text: text_key(row.try_get("text")?),
        since: row.try_get::<_, PgTimestamp>("since")?.0,
        touched: row
            .try_get::<_, Option<PgTimestamp>>("touched")?
            .map(|at| at.0),
        version: row.try_get("version")?,
        lane: lane(row, from.or(Some(&to)), routes)?,
    })
}
