//! Records the outcomes of requests, in groups.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::{GenericClient, Transaction};
use uuid::Uuid;

use super::rows::pending;
use crate::message::{AttemptToken, Category, LedgerOutcome, MessageId, Routes, RowState, Status};
use crate::policy::Cleared;
use crate::proof::TextKey;
use crate::schedule::LookUpPlan;
use crate::settle::{Record, Settlement};
use crate::store::ledger::suppressions::{Pair, suppress_pairs};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, millis, prepared};

pub(in crate::store) static RECORD_SETTLED: &Sql = sql!("sql/record_settled.sql");

static NOTIFY_OTHERS: &Sql = sql!("sql/notify_others.sql");

/// Ids in one notification, as the trigger has it.
const NAMED_MAX: usize = 200;

/// The result of recording a group: the attempts that are done, and the new states of the rows that
/// the statement moved. What is missing was locked by another transaction.
pub type Recorded = HashMap<AttemptToken, Option<RowState>>;

pub(super) type Records<'a> = [&'a Record<Arc<Cleared>>];

impl Store {
    /// Records a group: everything that could be locked. After an error a part of it may be
    /// committed nonetheless; recording it again changes nothing then.
    pub async fn record(&self, records: &Records<'_>) -> Result<Recorded, StoreError> {
        self.record_unchanged(records, &HashMap::new()).await
    }

    /// The same, except that proofs of these messages apply only to their rows as they were: one
    /// that its user has changed since is skipped, like one that is locked.
    pub async fn record_unchanged(
        &self,
        records: &Records<'_>,
        versions: &HashMap<MessageId, i64>,
    ) -> Result<Recorded, StoreError> {
        const STEP: &str = "recording outcomes";
        let (mark, _) = self.history_check();
        let (accepted, settled): (Vec<_>, Vec<_>) = records
            .iter()
            .partition(|r| matches!(r.settlement, Settlement::Accepted { .. }));
        let mut done = Recorded::new();
        if !accepted.is_empty() {
            self.record_accepted(&accepted, versions, &mut done).await?;
            self.notify_of_next_parts(&accepted, &done).await;
        }
        if !settled.is_empty() {
            let mut client = self.client().await?;
            let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
            let without_effect = record_settled(&tx, &settled, &self.routes, &mut done).await?;
            let opted_out: Vec<Pair> = settled.iter().filter_map(|r| opted_out(r)).collect();
            suppress_pairs(&tx, &opted_out, self.unnamed()).await?;
            if self.is_accompanied() {
                notify_others(&tx, &settled, &done).await?;
            }
            tx.commit().await.map_err(StoreError::at(STEP))?;
            let finished = settled.iter().filter(|r| done.contains_key(&r.token));
            self.effects.note(&without_effect, finished.count());
        }
        if let (Some(lineage), Some(token)) = (&self.lineage, witness(records, &done)) {
            lineage.witness(|own| own.recorded(mark, token));
        }
        Ok(done)
    }

    /// Notifies the other instances of messages that go on with their next part. If that fails, their sweeps find them.
    async fn notify_of_next_parts(&self, accepted: &Records<'_>, done: &Recorded) {
        let next = accepted.iter().filter(|record| record.has_next());
        let next = next.filter(|record| done.contains_key(&record.token));
        let next: Vec<MessageId> = next.map(|record| record.id).collect();
        if next.is_empty() || !self.is_accompanied() {
            return;
        }
        let notified = async {
            let client = self.client().await?;
            notify_ids(&client, &next).await
        };
        if let Err(error) = notified.await {
            tracing::debug!(%error, "the other instances were not notified of next parts");
        }
    }
}

/// An attempt that certainly has an outcome in the ledger now. One that was released may not be there: the
/// response to its claim was lost.
fn witness(records: &Records<'_>, done: &Recorded) -> Option<AttemptToken> {
    let is_there = |record: &&&Record<Arc<Cleared>>| match done.get(&record.token) {
        Some(state) => state.is_some() || matches!(record.settlement, Settlement::Accepted { .. }),
        None => false,
    };
    records.iter().find(is_there).map(|record| record.token)
}

/// The recipient that this refusal says has opted out, and from which sender.
fn opted_out(record: &Record<Arc<Cleared>>) -> Option<Pair> {
    let Settlement::Settled(settled) = &record.settlement else {
        return None;
    };
    let sent = record.payload.as_ref()?;
    let from = sent
        .from()
        .filter(|_| settled.category == Some(Category::OptedOut))?;
    Some((from.as_str().to_owned(), sent.to().as_str().to_owned()))
}

/// Notifies the other instances of rows that are pending again: they have them as claimed by this
/// one.
async fn notify_others(
    tx: &Transaction<'_>,
    records: &Records<'_>,
    done: &Recorded,
) -> Result<(), StoreError> {
    let pending = |token| matches!(done.get(token), Some(Some(RowState::Pending { .. })));
    let again = records.iter().filter(|record| pending(&record.token));
    let again: Vec<MessageId> = again.map(|record| record.id).collect();
    notify_ids(tx, &again).await
}

