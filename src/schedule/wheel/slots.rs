//! The lists timers wait in: one a slot, and bitmaps that say which are occupied.

use super::place::{LEVELS, MICROS, SLOTS};
use super::slab::{List, Slab};
use crate::message::Moment;

/// Words of the bitmap of a millisecond's microseconds.
const NEAR_WORDS: usize = MICROS.div_ceil(64);

/// The millisecond under way: a list for each of its microseconds.
///
/// So the order inside the millisecond is exact and yet nothing is sorted or compared: a
/// million timers of one microsecond cost no more, each, than one.
pub(super) struct Near {
    lists: Box<[List]>,
    occupied: [u64; NEAR_WORDS],
}

impl Near {
    pub(super) fn new() -> Self {
        Self {
            lists: vec![List::EMPTY; MICROS].into_boxed_slice(),
            occupied: [0; NEAR_WORDS],
        }
    }

    pub(super) fn link<T: Copy>(&mut self, slab: &mut Slab<T>, us: usize, at: u32) {
        slab.push_back(&mut self.lists[us], at);
        self.occupied[us / 64] |= 1 << (us % 64);
    }

    pub(super) fn unlink<T: Copy>(&mut self, slab: &mut Slab<T>, us: usize, at: u32) {
        slab.unlink(&mut self.lists[us], at);
        if self.lists[us].is_empty() {
            self.occupied[us / 64] &= !(1 << (us % 64));
        }
    }

    /// Makes `list`, which is not empty, the list of a microsecond that has none.
    pub(super) fn adopt(&mut self, us: usize, list: List) {
        debug_assert!(self.lists[us].is_empty() && !list.is_empty());
        self.lists[us] = list;
        self.occupied[us / 64] |= 1 << (us % 64);
    }

    /// The earliest timer.
    pub(super) fn first(&self) -> Option<u32> {
        let word = self.occupied.iter().position(|&bits| bits != 0)?;
        let us = word * 64 + self.occupied[word].trailing_zeros() as usize;
        self.lists[us].first()
    }

    /// The lists in use, in order of time.
    pub(super) fn lists(&self) -> impl Iterator<Item = List> {
        self.lists.iter().copied().filter(|list| !list.is_empty())
    }
}

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
    const EMPTY: Self = Self {
        list: List::EMPTY,
        min: Moment::MAX,
        max: Moment::MIN,
    };
}

/// What lies beyond the millisecond under way.
pub(super) struct Levels {
    slots: Box<[[Slot; SLOTS]]>,
    occupied: [u64; LEVELS],
}

impl Levels {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![[Slot::EMPTY; SLOTS]; LEVELS].into_boxed_slice(),
            occupied: [0; LEVELS],
        }
    }

    pub(super) fn link<T: Copy>(
        &mut self,
        slab: &mut Slab<T>,
        (level, index): (usize, usize),
        at: u32,
    ) {
        let due = slab.due(at);
        let slot = &mut self.slots[level][index];
        slab.push_back(&mut slot.list, at);
        slot.min = slot.min.min(due);
        slot.max = slot.max.max(due);
        self.occupied[level] |= 1 << index;
    }

    pub(super) fn unlink<T: Copy>(
        &mut self,
        slab: &mut Slab<T>,
        (level, index): (usize, usize),
        at: u32,
    ) {
        let slot = &mut self.slots[level][index];
        slab.unlink(&mut slot.list, at);
        if slot.list.is_empty() {
            *slot = Slot::EMPTY;
            self.occupied[level] &= !(1 << index);
        }
    }

    /// Makes `slot`, which is not empty, a slot that has been empty.
    pub(super) fn adopt(&mut self, (level, index): (usize, usize), slot: Slot) {
        debug_assert!(self.slots[level][index].list.is_empty() && !slot.list.is_empty());
        self.slots[level][index] = slot;
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
        &self.slots[level][index]
    }

    pub(super) fn occupied(&self, level: usize) -> u32 {
        self.occupied[level].count_ones()
    }

    /// The slots in use, in order of time.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        let all = self.slots.iter().flatten();
        all.filter(|slot| !slot.list.is_empty())
    }
}
