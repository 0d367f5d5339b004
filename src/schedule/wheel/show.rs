//! Queries that do not change the wheel.

use std::collections::BinaryHeap;
use std::ops::Bound;

use serde::Serialize;

use super::Wheel;
use super::place::{self, LEVELS};
use super::slab::List;
use super::slots::Slot;
use crate::message::{MessageId, Moment};

/// How one level of the wheel is filled, as the debug page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LevelInfo {
    /// From 0, the finest.
    pub level: usize,
    /// The width of a slot, in microseconds.
    pub slot_us: u64,
    /// How many of the 64 slots hold a timer. On level 0 what is due next is one.
    pub occupied: u32,
}

impl LevelInfo {
    pub(crate) const fn new(level: usize, slots: u64) -> Self {
        Self {
            level,
            slot_us: place::slot_us(level),
            occupied: slots.count_ones(),
        }
    }
}

impl<T: Copy> Wheel<T> {
    /// How many timers are due by `until`, counted up to `enough`, among those that are in their
    /// order.
    pub fn count_due(&self, until: Moment, enough: usize) -> usize {
        let lists = self.exact.range(..=until).map(|(_, list)| *list);
        lists
            .flat_map(|list| self.slab.walk(list))
            .take(enough)
            .count()
    }

    /// When the first is due after `after`: never later than that, maybe earlier. What is due by then and not in its
    /// order yet may hide it, until it is.
    pub fn first_after(&self, after: Moment) -> Option<Moment> {
        let mut exact = self.exact.range((Bound::Excluded(after), Bound::Unbounded));
        let exact = exact.find(|(_, list)| list.first().is_some());
        let unspread = self.unspread().filter(|at| *at > after);
        exact.map(|(due, _)| *due).into_iter().chain(unspread).min()
    }

    /// The due time of each of the first `n` timers that are in their order.
    pub fn first_due(&self, n: usize) -> impl Iterator<Item = Moment> {
        let each = |(due, list): (&Moment, &List)| {
            let due = *due;
            self.slab.walk(*list).map(move |_| due)
        };
        self.exact.iter().flat_map(each).take(n)
    }

    /// All timers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (MessageId, Moment, &T)> {
        self.stretch(0, usize::MAX).0
    }

    /// The timers in a stretch of `most` places from `from` on, and where the next stretch begins;
    /// `None` after the last. Going through it so, one meets every timer that was armed when one
    /// began, and is still.
    pub fn stretch(
        &self,
        from: usize,
        most: usize,
    ) -> (impl Iterator<Item = (MessageId, Moment, &T)>, Option<usize>) {
        self.slab.stretch(from, most)
    }

    /// The first `limit` timers, due before `before` if that is given, in the order in which
    /// they would be popped.
    ///
    /// It reads the slots in order and stops; only the slot in which the limit is reached is
    /// searched, so the cost follows the limit and the size of that slot.
    pub fn upcoming(&self, limit: usize, before: Option<Moment>) -> Vec<(MessageId, Moment, T)> {
        let soon = |due: Moment| before.is_none_or(|before| due < before);
        let exact = self.exact.iter().take_while(|(due, _)| soon(**due));
        let exact = exact.flat_map(|(_, list)| self.slab.walk(*list));
        let mut found: Vec<u32> = exact.take(limit).collect();
        for slot in self.levels.slots() {
            let left = limit - found.len();
            if left == 0 || !soon(slot.min) {
                break;
            }
            found.extend(self.earliest(slot, left));
        }
        if !self.spreading.is_empty() {
            // Its timers are among those of the others; of one time they come last.
            found.extend(self.earliest(&self.spreading, limit));
            found.sort_by_key(|&at| self.slab.due(at));
            found.truncate(limit);
        }
        let timers = found.into_iter().map(|at| self.slab.get(at));
        timers
            .take_while(|&(_, due, _)| soon(due))
            .map(|(id, due, payload)| (id, due, *payload))
            .collect()
    }

    /// How the levels are filled.
    pub fn levels(&self) -> [LevelInfo; LEVELS] {
        let occupied = self.occupied();
        std::array::from_fn(|level| LevelInfo::new(level, occupied[level]))
    }

    /// The slots in use of each level, a bit each. What is due next is in the cursor's.
    pub(crate) fn occupied(&self) -> [u64; LEVELS] {
        let mut slots = std::array::from_fn(|level| self.levels.occupied(level));
        if !(self.exact.is_empty() && self.spreading.is_empty()) {
            slots[0] |= 1 << self.cursor.slot();
        }
        slots
    }

    /// The first `limit` timers of a slot, in order.
    fn earliest(&self, slot: &Slot, limit: usize) -> Vec<u32> {
        if slot.min == slot.max {
            return self.slab.walk(slot.list).take(limit).collect();
        }
        // The greatest of the least on top; the position keeps those of one time in order.
        let mut least: BinaryHeap<(Moment, usize, u32)> = BinaryHeap::new();
        for (position, at) in self.slab.walk(slot.list).enumerate() {
            let timer = (self.slab.due(at), position, at);
            if least.len() < limit {
                least.push(timer);
            } else if let Some(mut greatest) = least.peek_mut()
                && timer < *greatest
            {
                *greatest = timer;
            }
        }
        let least = least.into_sorted_vec();
        least.into_iter().map(|(_, _, at)| at).collect()
    }
}
