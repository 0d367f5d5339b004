//! Records what came of requests, in groups.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::claims::pending;
use super::suppressions::{Pair, suppress_pairs};
use crate::message::{AttemptToken, Category, InstanceId, MessageId, RowState, Status};
use crate::policy::Cleared;
use crate::reactor::{Record, Settlement};
use crate::schedule::Enquiry;
use crate::store::app::corrections::{Correction, correct};
use crate::store::app::rows::Delivered;
use crate::store::ledger::enquiries::text_key;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Store, StoreError, micros, millis, prepared};

pub(in crate::store) const RECORD_ACCEPTED: &str = sql!("sql/record_accepted.sql");
pub(in crate::store) const RECORD_SETTLED: &str = sql!("sql/record_settled.sql");

const NOTIFY_OTHERS: &str = sql!("sql/notify_others.sql");

/// Ids in one notice, as the trigger has it.
const NAMED_MAX: usize = 200;

/// What stands after a group was recorded: the attempts that are done with, and how their rows
/// are left where the statement moved them. What is missing was held by somebody.
pub type Recorded = HashMap<AttemptToken, Option<RowState>>;

type Records<'a> = [&'a Record<Arc<Cleared>>];

impl Store {
    /// Records a group in one transaction: all of what could be locked, or, on an error,
    /// nothing. On an error other than a refusal it may stand all the same; to record it again
    /// changes nothing then.
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
        let (accepted, settled): (Vec<_>, Vec<_>) = records
            .iter()
            .partition(|r| matches!(r.settlement, Settlement::Accepted { .. }));
        let mut client = self.client().await?;
        let mut tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let mut done = Recorded::new();
        let mut sent_twice = Vec::new();
        if !settled.is_empty() {
            record_settled(&tx, &settled, &mut done).await?;
            let opted_out: Vec<Pair> = settled.iter().filter_map(|r| opted_out(r)).collect();
            suppress_pairs(&tx, &opted_out, self.default_sender.as_deref()).await?;
            if self.accompanied.load(Ordering::Relaxed) {
                tell_others(&tx, &settled, &done).await?;
            }
        }
        if !accepted.is_empty() {
            let ask_ms = self.enquire_after.map(millis);
            let by = (self.instance, ask_ms);
            let news = record_accepted(&tx, &accepted, by, versions, &mut done).await?;
            sent_twice = news.sent_twice;
            crate::store::app::rows::write_behind_savepoint(&mut tx, news.delivered).await?;
            correct(&mut tx, &news.corrections).await?;
        }
        tx.commit().await.map_err(StoreError::at(STEP))?;
        for (message, token) in sent_twice {
            self.doubled(message, token);
        }
        Ok(done)
    }
}