/// Notifies every instance of rows that the daemon itself has moved: its own writes run no trigger
/// that does.
pub(in crate::store) async fn notify_ids(
    tx: &impl GenericClient,
    ids: &[MessageId],
) -> Result<(), StoreError> {
    const STEP: &str = "notifying the other instances";
    if ids.is_empty() {
        return Ok(());
    }
    let statement = prepared(tx, NOTIFY_OTHERS, STEP).await?;
    // A payload has 8,000 bytes at most.
    for ids in ids.chunks(NAMED_MAX) {
        let ids: Vec<String> = ids.iter().map(MessageId::to_string).collect();
        tx.query(&statement, &[&format!("ids {}", ids.join(","))])
            .await
            .map_err(StoreError::at(STEP))?;
    }
    Ok(())
}

/// The text of the request, if one was prepared.
pub(super) fn body(record: &Record<Arc<Cleared>>) -> Option<&str> {
    record.payload.as_ref().map(|sent| sent.body())
}

/// Returns those whose rows were to be changed, and were not.
async fn record_settled(
    tx: &Transaction<'_>,
    records: &Records<'_>,
    routes: &Routes,
    done: &mut Recorded,
) -> Result<Vec<MessageId>, StoreError> {
    const STEP: &str = "recording outcomes that are not positive";
    let mut columns = Columns::default();
    for record in records {
        columns.push(record);
    }
    let c = &columns;
    let statement = prepared(tx, RECORD_SETTLED, STEP).await?;
    let rows = tx
        .query(
            &statement,
            &[
                &c.id,
                &c.token,
                &c.status,
                &c.outcome,
                &c.code,
                &c.category,
                &c.reason,
                &c.pause,
                &c.counts,
                &c.started,
                &c.finished,
                &c.until,
                &millis(LookUpPlan::UNCERTAIN.first()),
                &c.lookup_to,
                &c.lookup_from,
                &c.lookup_text,
                &c.body,
                &c.lawful,
            ],
        )
        .await
        .map_err(StoreError::at(STEP))?;
    let mut without_effect = Vec::new();
    for row in &rows {
        let read = || -> Result<_, tokio_postgres::Error> {
            let token = AttemptToken(row.try_get("token")?);
            let has_effect: bool = row.try_get("has_effect")?;
            let status: Option<&str> = row.try_get("status")?;
            let state = match status.and_then(|s| s.parse::<Status>().ok()) {
                None => None,
                Some(Status::Pending) => Some(pending(row, None, routes)?),
                Some(status) => Some(RowState::Gone {
                    status: Some(status),
                }),
            };
            Ok((token, state, has_effect))
        };
        let (token, state, has_effect) = read().map_err(StoreError::unreadable(STEP))?;
        if !has_effect {
            let record = records.iter().find(|record| record.token == token);
            without_effect.extend(record.map(|record| record.id));
        }
        // A row that was moved is returned twice: once with its new state, once as done.
        let known = done.entry(token).or_default();
        *known = known.take().or(state);
    }
    Ok(without_effect)
}

/// The parameters of `record_settled.sql`, a column each.
#[derive(Default)]
struct Columns<'a> {
    id: Vec<Uuid>,
    token: Vec<Uuid>,
    status: Vec<&'static str>,
    outcome: Vec<&'static str>,
    code: Vec<Option<i32>>,
    category: Vec<Option<&'static str>>,
    reason: Vec<Option<&'a str>>,
    pause: Vec<Option<i64>>,
    counts: Vec<bool>,
    started: Vec<Option<PgTimestamp>>,
    finished: Vec<Option<PgTimestamp>>,
    lookup_to: Vec<Option<&'a str>>,
    lookup_from: Vec<Option<&'a str>>,
    lookup_text: Vec<Option<Vec<u8>>>,
    until: Vec<Option<PgTimestamp>>,
    body: Vec<Option<&'a str>>,
    lawful: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, record: &'a Record<Arc<Cleared>>) {
        let Settlement::Settled(settled) = &record.settlement else {
            unreachable!("partitioned by the caller");
        };
        self.id.push(record.id.0);
        self.token.push(record.token.0);
        self.status.push(settled.status().as_str());
        self.outcome.push(settled.outcome.as_str());
        self.code.push(settled.code);
        self.category.push(settled.kind());
        self.reason.push(settled.reason.as_deref());
        self.pause.push(settled.pause().map(micros));
        self.counts.push(settled.counts);
        self.started.push(record.started.map(PgTimestamp));
        self.finished.push(record.finished.map(PgTimestamp));
        let sought = record
            .payload
            .as_ref()
            .filter(|_| settled.outcome == LedgerOutcome::Unknown);
        self.lookup_to.push(sought.map(|sent| sent.to().as_str()));
        self.lookup_from
            .push(sought.and_then(|sent| Some(sent.from()?.as_str())));
        self.lookup_text
            .push(sought.map(|sent| TextKey::of(sent.body()).0.to_vec()));
        self.until.push(settled.until().map(PgTimestamp));
        self.body.push(body(record));
        let begun = record.payload.as_ref().filter(|_| record.started.is_some());
        let permitted = begun.and_then(|sent| Some(sent.lawful()?.by.as_str()));
        self.lawful.push(permitted.or(settled.lawful.as_deref()));
    }
}
