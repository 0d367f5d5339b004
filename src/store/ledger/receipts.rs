//! Merges what providers report into rows and attempts.
//!
//! Reports come in groups, and a group is one transaction: its rows and attempts are locked and read,
//! [`merge()`] decides what follows, and that is written. Reports about locked rows or attempts are left out,
//! and repeated one by one, waiting for the lock.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use deadpool_postgres::Transaction;
use uuid::Uuid;

use crate::message::{AttemptToken, MessageId};
use crate::proof::merge::{Allowed, Located, Merged, merge};
use crate::proof::{Change, Report};
use crate::store::app::rows::{self, Delivered};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

mod read;
mod write;

pub use super::replies::NewReply;

use read::{AppMessage, Found, Group};

static ALONE: &Sql = sql!("sql/receipts_alone.sql");
static ALONE_ATTEMPT: &Sql = sql!("sql/receipts_alone_attempt.sql");
static DUPLICATE: &Sql = sql!("sql/duplicate.sql");

/// The index that keeps two messages with one `dedup_key` from being active at the same time.
const DEDUP: &str = "scheduled_messages_dedup_key";

const STEP: &str = "recording what a provider reports";

/// The result for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// No attempt is known that it could be about.
    Unknown,
    /// It came by another account than the attempt went through: it changes nothing.
    OfAnother {
        /// The message it is about.
        message: MessageId,
    },
    /// It is recorded.
    Known {
        /// The message it is about.
        message: MessageId,
        /// What it changed.
        change: Change,
    },
    /// Another transaction has locked what it is about; repeat it alone.
    Locked {
        /// The message it is about.
        message: MessageId,
        /// The attempt.
        token: AttemptToken,
    },
}

impl Store {
    /// Merges a group of reports: all of them, except those about locked rows or attempts; after an
    /// error, none. Repeating a report changes nothing, so after an error they may be repeated.
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

    /// Merges one report, and waits for a lock on what it is about, at most the lock time-out.
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

    /// Why a row cannot be active again, if a report was refused for that reason. A message that has ended
    /// frees its `dedup_key`: if another message has taken it meanwhile, the row is not retried, but fails.
    fn no_retry(refused: StoreError) -> Result<String, StoreError> {
        let Some(constraint) = refused.taken() else {
            return Err(refused);
        };
        tracing::warn!(
            constraint,
            "a message is not retried: another one with its dedup_key is in progress"
        );
        Ok(match constraint {
            DEDUP => {
                "not retried: a newer message with the same dedup_key is in progress".to_owned()
            }
            other => format!("not retried: the table's own index {other} has no room for it"),
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
        let mut group = Group::read(&tx, reports, self.default_sender.as_deref()).await?;
        if let Some(no_retry) = no_retry {
            let rows = group.standings.messages.values_mut();
            for row in rows.filter_map(|standing| standing.row.as_mut()) {
                row.no_retry = Some(no_retry.clone());
            }
        }
        let located: Vec<Located<'_>> = group.located(reports).collect();
        let allowed = Allowed {
            max_lateness,
            part_gap: self.part_gap,
            retry_carrier: self.retry_carrier,
        };
        let merged = merge(std::mem::take(&mut group.standings), &located, allowed);
        let moved = self.write(&tx, &merged, &group.app_messages).await?;
        let doubled = doubled(&tx, &merged).await?;
        write_app_rows(&tx, &merged, &moved.at, &group.app_messages).await?;
        tx.commit().await.map_err(StoreError::at(STEP))?;
        let without_effect: Vec<_> = moved.without_effect.into_iter().collect();
        self.effects.note(&without_effect, merged.rows.len());
        for token in doubled {
            if let Some(write) = merged.attempts.get(&token) {
                self.doubled(write.message, token);
            }
        }
        Ok(results(&group.found, reports.len(), &merged))
    }
}

/// Locks what a report is about, waiting for other transactions.
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

/// Which of the attempts that newly count as sent have a message that another attempt sent too.
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

/// Writes the app's rows: complete ones where the provider's report is the first proof, because the
/// record of the response would have written them if it had come first; otherwise only the status.
async fn write_app_rows(
    tx: &Transaction<'_>,
    merged: &Merged<'_>,
    moved: &HashMap<MessageId, PgTimestamp>,
    app_messages: &BTreeMap<AttemptToken, AppMessage>,
) -> Result<(), StoreError> {
    let (mut whole, mut statuses) = (Vec::new(), Vec::new());
    for (token, write) in &merged.attempts {
        let new = moved.get(&write.message).zip(app_messages.get(token));
        match new {
            Some((at, app_message)) if write.first_proof => {
                whole.push(delivered(write.message, *at, app_message, write.report));
            }
            _ => statuses.push((write.message, write.report.sid.0.as_str())),
        }
    }
    rows::write_behind_savepoint(tx, &whole).await?;
    rows::write_statuses_of_group(tx, &statuses).await
}

/// The numbers are the provider's, because what was sent is not known here.
fn delivered(
    message: MessageId,
    at: PgTimestamp,
    app_message: &AppMessage,
    report: &Report,
) -> Delivered {
    Delivered::proven(
        message,
        app_message.conversation,
        report.to.clone().unwrap_or_else(|| app_message.to.clone()),
        report.from.clone(),
        app_message.body.clone(),
        report.sid.0.clone(),
        at.0,
    )
}

/// The result for each report.
fn results(found: &[Found], reports: usize, merged: &Merged<'_>) -> Vec<Received> {
    let mut results = vec![Received::Unknown; reports];
    let mut changes = merged.changes.iter().copied();
    for found in found {
        let (message, token) = (found.message, found.token);
        let received = if found.is_of_another {
            Received::OfAnother { message }
        } else if found.locked {
            Received::Locked { message, token }
        } else {
            let change = changes.next().unwrap_or(Change::Nothing);
            Received::Known { message, change }
        };
        let Some(result) = results.get_mut(found.report) else {
            continue;
        };
        if *result == Received::Unknown || !found.is_of_another {
            *result = received;
        }
    }
    results
}
