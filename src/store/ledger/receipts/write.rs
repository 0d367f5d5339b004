//! Writes what follows from a group of reports. Statements that do not need each other's results
//! are sent together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use deadpool_postgres::Transaction;
use tokio_postgres::Statement;
use uuid::Uuid;

use super::STEP;
use super::read::AppMessage;
use crate::message::{AttemptToken, MessageId, Stage, Status};
use crate::proof::merge::{Merged, ReceiptWrite, RowWrite};
use crate::store::ledger::suppressions::{Pair, suppress_pairs};
use crate::store::path::outcomes::notify_ids;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, millis, prepared};

static ADVANCE: &Sql = sql!("../sql/receipts_advance.sql");
static KEEP: &Sql = sql!("../sql/receipts_keep.sql");
static MOVE: &Sql = sql!("../sql/receipts_move.sql");

/// What became of the rows that reports move.
#[derive(Default)]
pub(super) struct Moved {
    /// When they were moved.
    pub(super) at: HashMap<MessageId, PgTimestamp>,
    /// The rows that a trigger of the app's left as they were.
    pub(super) without_effect: BTreeSet<MessageId>,
}

impl Store {
    /// Writes everything except the app's rows.
    pub(super) async fn write(
        &self,
        tx: &Transaction<'_>,
        merged: &Merged<'_>,
        app_messages: &BTreeMap<AttemptToken, AppMessage>,
    ) -> Result<Moved, StoreError> {
        if merged.receipts.is_empty() {
            return Ok(Moved::default());
        }
        let now = self.steady_now();
        let steps = merged.rows.values().map(Vec::len).max().unwrap_or(0);
        // Prepared before any of them is sent: they reach the server in this order, so the error
        // that aborts the transaction is reported before those of the statements after it.
        let (to_advance, to_move, to_keep) = tokio::try_join!(
            prepared(tx, ADVANCE, STEP),
            prepared(tx, MOVE, STEP),
            prepared(tx, KEEP, STEP)
        )?;
        let ((), mut moved, ()) = tokio::try_join!(
            biased;
            self.advance(tx, &to_advance, merged),
            move_rows(tx, &to_move, merged, 0, now),
            keep(tx, &to_keep, &merged.receipts)
        )?;
        for step in 1..steps {
            let step = move_rows(tx, &to_move, merged, step, now).await?;
            // What the last step did counts.
            let is_left = |id: &MessageId| !step.at.contains_key(id);
            moved.without_effect.retain(is_left);
            moved.without_effect.extend(step.without_effect);
            moved.at.extend(step.at);
        }
        let last = |(id, steps): (&MessageId, &Vec<RowWrite<'_>>)| {
            let to = steps.last().map(|step| step.to);
            (to == Some(Status::Pending)).then_some(*id)
        };
        let pending: Vec<MessageId> = merged.rows.iter().filter_map(last).collect();
        // The daemon's own writes do not notify.
        notify_ids(tx, &pending).await?;
        let opted_out = merged
            .receipts
            .iter()
            .filter_map(|kept| opted_out(kept, app_messages));
        let opted_out: Vec<Pair> = opted_out.collect();
        suppress_pairs(tx, &opted_out, self.unnamed()).await?;
        Ok(moved)
    }

    /// Records on attempts which stage their messages have reached.
    async fn advance(
        &self,
        tx: &Transaction<'_>,
        statement: &Statement,
        merged: &Merged<'_>,
    ) -> Result<(), StoreError> {
        let attempts = &merged.attempts;
        if attempts.is_empty() {
            return Ok(());
        }
        let reports = || attempts.values().map(|write| write.report);
        let stages = || reports().map(|report| report.status.delivery.stage());
        let ask_ms = self.look_up_after.map(millis);
        let tokens: Vec<Uuid> = attempts.keys().map(|token| token.0).collect();
        let sids: Vec<&str> = reports().map(|report| &*report.sid.0).collect();
        let words: Vec<&str> = reports().map(|report| report.status.word).collect();
        let ask: Vec<Option<i64>> = stages()
            .map(|stage| ask_ms.filter(|_| !stage.is_final()))
            .collect();
        let failed: Vec<bool> = stages().map(Stage::is_failure).collect();
        let stages: Vec<&str> = stages().map(Stage::as_str).collect();
        let now = self.steady_now();
        tx.execute(
            statement,
            &[&tokens, &sids, &words, &stages, &ask, &failed, &now],
        )
        .await
        .map_err(StoreError::at(STEP))?;
        Ok(())
    }
}

