//! What users do, one statement a transaction, and what the triggers make of it.

use punctual::message::status::{Writer, transition};
use punctual::message::{Channel, MessageId, Moment, Priority, Status};

use super::{Database, Row};
use crate::mutant::Mutant;

/// What a user asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Insert {
        at: Moment,
        channel: Channel,
        to: String,
        body: String,
        priority: Priority,
    },
    Reschedule {
        at: Moment,
    },
    Edit {
        body: String,
    },
    /// It is to go another way.
    Reroute {
        channel: Channel,
        to: String,
    },
    Cancel,
    /// The app's own sender, which may still run beside us, says what became of it.
    Mark(Status),
    /// A failed or cancelled row is to go again; `None`: its time stays.
    PutBack {
        at: Option<Moment>,
    },
    Delete,
    /// `select … for update`, which any row allows.
    Hold,
}

/// A statement that has run and not been committed. It holds its row.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    id: MessageId,
    before: Option<Row>,
    after: Option<Row>,
}

impl Database {
    /// Runs a user's statement at `now`. `None`: refused, skipped, or there is no such row.
    pub(crate) fn begin(
        &mut self,
        id: MessageId,
        change: &Change,
        now: Moment,
    ) -> Option<Transaction> {
        if !self.free(id) {
            return None;
        }
        let before = self.rows.get(&id).cloned();
        let after = match change {
            Change::Insert {
                at,
                channel,
                to,
                body,
                priority,
            } => {
                if before.is_some() {
                    return None;
                }
                let failure = self.failure(*channel);
                Some(Row {
                    id,
                    status: failure.as_ref().map_or(Status::Pending, |_| Status::Failed),
                    channel: *channel,
                    to: to.clone(),
                    body: body.clone(),
                    priority: *priority,
                    scheduled_at: *at,
                    deferred_until: None,
                    next_attempt_at: None,
                    requeued_at: None,
                    created_at: now,
                    attempts: 0,
                    parts_done: 0,
                    parts_total: None,
                    version: 0,
                    reason: failure,
                    sid: None,
                    sent_at: None,
                })
            }
            Change::Delete => {
                let past_the_point = before.as_ref()?.status == Status::Sending;
                if past_the_point && self.mutant != Some(Mutant::OpenGuard) {
                    return None;
                }
                None
            }
            Change::Hold => Some(before.clone()?),
            other => Some(self.update(before.as_ref()?, other, now)?),
        };
        self.locked.insert(id);
        Some(Transaction { id, before, after })
    }

    /// `punctual.guard_update` and `punctual.guard_put_back`.
    fn update(&self, old: &Row, change: &Change, now: Moment) -> Option<Row> {
        let mut new = old.clone();
        match change {
            Change::Reschedule { at } => new.scheduled_at = *at,
            Change::Edit { body } => new.body.clone_from(body),
            Change::Reroute { channel, to } => {
                new.channel = *channel;
                new.to.clone_from(to);
            }
            Change::Cancel => new.status = Status::Cancelled,
            Change::Mark(status) => new.status = *status,
            Change::PutBack { at } => {
                new.status = Status::Pending;
                new.scheduled_at = at.unwrap_or(old.scheduled_at);
            }
            Change::Insert { .. } | Change::Delete | Change::Hold => {}
        }
        if !transition(Some(old.status), new.status, Writer::User) {
            return None;
        }
        let content = |row: &Row| {
            let (to, body) = (row.to.clone(), row.body.clone());
            (to, body, row.scheduled_at, row.channel)
        };
        let is_fixed = (old.parts_done > 0 && self.mutant != Some(Mutant::OpenParts))
            || matches!(
                old.status,
                Status::Sending | Status::Sent | Status::Delivered | Status::Unconfirmed
            );
        if is_fixed && content(&new) != content(old) && self.mutant != Some(Mutant::OpenGuard) {
            return None;
        }
        if new.status == Status::Pending
            && let Some(failure) = self.failure(new.channel)
        {
            new.status = Status::Failed;
            new.reason = Some(failure);
        }
        let back = old.status != Status::Pending && new.status == Status::Pending;
        let unresolved =
            |a: &super::Attempt| a.message == old.id && matches!(a.outcome, None | Some("unknown"));
        if back && self.attempts.iter().any(unresolved) {
            return None;
        }
        // Nothing of it is left.
        if back && old.parts_total.is_some_and(|total| old.parts_done >= total) {
            return None;
        }
        new.version += 1;
        if new.status == Status::Pending && (back || new.scheduled_at != old.scheduled_at) {
            new.deferred_until = None;
            new.next_attempt_at = None;
            new.attempts = 0;
            new.requeued_at = Some(now);
            if back {
                new.reason = None;
                new.sid = None;
                new.sent_at = None;
            }
        } else if new.status == Status::Cancelled && old.status != Status::Cancelled {
            new.reason = Some(match new.parts_total {
                Some(total) if new.parts_done > 0 => {
                    format!("{} of {total} parts sent", new.parts_done)
                }
                _ => "the user cancelled it".into(),
            });
        }
        Some(new)
    }

    /// Why a pending row with this channel fails.
    fn failure(&self, channel: Channel) -> Option<String> {
        (!self.understood.contains(&channel)).then(|| {
            let word = channel.as_str();
            let supported = Channel::UNDERSTOOD.map(Channel::as_str).join(", ");
            format!("the channel \"{word}\" is not supported; supported are: {supported}")
        })
    }

    /// Commits. Whether the notice trigger has something to say; the window of two hours is
    /// longer than any of these worlds.
    pub(crate) fn commit(&mut self, tx: Transaction, now: Moment) -> bool {
        self.locked.remove(&tx.id);
        if tx.before == tx.after {
            // It was only held: nothing was written, and no trigger ran.
            return false;
        }
        let pending = |row: &Option<Row>| row.as_ref().is_some_and(|r| r.status == Status::Pending);
        let notice = pending(&tx.before) || pending(&tx.after);
        let was = tx.before.as_ref().map(|row| row.status);
        self.touched.insert(tx.id, now);
        match tx.after {
            Some(row) => {
                let back = matches!(was, Some(Status::Failed | Status::Cancelled));
                if back && row.status == Status::Pending {
                    self.put_back.insert(tx.id, now);
                }
                self.rows.insert(tx.id, row);
            }
            None => {
                self.rows.remove(&tx.id);
            }
        }
        notice
    }

    pub(crate) fn roll_back(&mut self, tx: &Transaction) {
        self.locked.remove(&tx.id);
    }
}

impl Transaction {
    pub(crate) const fn id(&self) -> MessageId {
        self.id
    }
}
