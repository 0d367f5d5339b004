//! The slots that timers wait in while their time is not near, and bitmaps that say which of
//! them are occupied.

use super::place::{LEVELS, SLOTS};
use super::slab::{List, Slab};
use crate::message::Moment;

/// A slot of a level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) list: List,
    /// No timer of the slot is due before this. Exact until one is removed: bounds are not
    /// drawn in again, for that would mean to search.
    pub(super) min: Moment,
    /// No timer of the slot is due after this.
    pub(super) max: Moment,
}

impl Slot {
    pub(super) const EMPTY: Self = Self {
        list: List::EMPTY,
        min: Moment::MAX,
        max: Moment::MIN,
    };

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn link<T: Copy>(&mut self, slab: &mut Slab<T>, at: u32) {
        let due = slab.due(at);
        slab.push_back(&mut self.list, at);
        self.min = self.min.min(due);
        self.max = self.max.max(due);
    }

    pub(super) fn unlink<T: Copy>(&mut self, slab: &mut Slab<T>, at: u32) {
        slab.unlink(&mut self.list, at);
        if self.list.is_empty() {
            *self = Self::EMPTY;
        }
    }
}

/// What lies beyond the cursor's tick.
pub(super) struct Levels {
    /// As many levels as have been used: most wheels never need the coarse ones.
    slots: Vec<[Slot; SLOTS]>,
    occupied: [u64; LEVELS],
}

impl Levels {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            occupied: [0; LEVELS],
        }
    }

    fn at_hand(&mut self, level: usize) -> &mut [Slot; SLOTS] {
        if level >= self.slots.len() {
            self.slots.resize(level + 1, [Slot::EMPTY; SLOTS]);
        }
        &mut self.slots[level]
    }

    pub(super) fn link<T: Copy>(
        &mut self,
        slab: &mut Slab<T>,
        (level, index): (usize, usize),
        at: u32,
    ) {
        self.at_hand(level)[index].link(slab, at);
        self.occupied[level] |= 1 << index;
    }

    pub(super) fn unlink<T: Copy>(
        &mut self,
        slab: &mut Slab<T>,
        (level, index): (usize, usize),
        at: u32,
    ) {
        let slot = &mut self.at_hand(level)[index];
        slot.unlink(slab, at);
        if slot.is_empty() {
            self.occupied[level] &= !(1 << index);
        }
    }

    /// Makes `slot`, which is not empty, a slot that has been empty.
    pub(super) fn adopt(&mut self, (level, index): (usize, usize), slot: Slot) {
        let place = &mut self.at_hand(level)[index];
        debug_assert!(place.is_empty() && !slot.is_empty());
        *place = slot;
        self.occupied[level] |= 1 << index;
    }

    /// Empties a slot; its timers are the caller's to place.
    pub(super) fn take(&mut self, level: usize, index: usize) -> Slot {
        self.occupied[level] &= !(1 << index);
        std::mem::replace(&mut self.slots[level][index], Slot::EMPTY)
    }

    /// Level and index of the earliest slot in use.
    pub(super) fn first(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    pub(super) fn slot(&self, level: usize, index: usize) -> &Slot {
        self.slots
            .get(level)
            .map_or(&Slot::EMPTY, |slots| &slots[index])
    }

    /// The slots in use of a level, a bit each.
    pub(super) fn occupied(&self, level: usize) -> u64 {
        self.occupied[level]
    }

    /// The slots in use, in order of time.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        let all = self.slots.iter().flatten();
        all.filter(|slot| !slot.is_empty())
    }
}
