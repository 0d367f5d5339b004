//! Records what came of requests, in groups.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::claims::pending;
use super::suppressions::{Pair, suppress_pairs};
use crate::message::{AttemptToken, Category, LedgerOutcome, MessageId, RowState, Status};
use crate::policy::Cleared;
use crate::proof::TextKey;
use crate::reactor::{Record, Settlement};
use crate::schedule::LookUpPlan;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Store, StoreError, micros, millis, prepared};

pub(in crate::store) const RECORD_SETTLED: &str = sql!("sql/record_settled.sql");

const NOTIFY_OTHERS: &str = sql!("sql/notify_others.sql");

/// Ids in one notice, as the trigger has it.
const NAMED_MAX: usize = 200;

/// What stands after a group was recorded: the attempts that are done with, and how their rows
/// are left where the statement moved them. What is missing was held by somebody.
pub type Recorded = HashMap<AttemptToken, Option<RowState>>;

pub(super) type Records<'a> = [&'a Record<Arc<Cleared>>];

impl Store {
    /// Records a group: all of what could be locked. On an error a part of it may stand all the
    /// same; to record it again changes nothing then.
    pub async fn record(&self, records: &Records<'_>) -> Result<Recorded, StoreError> {
        self.record_unchanged(records, &HashMap::new()).await
    }

    /// The same, but that proofs of these messages are proofs only of their rows as they were: one
    /// that its user has changed since is skipped, like one that somebody holds.
    pub async fn record_unchanged(
        &self,
        records: &Records<'_>,
        versions: &HashMap<MessageId, i64>,
    ) -> Result<Recorded, StoreError> {
        const STEP: &str = "recording outcomes";
        let (mark, _) = self.asks();
        let (accepted, settled): (Vec<_>, Vec<_>) = records
            .iter()
            .partition(|r| matches!(r.settlement, Settlement::Accepted { .. }));
        let mut done = Recorded::new();
        if !accepted.is_empty() {
            self.record_accepted(&accepted, versions, &mut done).await?;
        }
        if !settled.is_empty() {
            let mut client = self.client().await?;
            let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
            record_settled(&tx, &settled, &mut done).await?;
            let opted_out: Vec<Pair> = settled.iter().filter_map(|r| opted_out(r)).collect();
            suppress_pairs(&tx, &opted_out, self.default_sender.as_deref()).await?;
            if self.accompanied.load(Ordering::Relaxed) {
                tell_others(&tx, &settled, &done).await?;
            }
            tx.commit().await.map_err(StoreError::at(STEP))?;
        }
        if let (Some(lineage), Some(token)) = (&self.lineage, witness(records, &done)) {
            lineage.witness(|own| own.recorded(mark, token));
        }
        Ok(done)
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

/// Whom this record's refusal says not to text again, and from where.
fn opted_out(record: &Record<Arc<Cleared>>) -> Option<Pair> {
    let Settlement::Settled(settled) = &record.settlement else {
        return None;
    };
    let sent = record.payload.as_ref()?;
    (settled.category == Some(Category::OptedOut)).then(|| {
        let (from, to) = (sent.from().as_str(), sent.to().as_str());
        (from.to_owned(), to.to_owned())
    })
}

/// Tells the other instances which rows are pending again: they have taken them for ours.
async fn tell_others(
    tx: &Transaction<'_>,
    records: &Records<'_>,
    done: &Recorded,
) -> Result<(), StoreError> {
    let pending = |token| matches!(done.get(token), Some(Some(RowState::Pending { .. })));
    let again = records.iter().filter(|record| pending(&record.token));
    let again: Vec<MessageId> = again.map(|record| record.id).collect();
    notify_ids(tx, &again).await
}

/// Tells every instance of rows that the daemon itself has moved: its own writes do not notify.
pub(in crate::store) async fn notify_ids(
    tx: &Transaction<'_>,
    ids: &[MessageId],
) -> Result<(), StoreError> {
    const STEP: &str = "telling the other instances";
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

/// The text of the request, if one was made ready.
pub(super) fn body(record: &Record<Arc<Cleared>>) -> Option<&str> {
    record.payload.as_ref().map(|sent| sent.body())
}

async fn record_settled(
    tx: &Transaction<'_>,
    records: &Records<'_>,
    done: &mut Recorded,
) -> Result<(), StoreError> {
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
                &millis(LookUpPlan::IN_DOUBT.first()),
                &c.lookup_to,
                &c.lookup_from,
                &c.lookup_text,
                &c.body,
            ],
        )
        .await
        .map_err(StoreError::at(STEP))?;
    for row in &rows {
        let read = || -> Result<_, tokio_postgres::Error> {
            let token = AttemptToken(row.try_get("token")?);
            let status: Option<&str> = row.try_get("status")?;
            let state = match status.and_then(|s| s.parse::<Status>().ok()) {
                None => None,
                Some(Status::Pending) => Some(pending(row)?),
                Some(status) => Some(RowState::Gone {
                    status: Some(status),
                }),
            };
            Ok((token, state))
        };
        let (token, state) = read().map_err(StoreError::unreadable(STEP))?;
        // A row that was moved is told twice: once how it is left, once that it is done with.
        let known = done.entry(token).or_default();
        *known = known.take().or(state);
    }
    Ok(())
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
        self.category.push(settled.category.map(Category::as_str));
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
            .push(sought.map(|sent| sent.from().as_str()));
        self.lookup_text
            .push(sought.map(|sent| TextKey::of(sent.body()).0.to_vec()));
        self.until.push(settled.until().map(PgTimestamp));
        self.body.push(body(record));
    }
}