/// The recipient that a report says has opted out, and from which sender. Where the provider does not show the
/// number, it is the row's.
fn opted_out(
    kept: &ReceiptWrite<'_>,
    app_messages: &BTreeMap<AttemptToken, AppMessage>,
) -> Option<Pair> {
    let report = kept.located.report;
    let counts = !kept.contradicts && report.status.delivery.is_opt_out();
    let of_row = || Some(app_messages.get(&kept.located.token)?.to.clone());
    let pair = report.from.clone().zip(report.to.clone().or_else(of_row));
    pair.filter(|_| counts)
}

async fn keep(
    tx: &Transaction<'_>,
    statement: &Statement,
    receipts: &[ReceiptWrite<'_>],
) -> Result<(), StoreError> {
    let column = |of: fn(&ReceiptWrite<'_>) -> Uuid| receipts.iter().map(of).collect::<Vec<_>>();
    let messages = column(|kept| kept.located.message.0);
    let tokens = column(|kept| kept.located.token.0);
    let reports = || receipts.iter().map(|kept| kept.located.report);
    let sids: Vec<&str> = reports().map(|report| &*report.sid.0).collect();
    let words: Vec<&str> = reports().map(|report| report.status.word).collect();
    let codes: Vec<Option<i32>> = reports().map(|report| report.status.code).collect();
    let effect = |kept: &ReceiptWrite<'_>| {
        if kept.contradicts {
            "contradicted"
        } else {
            "advanced"
        }
    };
    let effects: Vec<&str> = receipts.iter().map(effect).collect();
    let row = |kept: &ReceiptWrite<'_>| kept.row.map(Status::as_str);
    let rows: Vec<Option<&str>> = receipts.iter().map(row).collect();
    tx.execute(
        statement,
        &[&messages, &tokens, &sids, &words, &codes, &effects, &rows],
    )
    .await
    .map_err(StoreError::at(STEP))?;
    Ok(())
}

/// Moves rows by one step. Most have only one.
async fn move_rows(
    tx: &Transaction<'_>,
    statement: &Statement,
    merged: &Merged<'_>,
    step: usize,
    now: Option<PgTimestamp>,
) -> Result<Moved, StoreError> {
    let writes: Vec<(&MessageId, &RowWrite<'_>)> = merged
        .rows
        .iter()
        .filter_map(|(id, steps)| Some((id, steps.get(step)?)))
        .collect();
    if writes.is_empty() {
        return Ok(Moved::default());
    }
    let ids: Vec<Uuid> = writes.iter().map(|(id, _)| id.0).collect();
    let writes = || writes.iter().map(|(_, write)| *write);
    let statuses: Vec<&str> = writes().map(|write| write.to.as_str()).collect();
    let sids: Vec<&str> = writes().map(|write| &*write.report.sid.0).collect();
    let errors: Vec<Option<&str>> = writes().map(|write| write.error.as_deref()).collect();
    let codes: Vec<Option<i32>> = writes().map(|write| write.report.status.code).collect();
    let pauses: Vec<Option<i64>> = writes().map(|write| write.pause.map(micros)).collect();
    let uncounted: Vec<i32> = writes().map(|write| write.uncounted).collect();
    let parts = || writes().map(|write| write.part);
    let done: Vec<Option<i32>> = parts().map(|part| Some(part?.done.into())).collect();
    let attempts: Vec<Option<i32>> = parts().map(|part| part?.attempts).collect();
    let rows = tx
        .query(
            statement,
            &[
                &ids, &statuses, &sids, &errors, &codes, &pauses, &uncounted, &done, &attempts,
                &now,
            ],
        )
        .await
        .map_err(StoreError::at(STEP))?;
    let at = rows
        .iter()
        .map(|row| Ok((MessageId(row.try_get(0)?), row.try_get(1)?)))
        .collect::<Result<HashMap<_, _>, _>>()
        .map_err(StoreError::unreadable(STEP))?;
    // They are locked, so nothing else keeps them.
    let missing = |id: &MessageId| !at.contains_key(id);
    let without_effect = ids.into_iter().map(MessageId).filter(missing).collect();
    Ok(Moved { at, without_effect })
}
