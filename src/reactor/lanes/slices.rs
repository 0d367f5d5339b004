//! How many messages are due in each slice of time: whether one instance claims them all. Of all lanes together, since
//! claims and records are.

use std::collections::BTreeMap;

use super::Lanes;
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
    /// One more is due then.
    pub(in crate::reactor) fn count_in_slice(&mut self, due: Moment) {
        *self.slices.0.entry(slice(due)).or_default() += 1;
    }

    /// How many are due in the same slice as this, for one instance. Others may know half or twice as many.
    pub(in crate::reactor) fn due_with(&self, due: Moment, limits: &ClaimLimits) -> HowMany {
        let due = self.slices.0.get(&slice(due)).copied().unwrap_or(0);
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
        self.slices.forget(now.db);
    }
}
