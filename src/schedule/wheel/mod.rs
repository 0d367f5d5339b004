//! The timer wheel: what is upcoming, in memory, and which of it is due.
//!
//! In the path of a message the wheel is where it waits. `listen` and the sweeps arm, move and
//! disarm timers here; the daemon sleeps until [`Wheel::next_wakeup`], then claims what
//! [`Wheel::pop_due`] gives out. The wheel knows no clock: time is an argument.
//!
//! # How it is built
//!
//! Levels of 64 slots, each level 64 times as coarse as the one below, from 1 ms up. A timer
//! waits in the slot its due time falls into, on the level that the distance calls for. As the
//! cursor reaches a slot, its timers are *spread* over the levels below, and those of the
//! millisecond under way over its 1000 microseconds. Timers armed when they were already
//! overdue wait in an ordered map.
//!
//! # What it costs
//!
//! Arming, moving and disarming are O(1), whatever the distance; before the cursor's
//! millisecond O(log n). A timer is spread at most once a level before it is popped, wherever
//! `now` jumps to; there is no loop over ticks. A slot whose timers all belong together, such
//! as a herd due at 9 o'clock sharp, is handed down whole without looking at them.
//!
//! Two things are dear once in a while. Spreading a slot takes time for each of its timers; it
//! happens when the slot begins, so mostly well before they are due. And arming may have to
//! grow the index, which hashes all ids anew.
//!
//! A timer takes 32 bytes and its payload, up to a quarter more for growth, and 6 to 12 for the
//! index: 72 bytes at the worst with a payload of 16, beside the 24 kB of the empty wheel.
//! Memory follows the highest number of timers there has been; [`Wheel::clear`] gives it back.
//!
//! # Late by a hair, never early
//!
//! Due times are kept and compared to the microsecond: a timer is popped by the first
//! [`pop_due`](Wheel::pop_due) whose `now` is not before it, and by none before that. Only
//! [`next_wakeup`](Wheel::next_wakeup) rounds, and only down: the caller may look in vain, but
//! never too late.
//!
//! Time may go backward: nothing is popped before its due time then either, and nothing is
//! lost. What is armed behind the cursor meanwhile only costs the O(log n) of overdue timers.

mod place;
mod slab;
mod slots;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BinaryHeap};

use serde::Serialize;

use self::place::{Place, Tick};
use self::slab::{List, Slab};
use self::slots::{Levels, Near, Slot};
use crate::message::{MessageId, Moment};

pub use self::place::LEVELS;

/// How one level of the wheel is filled, as the debug page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LevelInfo {
    /// From 0, the finest.
    pub level: usize,
    /// The width of a slot, in microseconds.
    pub slot_us: u64,
    /// How many of the 64 slots hold a timer. On level 0 the millisecond under way is one,
    /// and holds the overdue timers too.
    pub occupied: u32,
}

/// Timers by due time, one for each message at most, each with a small payload.
///
/// See the [module](self) for how it works and what it costs. It holds up to `u32::MAX - 1`
/// timers; arming one more panics (memory ends well before).
pub struct Wheel<T> {
    slab: Slab<T>,
    /// Due before the cursor's millisecond.
    late: BTreeMap<Moment, List>,
    /// Due in the cursor's millisecond.
    near: Near,
    /// Due after it.
    levels: Levels,
    /// The millisecond the wheel stands at. Where a timer is kept follows from its due time
    /// and this, see [`Place::of`]; so it moves only over slots that are empty, or emptied.
    cursor: Tick,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel at `start`: about the present. Any moment is correct, but what is due
    /// before it is kept at the price of overdue timers.
    pub fn new(start: Moment) -> Self {
        Self {
            slab: Slab::new(),
            late: BTreeMap::new(),
            near: Near::new(),
            levels: Levels::new(),
            cursor: Tick::of(start),
        }
    }

    /// How many timers are armed.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Arms the timer of a message, or moves it, and sets its payload. Returns what was armed
    /// before.
    ///
    /// Any due time will do, past ones and the infinities included. A timer that is armed for
    /// the time it was armed for already keeps its place among others of that time; one that
    /// comes from elsewhere stands behind them.
    pub fn insert(&mut self, id: MessageId, due: Moment, payload: T) -> Option<(Moment, T)> {
        let Some(at) = self.slab.find(id) else {
            let at = self.slab.add(id, due, payload);
            self.link(at);
            return None;
        };
        let was = self.slab.due(at);
        if was != due {
            self.unlink(at);
            self.slab.set_due(at, due);
            self.link(at);
        }
        let payload = std::mem::replace(self.slab.payload_mut(at), payload);
        Some((was, payload))
    }

    /// Disarms the timer of a message and returns it, if there was one.
    pub fn remove(&mut self, id: MessageId) -> Option<(Moment, T)> {
        let at = self.slab.find(id)?;
        let (_, due, payload) = self.take(at);
        Some((due, payload))
    }

    /// The due time and payload of a message's timer.
    pub fn get(&self, id: MessageId) -> Option<(Moment, &T)> {
        let (_, due, payload) = self.slab.get(self.slab.find(id)?);
        Some((due, payload))
    }

    /// The payload of a message's timer, to change it.
    pub fn get_mut(&mut self, id: MessageId) -> Option<&mut T> {
        let at = self.slab.find(id)?;
        Some(self.slab.payload_mut(at))
    }

