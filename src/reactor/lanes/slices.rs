//! How many messages of a lane are due in each slice of time: whether one instance claims them all.

use std::collections::BTreeMap;

use super::{Lane, Lanes};
use crate::limits::ClaimLimits;
use crate::message::{Moment, Now};
use crate::schedule::{HowMany, slice};

/// Messages that became known before they were due, by their slice. Those that were cancelled or moved are still
/// counted: it must not seem, while a slice passes, that it has become one of few.
#[derive(Debug, Default)]
pub(super) struct Slices(BTreeMap<i64, usize>);

impl Slices {
    /// Forgets those that are over; what was due at the end of one may be claimed in the next.
    fn forget(&mut self, now: Moment) {
        self.0 = self.0.split_off(&(slice(now) - 1));
    }
}

impl Lanes {
    /// One more is due then in this lane.
    pub(in crate::reactor) fn count_in_slice(&mut self, lane: Lane, due: Moment) {
        let counts = &mut self[lane].slices.0;
        *counts.entry(slice(due)).or_default() += 1;
    }

    /// How many are due in the same slice as this, for one instance. Others may know half or twice as many.
    pub(in crate::reactor) fn due_with(
        &self,
        lane: Lane,
        due: Moment,
        limits: &ClaimLimits,
    ) -> HowMany {
        let due = self[lane].slices.0.get(&slice(due)).copied().unwrap_or(0);
        if due <= limits.alone_max {
            HowMany::Few
        } else if due <= limits.alone_max.saturating_mul(2) {
            HowMany::Several
        } else {
            HowMany::Many
        }
    }

    /// Forgets the slices that are over.
    pub(in crate::reactor) fn forget_slices(&mut self, now: Now) {
        for state in self.slots.iter_mut().flatten() {
            state.slices.forget(now.db);
        }
    }
}
