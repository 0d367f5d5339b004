//! Slots that were over before their messages could start: the slack of a rate grows, and the pace is queried later.

use std::time::Duration;

use super::Paces;
use crate::message::{Moment, Now, PaceId};
use crate::reactor::Reactor;
use crate::schedule::{PACE_SLACK, RATE_SLACK};

/// How many of them count: the slack and the pause grow no further from there.
const UNUSED_MAX: u16 = 8;

/// The slots of a pace that were over before their messages could start: the database or the provider is slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unused {
    /// How many more than were used.
    pub(super) slots: u16,
    /// No other slot is asked for before.
    pub(super) until: Moment,
}

impl Paces {
    /// How long after its slot a message may start whose sender has a rate: longer where that was too short.
    pub(super) fn slack(&self, id: PaceId) -> Duration {
        let unused = self.unused.get(&id).map_or(0, |unused| unused.slots);
        let longer = RATE_SLACK.saturating_mul(1 << unused);
        longer.min(PACE_SLACK)
    }
}

impl<P: Clone> Reactor<P> {
    /// It could not start in time, and the next one could not either.
    pub(in crate::reactor) fn slot_unused(&mut self, pace: Option<PaceId>, now: Now) {
        let retry = self.settings.limits.claims.failed_retry;
        if let Some(pace) = pace {
            let before = self
                .paces
                .unused
                .get(&pace)
                .map_or(0, |unused| unused.slots);
            let slots = before.saturating_add(1).min(UNUSED_MAX);
            let until = now.db + retry.pause(u32::from(slots));
            self.paces.unused.insert(pace, Unused { slots, until });
            self.paces.change(pace, |_| ());
        }
    }

    /// A message has started in its slot.
    pub(in crate::reactor) fn slot_used(&mut self, pace: PaceId) {
        if let Some(unused) = self.paces.unused.get_mut(&pace) {
            (unused.slots, unused.until) = (unused.slots.saturating_sub(1), Moment::MIN);
            if unused.slots == 0 {
                self.paces.unused.remove(&pace);
            }
        }
    }
}
