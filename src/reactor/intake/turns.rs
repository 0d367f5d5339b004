//! Messages whose turn was another instance's. Nearly all of them it has claimed; so they are not claimed but read,
//! many together, and only what is still pending is taken over.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::IntakeLimits;
use crate::message::{MessageId, Now, RowState, Uptime};
use crate::reactor::{Reactor, Upcoming};
use crate::schedule::Timer;

/// Those that are to be looked at.
#[derive(Debug)]
pub(super) struct Turns {
    limits: IntakeLimits,
    /// Which; and whether they are taken over if they are pending: others are watched.
    waiting: BTreeMap<MessageId, bool>,
    /// When the first of them is to be looked at.
    at: Uptime,
}

impl Turns {
    pub(super) const fn new(limits: IntakeLimits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            at: Uptime::MIN,
        }
    }

    /// Notes one, if there is room.
    pub(super) fn note(&mut self, id: MessageId, takes_over: bool, now: Now) -> bool {
        if self.waiting.len() >= self.limits.notified_max {
            return false;
        }
        if self.waiting.is_empty() {
            self.at = now.up + self.limits.turns_gather;
        }
        self.waiting.insert(id, takes_over);
        true
    }

    /// When they are to be read; `None`: there are none.
    pub(super) fn next(&self) -> Option<Uptime> {
        (!self.waiting.is_empty()).then_some(self.at)
    }

    pub(super) fn are_ripe(&self, now: Now) -> bool {
        self.next().is_some_and(|at| at <= now.up)
    }

    /// Adds up to `most` of them to those that are read now, if it is time. Returns what is taken over if it is
    /// pending.
    pub(super) fn take(
        &mut self,
        most: usize,
        now: Now,
        is_free: impl Fn(&MessageId) -> bool,
        ids: &mut Vec<MessageId>,
    ) -> BTreeSet<MessageId> {
        let mut passed = BTreeSet::new();
        let most = if self.are_ripe(now) { most } else { 0 };
        for _ in 0..most {
            let Some((id, takes_over)) = self.waiting.pop_first() else {
                break;
            };
            if is_free(&id) {
                ids.push(id);
                if takes_over {
                    passed.insert(id);
                }
            }
        }
        passed
    }
}

impl<P: Clone> Reactor<P> {
    /// Whether this one is not claimed, although it is time: it is in quarantine, or another instance has probably
    /// claimed it.
    pub(in crate::reactor) fn is_not_asked_for(
        &mut self,
        id: MessageId,
        timer: &Timer,
        now: Now,
    ) -> bool {
        if !timer.watch && self.is_quarantined(id, timer.due) {
            return true;
        }
        (timer.watch || timer.others_first) && self.intake.turns.note(id, timer.others_first, now)
    }

    /// What another instance should have claimed was read.
    pub(super) fn turn_has_passed(&mut self, id: MessageId, state: RowState, sweep: u32, now: Now) {
        match state {
            RowState::Pending {
                due,
                version,
                attempts,
                priority,
                lane,
                written,
                pace: None,
            } if due <= now.db => {
                let row = Upcoming {
                    id,
                    due,
                    version,
                    attempts,
                    priority,
                    lane,
                    written,
                };
                self.arm(&row, due, sweep, 0, now);
            }
            state => self.row_read(id, state, sweep, now),
        }
    }
}
