//! What providers report, merged into how messages stand.
//!
//! Reports come in groups, and a group is one transaction: its rows and attempts are locked and read,
//! [`merge()`] says what follows, and that is written. What somebody holds is left out, and
//! comes again alone, with patience.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use deadpool_postgres::Transaction;
use uuid::Uuid;

use crate::message::{AttemptToken, MessageId};
use crate::proof::merge::{Located, Merged, merge};
use crate::proof::{Change, Report};
use crate::store::app::rows::{self, Delivered};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Store, StoreError, prepared};

mod read;
mod write;

use read::{Found, Group, Told};

const ALONE: &str = sql!("sql/receipts_alone.sql");
const ALONE_ATTEMPT: &str = sql!("sql/receipts_alone_attempt.sql");
const DUPLICATE: &str = sql!("sql/duplicate.sql");

/// The index that keeps two messages of one `dedup_key` from being under way.
const DEDUP: &str = "scheduled_messages_dedup_key";

const STEP: &str = "recording what a provider reports";

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// No attempt is known that it could be about.
    Unknown,
    /// It is recorded.
    Known {
        /// The message it is about.
        message: MessageId,
        /// What followed.
        change: Change,
    },
    /// Somebody holds what it is about; it is to come again, alone.
    Locked {
        /// The message it is about.
        message: MessageId,
        /// The attempt.
        token: AttemptToken,
    },
}

impl Store {
    /// Merges a group of reports: all of them, but those about what somebody holds, or on an error
    /// none. Repeating one changes nothing, so that after an error they may come again.
    pub async fn receive(
        &self,
        reports: &[Report],
        max_lateness: Duration,
    ) -> Result<Vec<Received>, StoreError> {
        let received = self.receive_in(reports, None, None, max_lateness).await;
        match received {
            Err(refused) if reports.len() == 1 => {
                let constraint = Self::no_retry(refused)?;
                self.receive_in(reports, None, Some(constraint), max_lateness)
                    .await
            }
            received => received,
        }
    }

    /// Merges one report, and waits for who holds what it is about, at most the lock time-out.
    pub async fn receive_alone(
        &self,
        report: &Report,
        of: (MessageId, AttemptToken),
        max_lateness: Duration,
    ) -> Result<Received, StoreError> {
        let report = std::slice::from_ref(report);
        let alone = |no_retry| self.receive_in(report, Some(of), no_retry, max_lateness);
        let received = match alone(None).await {
            Err(refused) => alone(Some(Self::no_retry(refused)?)).await?,
            Ok(received) => received,
        };
        Ok(received.first().copied().unwrap_or(Received::Unknown))
    }

    /// Why a row cannot be under way again, if that is why a report was refused. What has ended gave
    /// its `dedup_key` free: where another message has taken it meanwhile, the row is not tried
    /// again, but has failed.
    fn no_retry(refused: StoreError) -> Result<String, StoreError> {
        let Some(constraint) = refused.taken() else {
            return Err(refused);
        };
        tracing::warn!(
            constraint,
            "a message is not tried again: another one under way has its place"
        );
        Ok(match constraint {
            DEDUP => {
                "not tried again, a newer message with the same dedup_key is under way".to_owned()
            }
            other => format!("not tried again, the table's own index {other} has no room for it"),
        })
    }

    async fn receive_in(
        &self,
        reports: &[Report],
        alone: Option<(MessageId, AttemptToken)>,
        no_retry: Option<String>,
        max_lateness: Duration,
    ) -> Result<Vec<Received>, StoreError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        if let Some(of) = alone {
            wait_for(&tx, of).await?;
        }
        let mut group = Group::read(&tx, reports).await?;
        if let Some(no_retry) = no_retry {
            let rows = group.standings.messages.values_mut();
            for row in rows.filter_map(|standing| standing.row.as_mut()) {
                row.no_retry = Some(no_retry.clone());
            }
        }
        let located: Vec<Located<'_>> = group.located(reports).collect();
        let merged = merge(std::mem::take(&mut group.standings), &located, max_lateness);
        let moved = self.write(&tx, &merged, &group.told).await?;
        let doubled = doubled(&tx, &merged).await?;
        tell_app(&tx, &merged, &moved, &group.told).await?;
        tx.commit().await.map_err(StoreError::at(STEP))?;
        for token in doubled {
            if let Some(write) = merged.attempts.get(&token) {
                self.doubled(write.message, token);
            }
        }
        Ok(answers(&group.found, reports.len(), &merged))
    }
}

/// Locks what a report is about, waiting for who holds it.
async fn wait_for(
    tx: &Transaction<'_>,
    (message, token): (MessageId, AttemptToken),
) -> Result<(), StoreError> {
    for (sql, id) in [(ALONE, message.0), (ALONE_ATTEMPT, token.0)] {
        let statement = prepared(tx, sql, STEP).await?;
        tx.query(&statement, &[&id])
            .await
            .map_err(StoreError::at(STEP))?;
    }
    Ok(())
}

/// Which of the attempts that newly count as sent have a message that went out by another as well.
async fn doubled(
    tx: &Transaction<'_>,
    merged: &Merged<'_>,
) -> Result<Vec<AttemptToken>, StoreError> {
    let proven = merged
        .attempts
        .iter()
        .filter(|(_, write)| write.first_proof || write.arrived_after_all);
    let proven: Vec<Uuid> = proven.map(|(token, _)| token.0).collect();
    if proven.is_empty() {
        return Ok(Vec::new());
    }
    let statement = prepared(tx, DUPLICATE, STEP).await?;
    tx.query(&statement, &[&proven])
        .await
        .map_err(StoreError::at(STEP))?
        .iter()
        .map(|row| Ok(AttemptToken(row.try_get(0)?)))
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))
}

/// Writes the app's rows: whole where the provider was the first to tell of a message, for our own
/// record, had it come first, would have written them; else how far they have come.
async fn tell_app(
    tx: &Transaction<'_>,
    merged: &Merged<'_>,
    moved: &HashMap<MessageId, PgTimestamp>,
    told: &BTreeMap<AttemptToken, Told>,
) -> Result<(), StoreError> {
    let (mut whole, mut statuses) = (Vec::new(), Vec::new());
    for (token, write) in &merged.attempts {
        let new = moved.get(&write.message).zip(told.get(token));
        match new {
            Some((at, told)) if write.first_proof => {
                whole.push(delivered(write.message, *at, told, write.report));
            }
            _ => statuses.push((write.message, write.report.sid.0.as_str())),
        }
    }
    rows::write_behind_savepoint(tx, &whole).await?;
    rows::tell_statuses(tx, &statuses).await
}

/// The numbers are the provider's, as what was sent is not in our hands here.
fn delivered(message: MessageId, at: PgTimestamp, told: &Told, report: &Report) -> Delivered {
    Delivered::proven(
        message,
        told.conversation,
        report.to.clone().unwrap_or_else(|| told.to.clone()),
        report.from.clone(),
        told.body.clone(),
        report.sid.0.clone(),
        at.0,
    )
}

/// What became of each report.
fn answers(found: &[Found], reports: usize, merged: &Merged<'_>) -> Vec<Received> {
    let mut answers = vec![Received::Unknown; reports];
    let mut changes = merged.changes.iter().copied();
    for found in found {
        let (message, token) = (found.message, found.token);
        let received = if found.locked {
            Received::Locked { message, token }
        } else {
            let change = changes.next().unwrap_or(Change::Nothing);
            Received::Known { message, change }
        };
        if let Some(answer) = answers.get_mut(found.report) {
            *answer = received;
        }
    }
    answers
}
