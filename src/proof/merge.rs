//! What a report changes, be it a callback or the result of a look-up. Pure: standings and reports are the
//! input, the writes are the output, and the store makes them in the transaction that read the standings.
//! [`merge`] goes through a group of reports, `change` judges one.
//!
//! A report about a message that the provider *has* is proof, however late it comes. A report that
//! it did not arrive concerns only its own attempt, and holds only until another one says that it
//! arrived: reports come in any order, so arrival counts before and after a failure.
//!
//! Reports come in groups. They are applied one after the other, each on top of those before it, so
//! that a group has the same result as its reports one by one; only the final result is written.

use std::collections::BTreeMap;
use std::time::Duration;

use super::report::Report;
use super::standing::{AttemptStanding, Change, Moved, RetryPlan, RowStanding, Standing};
use crate::message::{AttemptToken, MessageId, ProviderSid, Stage, Status};

mod again;
mod part;

pub use again::Allowed;
use again::again;

/// For `error_message`, where a message of a restored database did not arrive: a later attempt may have
/// been sent, and its record lost.
const RECOVERED: &str = "not retried, because the database was restored after this attempt";

/// The standing of everything that a group of reports is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// The messages.
    pub messages: BTreeMap<MessageId, Standing>,
    /// The attempts that the ledger has under the sids of the reports.
    pub owners: BTreeMap<String, AttemptToken>,
}

/// A report, and the attempt that it is about.
#[derive(Clone, Copy, Debug)]
pub struct Located<'a> {
    /// The message.
    pub message: MessageId,
    /// The attempt.
    pub token: AttemptToken,
    /// What was reported.
    pub report: &'a Report,
}

/// The writes for a group.
#[derive(Debug, Default)]
pub struct Merged<'a> {
    /// What each report changed, in their order.
    pub changes: Vec<Change>,
    /// The attempts that have advanced.
    pub attempts: BTreeMap<AttemptToken, AttemptWrite<'a>>,
    /// The rows that change status: mostly one step each; more where they must pass `sent`.
    pub rows: BTreeMap<MessageId, Vec<RowWrite<'a>>>,
    /// The reports that are kept.
    pub receipts: Vec<ReceiptWrite<'a>>,
}

/// An attempt that has advanced.
#[derive(Clone, Copy, Debug)]
pub struct AttemptWrite<'a> {
    /// Its message.
    pub message: MessageId,
    /// The report that it reflects now.
    pub report: &'a Report,
    /// The ledger did not know yet that the provider has it.
    pub first_proof: bool,
    /// It arrived, though the ledger had it as failed.
    pub arrived_after_all: bool,
}

/// A row that changes status.
#[derive(Clone, Debug)]
pub struct RowWrite<'a> {
    /// The new status.
    pub to: Status,
    /// The report that moves it.
    pub report: &'a Report,
    /// For `error_message`.
    pub error: Option<String>,
    /// With the row `pending`: not before this has passed.
    pub pause: Option<Duration>,
    /// Attempts that turned out not to count.
    pub uncounted: i32,
    /// How far a message of several parts has come by this.
    pub part: Option<Moved>,
}

/// A report that is kept, because it changed or contradicted something.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptWrite<'a> {
    /// What it is about.
    pub located: Located<'a>,
    /// Whether it contradicts what is recorded.
    pub contradicts: bool,
    /// The row's new status, if it changed.
    pub row: Option<Status>,
}

/// Applies `reports` one after the other. A report whose message or attempt is not in `standings` has no effect.
pub fn merge<'a>(
    mut standings: Standings,
    reports: &[Located<'a>],
    allowed: Allowed,
) -> Merged<'a> {
    let mut merged = Merged::default();
    for located in reports {
        let change = standings.take(located, allowed, &mut merged);
        merged.changes.push(change);
    }
    merged
}

impl Standings {
    fn take<'a>(
        &mut self,
        located: &Located<'a>,
        allowed: Allowed,
        merged: &mut Merged<'a>,
    ) -> Change {
        let Located {
            message,
            token,
            report,
        } = *located;
        let Some(standing) = self.messages.get_mut(&message) else {
            return Change::Nothing;
        };
        let Some(attempt) = standing.attempts.get_mut(&token) else {
            return Change::Nothing;
        };
        let owner = self.owners.get(&report.sid.0);
        let change = if is_conflict(attempt, owner, token, &report.sid) {
            // The provider has two messages for one attempt, or one message for two. Neither may
            // happen, and neither can be undone: the report is kept, and logged.
            Change::Contradiction
        } else {
            change(message, standing.row.as_ref(), attempt, report, allowed)
        };
        let (contradicts, moved) = match change {
            Change::Nothing => return change,
            Change::Contradiction => (true, None),
            Change::Advance {
                stage,
                row,
                again,
                part,
            } => {
                let write = merged.attempts.entry(token).or_insert(AttemptWrite {
                    message,
                    report,
                    first_proof: !attempt.accepted,
                    arrived_after_all: false,
                });
                write.report = report;
                write.arrived_after_all |= arrives_after_all(attempt, stage);
                attempt.accepted = true;
                attempt.sid = Some(report.sid.clone());
                attempt.stage = Some(stage);
                part::note(standing.row.as_mut(), attempt.part, stage);
                self.owners.insert(report.sid.0.clone(), token);
                if let (Some(to), Some(standing)) = (row, standing.row.as_mut()) {
                    let retries = report
                        .status
                        .delivery
                        .failure()
                        .is_some_and(|failure| allowed.failure(failure).is_retried());
                    let why = no_retry(standing, attempt)
                        .filter(|_| retries)
                        .map(str::to_owned);
                    let why = why.or_else(|| part.and_then(Moved::why));
                    let step = RowStep {
                        to,
                        again,
                        no_retry: why,
                        part,
                    };
                    move_row(standing, located, step, &mut merged.rows);
                }
                (false, row)
            }
        };
        merged.receipts.push(ReceiptWrite {
            located: *located,
            contradicts,
            row: moved,
        });
        change
    }
}

