//! Lanes in the order of a moment that each has, so that a turn checks only those whose time has come.

#[cfg(test)]
use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::Lane;
use crate::message::Moment;

/// Lanes, ordered by a moment of each.
#[derive(Default)]
pub(in crate::reactor) struct LaneOrder {
    lanes: BTreeSet<(Moment, Lane)>,
    /// Lanes that were checked.
    #[cfg(test)]
    pub(in crate::reactor) looks: Cell<usize>,
}

impl LaneOrder {
    /// Moves a lane from one moment to another; `None`: it is not in the order.
    pub(super) fn change(&mut self, lane: Lane, was: Option<Moment>, is: Option<Moment>) {
        if was == is {
            return;
        }
        if let Some(was) = was {
            self.lanes.remove(&(was, lane));
        }
        if let Some(is) = is {
            self.lanes.insert((is, lane));
        }
    }

    /// The earliest moment.
    pub(in crate::reactor) fn first(&self) -> Option<Moment> {
        self.lanes.first().map(|(at, _)| *at)
    }

    /// The earliest moment that is after this one.
    pub(super) fn first_after(&self, at: Moment) -> Option<Moment> {
        let after = (Bound::Excluded((at, Lane(u32::MAX))), Bound::Unbounded);
        self.lanes.range(after).next().map(|(at, _)| *at)
    }

    /// The lanes whose moment is not after `until`, in order.
    pub(in crate::reactor) fn until(&self, until: Moment) -> impl Iterator<Item = (Moment, Lane)> {
        let lanes = self.lanes.range(..=(until, Lane(u32::MAX))).copied();
        #[cfg(test)]
        let lanes = lanes.inspect(|_| self.looks.set(self.looks.get() + 1));
        lanes
    }

    pub(super) fn clear(&mut self) {
        self.lanes.clear();
    }
}
