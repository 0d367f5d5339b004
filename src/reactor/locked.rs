//! Rows that another transaction has locked.
//!
//! It may roll back any moment, so a row that is locked alone is tried again after 5 ms, doubling to a second. But one
//! transaction may hold thousands, and trying each of them every second would take the claims that free messages
//! need. So the rows of a claim most of which was locked are tried again together, and such claims follow each
//! other at a distance: they take a small share of the time, however many rows there are. The first of them that wins
//! shows that the lock is gone: a sweep then arms all again. Sweeps take a small share of the time, too.

use std::time::Duration;

use super::lanes::Load;
use super::{JudgedClaim, Phase, Reactor};
use crate::limits::ClaimLimits;
use crate::message::{ClaimResponse, MessageId, Moment, Now, RowState};
use crate::schedule::LEAD_MAX;

/// The rows that another transaction has locked.
#[derive(Debug)]
pub(super) struct Locked {
    limits: ClaimLimits,
    /// When the rows of the next claim of which most are locked will be tried again.
    next: Moment,
    /// When the rows of the claim that is being handled are tried again; `None`: most of them were free.
    together: Option<Moment>,
}

impl Locked {
    pub(super) const fn new(limits: ClaimLimits) -> Self {
        Self {
            limits,
            next: Moment::MIN,
            together: None,
        }
    }

    /// When a row is tried again that was locked so often in a row.
    pub(super) fn next_try(&self, misses: u16, now: Now) -> Moment {
        let own = now.db + self.limits.locked_retry.pause(u32::from(misses));
        self.together.map_or(own, |together| own.max(together))
    }

    /// Most of a claim was locked: its rows get their place behind those of other such claims.
    fn queue(&mut self, took: Duration, now: Now) {
        let longest = self.limits.locked_retry.pause(u32::MAX);
        let distance = took.saturating_mul(self.limits.locked_share).min(longest);
        let together = self.next.max(now.db);
        self.together = Some(together);
        self.next = together + distance;
    }

    const fn is_queued(&self, now: Now) -> bool {
        self.next.as_micros() > now.db.as_micros()
    }

    /// The claim is handled: rows that are found locked from here on are not part of it.
    pub(super) const fn end_claim(&mut self) {
        self.together = None;
    }

    /// Forgets the queue of claims of which most was locked.
    pub(super) const fn forget(&mut self) {
        self.next = Moment::MIN;
    }
}

/// Whether a row that was not won is pending and due, and so was locked.
fn is_locked(state: &RowState, now: Now) -> bool {
    matches!(state, RowState::Pending { due, pace: None, .. } if *due <= now.db + LEAD_MAX)
}

impl<P: Clone> Reactor<P> {
    /// Notes how much of a claim was locked.
    pub(super) fn note_locked(
        &mut self,
        answers: &[(MessageId, ClaimResponse<JudgedClaim<P>>)],
        took: Duration,
        now: Now,
    ) {
        let (mut locked, mut freed) = (0, 0);
        for (id, answer) in answers {
            match answer {
                ClaimResponse::Lost(state) if is_locked(state, now) => locked += 1,
                ClaimResponse::Won(_) => {
                    let was_locked = self.busy.get(id).is_some_and(|busy| busy.lock_misses > 0);
                    freed += usize::from(was_locked);
                }
                _ => {}
            }
        }
        if locked > 1 && locked * 2 > answers.len() {
            self.locked.queue(took, now);
        } else if freed > locked && self.locked.is_queued(now) {
            self.locked.forget();
            self.intake.sweep_unlocked();
        }
    }

    /// A message that this instance did not win.
    pub(super) fn lost(&mut self, id: MessageId, state: RowState, now: Now) {
        let Some(busy) = self.busy.remove(&id) else {
            return;
        };
        let Phase::Claiming { sweep, .. } = busy.phase else {
            self.busy.insert(id, busy);
            return;
        };
        self.lanes
            .note(busy.lane, |load| load.answered(busy.priority));
        self.lanes.note(busy.lane, Load::left);
        if busy.recheck || sweep != self.intake.sweep_number() {
            // The response may be older than a notification or a sweep that came meanwhile.
            self.intake.note_for_read(id);
        }
        let lock_misses = if is_locked(&state, now) {
            busy.lock_misses.saturating_add(1)
        } else {
            0
        };
        self.row_is(id, state, sweep, lock_misses, now);
    }
}