fn is_conflict(
    attempt: &AttemptStanding,
    owner: Option<&AttemptToken>,
    token: AttemptToken,
    sid: &ProviderSid,
) -> bool {
    let other_sid = attempt.sid.as_ref().is_some_and(|own| own != sid);
    other_sid || owner.is_some_and(|owner| *owner != token)
}

/// What a report changes that does not contradict the sids in the ledger.
fn change(
    message: MessageId,
    row: Option<&RowStanding>,
    attempt: &AttemptStanding,
    report: &Report,
    allowed: Allowed,
) -> Change {
    let delivery = report.status.delivery;
    let stage = delivery.stage();
    let arrived = arrives_after_all(attempt, stage);
    if let Some(before) = attempt.stage.filter(|_| !arrived) {
        let differ = before.row_status() != stage.row_status();
        if before.is_final() && stage.is_final() && differ {
            return Change::Contradiction;
        }
        // Two final stages of one rank with one row status, like `failed` and `undelivered`: the
        // first one stays.
        if stage.rank() <= before.rank() {
            return Change::Nothing;
        }
    }
    let row = row
        // The user who set a failed message back to `pending` wants another text sent.
        .filter(|_| !(arrived && attempt.requeued_since));
    if let Some(row) = row.filter(|row| row.parts.len() > 1) {
        return part::change(message, row, attempt, report, allowed);
    }
    let moved = row.and_then(|row| target(row, attempt, &report.sid, stage.row_status()));
    let again = match (moved, row) {
        (Some(Status::Failed), Some(row)) if no_retry(row, attempt).is_none() => {
            again(message, row, row.limits.attempts, delivery, allowed)
        }
        _ => None,
    };
    Change::Advance {
        stage,
        row: again.map(|_| Status::Pending).or(moved),
        again,
        part: None,
    }
}

/// Whether an attempt that earlier reports call failed has arrived.
fn arrives_after_all(attempt: &AttemptStanding, stage: Stage) -> bool {
    stage == Stage::Delivered && attempt.stage.is_some_and(Stage::is_failure)
}

/// Why a failed message is not retried, whatever its failure means.
fn no_retry<'a>(row: &'a RowStanding, attempt: &AttemptStanding) -> Option<&'a str> {
    let recovered = attempt.recovered.then_some(RECOVERED);
    row.no_retry.as_deref().or(recovered)
}

/// The row's new status; `None`: it stays.
fn target(
    row: &RowStanding,
    attempt: &AttemptStanding,
    sid: &ProviderSid,
    to: Status,
) -> Option<Status> {
    match (row.status, to) {
        (Status::Delivered, _) | (Status::Sent, Status::Sent) => None,
        // Proof counts whatever status the row has now.
        (_, Status::Sent | Status::Delivered) => Some(to),
        // A failure of an attempt counts only if that attempt is the row's current one.
        (Status::Sending | Status::Unconfirmed, _) => attempt.latest.then_some(to),
        (Status::Sent, _) => {
            let is_of_another = row.sid.as_ref().is_some_and(|own| own != sid);
            (!is_of_another).then_some(to)
        }
        (Status::Pending | Status::Failed | Status::Cancelled, _) => None,
    }
}

/// How a report moves a row.
struct RowStep {
    to: Status,
    /// With the row `pending`: how it is retried.
    again: Option<RetryPlan>,
    /// Why it is not retried, or which part did not arrive.
    no_retry: Option<String>,
    /// How far a message of several parts has come.
    part: Option<Moved>,
}

/// Moves a row, starting from where earlier reports of the group have moved it.
fn move_row<'a>(
    row: &mut RowStanding,
    located: &Located<'a>,
    step: RowStep,
    rows: &mut BTreeMap<MessageId, Vec<RowWrite<'a>>>,
) {
    let RowStep {
        to,
        again,
        no_retry,
        part,
    } = step;
    let report = located.report;
    let error = match (&no_retry, to) {
        // The provider's text stays at the end, where its code is looked for.
        (Some(why), Status::Failed) => Some(match &report.status.error {
            Some(error) => format!("{why}: {error}"),
            None => why.clone(),
        }),
        _ => report.status.error.clone(),
    };
    let uncounted = i32::from(again.is_some_and(|again| !again.counts));
    let mut write = RowWrite {
        to,
        report,
        error,
        pause: again
            .map(|again| again.pause)
            .or(part.and_then(|part| part.gap)),
        uncounted,
        part,
    };
    let steps = rows.entry(located.message).or_default();
    // A message that was sent and did not arrive was sent nonetheless: the row says when, and no
    // other transition leads from `pending` to `failed`.
    let keeps = |last: &RowWrite<'_>| last.to == Status::Sent && to != Status::Delivered;
    if let Some(last) = steps.pop_if(|last| !keeps(last)) {
        write.uncounted += last.uncounted;
    }
    steps.push(write);
    row.status = to;
    row.sid = (to != Status::Pending).then(|| report.sid.clone());
    row.limits.attempts -= uncounted;
    if let Some(part) = part {
        row.parts_done = part.done;
        row.limits.attempts = part.attempts.unwrap_or(row.limits.attempts);
    }
}

#[cfg(test)]
mod tests;