    /// When to call [`pop_due`](Self::pop_due) next; `None` if no timer is armed.
    ///
    /// Never later than the earliest due time. It may be earlier, and that call may then find
    /// nothing due: timers of several times in a coarse slot want to be spread *before* the
    /// first is due. That happens at most once a level for each timer, and not to a timer, or
    /// a herd of one due time, that has its slot to itself. Right after `pop_due(now)` has returned
    /// `None` this is later than `now`, so a loop over the two makes progress.
    pub fn next_wakeup(&self) -> Option<Moment> {
        if let Some(at) = self.first_exact() {
            return Some(self.slab.due(at));
        }
        let (level, index) = self.levels.first()?;
        let slot = self.levels.slot(level, index);
        Some(if level == 0 || slot.min == slot.max {
            slot.min
        } else {
            self.cursor.slot_start(level, index).start()
        })
    }

    /// Disarms and returns the earliest timer that is due at `now` (`due <= now`), if any.
    ///
    /// Called until it returns `None`, it gives out all that is due in order of due time, to
    /// the microsecond; timers of the same microsecond in the order they were armed for it.
    #[must_use = "the timer is disarmed: whoever drops it loses a message"]
    pub fn pop_due(&mut self, now: Moment) -> Option<(MessageId, Moment, T)> {
        let tick = Tick::of(now);
        loop {
            if let Some(at) = self.first_exact() {
                return (self.slab.due(at) <= now).then(|| self.take(at));
            }
            let Some((level, index)) = self.levels.first() else {
                // Empty: the one occasion on which the cursor may go back.
                self.cursor = tick;
                return None;
            };
            if self.cursor.slot_start(level, index) > tick {
                // All slots in use begin after `now`, so none is passed over.
                self.cursor = self.cursor.max(tick);
                return None;
            }
            self.spread(level, index, tick);
        }
    }

    /// All timers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (MessageId, Moment, &T)> {
        self.slab.iter()
    }

    /// The first `limit` timers, due before `before` if that is given, in the order in which
    /// they would be popped.
    ///
    /// It reads the slots in order and stops; only the slot in which the limit is reached is
    /// searched, so the cost follows the limit and the size of that slot.
    pub fn upcoming(&self, limit: usize, before: Option<Moment>) -> Vec<(MessageId, Moment, T)> {
        let soon = |due: Moment| before.is_none_or(|before| due < before);
        let exact = self.late.values().copied().chain(self.near.lists());
        let exact = exact.flat_map(|list| self.slab.walk(list));
        let mut found: Vec<u32> = exact
            .take_while(|&at| soon(self.slab.due(at)))
            .take(limit)
            .collect();
        for slot in self.levels.slots() {
            let left = limit - found.len();
            if left == 0 || !soon(slot.min) {
                break;
            }
            found.extend(self.earliest(slot, left));
        }
        let timers = found.into_iter().map(|at| self.slab.get(at));
        timers
            .take_while(|&(_, due, _)| soon(due))
            .map(|(id, due, payload)| (id, due, *payload))
            .collect()
    }

    /// How the levels are filled.
    pub fn levels(&self) -> [LevelInfo; LEVELS] {
        std::array::from_fn(|level| LevelInfo {
            level,
            slot_us: place::slot_us(level),
            occupied: self.levels.occupied(level)
                + u32::from(level == 0 && self.first_exact().is_some()),
        })
    }

    /// Disarms all timers and gives their memory back.
    pub fn clear(&mut self) {
        *self = Self::new(self.cursor.start());
    }

    /// The earliest of the timers whose order is known to the microsecond. If there is one, it
    /// is the earliest of all.
    fn first_exact(&self) -> Option<u32> {
        match self.late.first_key_value() {
            Some((_, list)) => list.first(),
            None => self.near.first(),
        }
    }

    fn take(&mut self, at: u32) -> (MessageId, Moment, T) {
        self.unlink(at);
        self.slab.take(at)
    }

    fn link(&mut self, at: u32) {
        let due = self.slab.due(at);
        match Place::of(due, self.cursor) {
            Place::Late => {
                let list = self.late.entry(due).or_insert(List::EMPTY);
                self.slab.push_back(list, at);
            }
            Place::Near(us) => self.near.link(&mut self.slab, us, at),
            Place::Slot(level, index) => self.levels.link(&mut self.slab, (level, index), at),
        }
    }

    fn unlink(&mut self, at: u32) {
        let due = self.slab.due(at);
        match Place::of(due, self.cursor) {
            Place::Late => {
                if let Some(list) = self.late.get_mut(&due) {
                    self.slab.unlink(list, at);
                    if list.is_empty() {
                        self.late.remove(&due);
                    }
                }
            }
            Place::Near(us) => self.near.unlink(&mut self.slab, us, at),
            Place::Slot(level, index) => self.levels.unlink(&mut self.slab, (level, index), at),
        }
    }

    /// Moves the cursor into the earliest slot in use, and the slot's timers to where they
    /// belong from there. The slot begins at `now` or before. Nothing is armed before it, or
    /// in the places the timers move to.
    fn spread(&mut self, level: usize, index: usize, now: Tick) {
        let slot = self.levels.take(level, index);
        // As far as goes: nothing is due before the slot's first, and the fewer are then
        // spread again. But not past `now`, or what is armed next would be behind the cursor.
        self.cursor = now.min(Tick::of(slot.min));
        let place = Place::of(slot.min, self.cursor);
        let together = place == Place::of(slot.max, self.cursor);
        match place {
            Place::Near(us) if together => self.near.adopt(us, slot.list),
            Place::Slot(level, index) if together => self.levels.adopt((level, index), slot),
            _ => {
                let mut rest = slot.list.first();
                while let Some(at) = rest {
                    rest = self.slab.next(at);
                    self.link(at);
                }
            }
        }
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