/// Whom this record's refusal says not to text again, and from where.
fn opted_out(record: &Record<Arc<Cleared>>) -> Option<Pair> {
    let Settlement::Settled { category, .. } = &record.settlement else {
        return None;
    };
    let sent = record.payload.as_ref()?;
    (*category == Some(Category::OptedOut.as_str())).then(|| {
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
    const STEP: &str = "telling the other instances";
    let pending = |token| matches!(done.get(token), Some(Some(RowState::Pending { .. })));
    let again: Vec<String> = records
        .iter()
        .filter(|record| pending(&record.token))
        .map(|record| record.id.to_string())
        .collect();
    if again.is_empty() {
        return Ok(());
    }
    let statement = prepared(tx, NOTIFY_OTHERS, STEP).await?;
    // A payload has 8,000 bytes at most.
    for ids in again.chunks(NAMED_MAX) {
        tx.query(&statement, &[&format!("ids {}", ids.join(","))])
            .await
            .map_err(StoreError::at(STEP))?;
    }
    Ok(())
}

async fn record_accepted(
    tx: &Transaction<'_>,
    records: &Records<'_>,
    (instance, ask_ms): (InstanceId, Option<i64>),
    versions: &HashMap<MessageId, i64>,
    done: &mut Recorded,
) -> Result<News, StoreError> {
    const STEP: &str = "recording accepted messages";
    let ids: Vec<Uuid> = records.iter().map(|r| r.id.0).collect();
    let tokens: Vec<Uuid> = records.iter().map(|r| r.token.0).collect();
    let sids: Vec<&str> = records
        .iter()
        .map(|r| match &r.settlement {
            Settlement::Accepted { sid } => sid.0.as_str(),
            Settlement::Settled { .. } => unreachable!("partitioned by the caller"),
        })
        .collect();
    let started: Vec<Option<PgTimestamp>> =
        records.iter().map(|r| r.started.map(PgTimestamp)).collect();
    let finished: Vec<Option<PgTimestamp>> = records
        .iter()
        .map(|r| r.finished.map(PgTimestamp))
        .collect();
    let bodies: Vec<Option<&str>> = records.iter().map(|r| body(r)).collect();
    let of: Vec<Option<i64>> = records
        .iter()
        .map(|r| versions.get(&r.id).copied())
        .collect();
    let statement = prepared(tx, RECORD_ACCEPTED, STEP).await?;
    let rows = tx
        .query(
            &statement,
            &[
                &ids,
                &tokens,
                &sids,
                &started,
                &finished,
                &ask_ms,
                &bodies,
                &instance.0,
                &of,
            ],
        )
        .await
        .map_err(StoreError::at(STEP))?;

    let by_token: HashMap<AttemptToken, _> = records.iter().map(|r| (r.token, *r)).collect();
    let mut news = News::default();
    for row in &rows {
        let read = || -> Result<_, tokio_postgres::Error> {
            let token = AttemptToken(row.try_get("token")?);
            let moved: bool = row.try_get("moved")?;
            let text: Option<String> = row.try_get("body")?;
            let write = if moved {
                let to: String = row.try_get("to_number")?;
                Some((row.try_get("conversation_id")?, to))
            } else {
                None
            };
            Ok((token, write, text, row.try_get::<_, bool>("doubled")?))
        };
        let (token, write, text, doubled) = read().map_err(StoreError::unreadable(STEP))?;
        done.insert(token, None);
        let Some(record) = by_token.get(&token) else {
            continue;
        };
        if doubled {
            news.sent_twice.push((record.id, token));
        }
        let Some(text) = text else {
            continue;
        };
        match write {
            Some((conversation, to)) => {
                let delivered = Delivered::new(record, conversation, to, text);
                news.delivered.push(delivered);
            }
            None => news.corrections.extend(correction(record, text)),
        }
    }
    Ok(news)
}

/// What the app's tables do not know yet.
#[derive(Default)]
struct News {
    delivered: Vec<Delivered>,
    corrections: Vec<Correction>,
    sent_twice: Vec<(MessageId, AttemptToken)>,
}

/// The text of the request, if one was made ready.
fn body(record: &Record<Arc<Cleared>>) -> Option<&str> {
    record.payload.as_ref().map(|sent| sent.body())
}

fn correction(record: &Record<Arc<Cleared>>, row_body: String) -> Option<Correction> {
    let sent = body(record)?;
    let Settlement::Accepted { sid } = &record.settlement else {
        return None;
    };
    (sent != row_body).then(|| Correction {
        sid: sid.0.clone(),
        sent: sent.to_owned(),
        row_body,
    })
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
                &millis(Enquiry::IN_DOUBT.first()),
                &c.sought_to,
                &c.sought_from,
                &c.sought_text,
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
        *known = known.or(state);
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
    sought_to: Vec<Option<&'a str>>,
    sought_from: Vec<Option<&'a str>>,
    sought_text: Vec<Option<Vec<u8>>>,
    until: Vec<Option<PgTimestamp>>,
    body: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, record: &'a Record<Arc<Cleared>>) {
        let Settlement::Settled {
            to,
            outcome,
            code,
            category,
            reason,
            pause,
            until,
            counts,
        } = &record.settlement
        else {
            unreachable!("partitioned by the caller");
        };
        self.id.push(record.id.0);
        self.token.push(record.token.0);
        self.status.push(to.as_str());
        self.outcome.push(outcome);
        self.code.push(*code);
        self.category.push(*category);
        self.reason.push(reason.as_deref());
        self.pause.push(pause.map(micros));
        self.counts.push(*counts);
        self.started.push(record.started.map(PgTimestamp));
        self.finished.push(record.finished.map(PgTimestamp));
        let sought = record.payload.as_ref().filter(|_| *outcome == "unknown");
        self.sought_to.push(sought.map(|sent| sent.to().as_str()));
        self.sought_from
            .push(sought.map(|sent| sent.from().as_str()));
        self.sought_text
            .push(sought.map(|sent| text_key(sent.body())));
        self.until.push(until.map(PgTimestamp));
        self.body.push(body(record));
    }
}
