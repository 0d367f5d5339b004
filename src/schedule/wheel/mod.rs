//! The timer wheel: what is upcoming, in memory, and which of it is due.
//!
//! In the path of a message the wheel is where it waits. `listen` and the sweeps arm, move and
//! disarm timers here; the daemon sleeps until [`Wheel::next_wakeup`], then claims what
//! [`Wheel::pop_due`] returns. The wheel has no clock: time is an argument.
//!
//! # How it is built
//!
//! What is due next is in an ordered map, each moment with the list of its timers. What is
//! due later waits in levels of 64 slots, each level 64 times as coarse as the one below, from
//! about a second up. A timer waits in the slot its due time falls into, on the level that the
//! distance calls for. As the cursor reaches a slot, its timers are *spread* over the slots of
//! the levels below, or into the ordered map.
//!
//! # What it costs
//!
//! Arming, moving and disarming are O(1) for what is due later, O(log n) in the moments of the
//! ordered map for what is due next. A timer is spread at most once a level before it is popped,
//! wherever `now` jumps to; there is no loop over ticks. A slot whose timers all belong together,
//! such as a herd due at 9 o'clock sharp, is handed down whole without looking at them.
//!
//! Spreading a slot takes time for each of its timers, and a slot may have a million. So an event
//! loop calls [`Wheel::spread`] ahead of time, with a bound for each call.
//!
//! A timer takes 32 bytes and its payload, up to a quarter more for growth, and 6 to 12 for the
//! index: 72 bytes at the worst with a payload of 16; and 20 to 30 for each moment of the ordered
//! map. A wheel itself takes 2 kB for its index and 1.5 kB for each level it has used. Memory follows the highest
//! number of timers there has been; [`Wheel::clear`] frees it.
//!
//! # Late by a hair, never early
//!
//! Due times are kept and compared to the microsecond: a timer is popped by the first
//! [`pop_due`](Wheel::pop_due) whose `now` is not before it, and by none before that. Only
//! [`next_wakeup`](Wheel::next_wakeup) may be early: the caller may look in vain, but never too
//! late.
//!
//! Time may go backward: nothing is popped before its due time then either, and nothing is
//! lost.

mod place;
mod show;
mod slab;
mod slots;

#[cfg(test)]
mod model;
#[cfg(test)]
mod sound;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use self::place::{Place, Tick};
use self::slab::{List, Slab};
use self::slots::{Levels, Slot};
use crate::message::{MessageId, Moment};

pub use self::place::LEVELS;
pub use self::show::LevelInfo;

/// Timers by due time, one for each message at most, each with a small payload.
///
/// See the [module](self) for how it works and what it costs. It holds up to `u32::MAX - 1`
/// timers; arming one more panics (memory ends well before).
pub struct Wheel<T> {
    slab: Slab<T>,
    /// Due in the cursor's tick or before: each moment's timers in the order they were armed.
    exact: BTreeMap<Moment, List>,
    /// The slot that is being spread: what of it has not found its place yet.
    spreading: Slot,
    /// The last tick of that slot. What is armed for a time in it queues up behind.
    spreading_to: Tick,
    /// Due after the cursor's tick.
    levels: Levels,
    /// The current tick. Where a timer is kept follows from its due time and this,
    /// see [`Place::of`]; so it moves only over slots that are empty, or emptied.
    cursor: Tick,
    /// Slots entered and timers placed by [`Wheel::spread`].
    #[cfg(test)]
    steps: usize,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel at `start`: about the present. Any moment is correct, but what is due
    /// before it is kept in the ordered map.
    pub fn new(start: Moment) -> Self {
        Self {
            slab: Slab::new(),
            exact: BTreeMap::new(),
            spreading: Slot::EMPTY,
            spreading_to: Tick::of(start),
            levels: Levels::new(),
            cursor: Tick::of(start),
            #[cfg(test)]
            steps: 0,
        }
    }

    #[cfg(test)]
    const fn count_step(&mut self) {
        self.steps += 1;
    }

    /// How many steps [`Self::spread`] has made, in all.
    #[cfg(test)]
    pub const fn steps(&self) -> usize {
        self.steps
    }

    /// How many timers are armed.
    pub const fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether no timer is armed.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Arms the timer of a message, or moves it, and sets its payload. Returns what was armed
    /// before.
    ///
    /// Any due time will do, past ones and the infinities included. A timer that is armed for
    /// the time it was armed for already keeps its place among others of that time; one that
    /// comes from elsewhere is behind them.
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
        self.unlink(at);
        let (_, due, payload) = self.slab.take(at);
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
    /// Never later than the earliest due time. It is earlier where the timer that it was of has
    /// been removed from a slot; that call finds nothing due, which happens at most once a level
    /// for each timer. Right after `pop_due(now)` has returned `None` this is later than `now`,
    /// so a loop over the two makes progress.
    pub fn next_wakeup(&self) -> Option<Moment> {
        let exact = self.exact.first_key_value().map(|(due, _)| *due);
        [exact, self.unspread()].into_iter().flatten().min()
    }

    /// The due time of the earliest timer, if no slot has to be spread to know it.
    pub fn peek(&self) -> Option<Moment> {
        let (due, _) = self.exact.first_key_value()?;
        self.unspread()
            .is_none_or(|later| *due <= later)
            .then_some(*due)
    }

    /// When the next slot begins that is to be spread: before anything in it can be popped.
    /// Long past while one is being spread.
    pub fn next_spread(&self) -> Option<Moment> {
        if !self.spreading.is_empty() {
            return Some(Moment::MIN);
        }
        let (level, index) = self.levels.first()?;
        Some(self.cursor.slot_start(level, index).start())
    }

    /// Disarms and returns the earliest timer that is due at `now` (`due <= now`), if any.
    ///
    /// Called until it returns `None`, it returns all that is due in order of due time, to
    /// the microsecond; timers of the same microsecond in the order they were armed for it.
    /// Slots of coarser levels that have begun are spread to finer ones on the way.
    #[must_use = "the timer is disarmed: dropping it loses a message"]
    pub fn pop_due(&mut self, now: Moment) -> Option<(MessageId, Moment, T)> {
        loop {
            let unspread = self.unspread();
            if let Some(mut first) = self.exact.first_entry()
                && unspread.is_none_or(|later| *first.key() <= later)
            {
                if *first.key() > now {
                    return None;
                }
                let Some(at) = first.get().first() else {
                    first.remove();
                    continue;
                };
                self.slab.unlink(first.get_mut(), at);
                if first.get().is_empty() {
                    first.remove();
                }
                return Some(self.slab.take(at));
            }
            if unspread.is_none_or(|later| later > now) {
                if self.is_empty() {
                    // The one occasion on which the cursor may go back.
                    self.cursor = Tick::of(now);
                }
                return None;
            }
            let mut unbounded = usize::MAX;
            self.spread(now, &mut unbounded);
        }
    }

    /// Spreads the slots that begin by `until`, in at most `left` steps, of which it leaves the rest: a step
    /// enters a slot, or moves one of its timers. Whether that was enough: then everything due by `until`
    /// is in its order.
    pub fn spread(&mut self, until: Moment, left: &mut usize) -> bool {
        let until = Tick::of(until);
        loop {
            while let Some(at) = self.spreading.list.first() {
                if *left == 0 {
                    return false;
                }
                *left -= 1;
                #[cfg(test)]
                self.count_step();
                self.spreading.unlink(&mut self.slab, at);
                self.place(at);
            }
            let Some((level, index)) = self.levels.first() else {
                self.cursor = self.cursor.max(until);
                return true;
            };
            let start = self.cursor.slot_start(level, index);
            if start > until {
                // All slots in use begin later, so none is passed over.
                self.cursor = self.cursor.max(until);
                return true;
            }
            if *left == 0 {
                return false;
            }
            *left -= 1;
            #[cfg(test)]
            self.count_step();
            self.enter(level, index, until);
        }
    }

    /// Moves the cursor into the earliest slot in use, which begins at `until` or before, and
    /// hands its timers down whole if they belong together. Nothing is armed before it, or in
    /// the places the timers move to.
    fn enter(&mut self, level: usize, index: usize, until: Tick) {
        let start = self.cursor.slot_start(level, index);
        self.spreading_to = self.cursor.slot_end(level, index);
        let slot = self.levels.take(level, index);
        // As far as goes: nothing is due before the slot's first, and the fewer are then
        // spread again.
        self.cursor = start.max(until.min(Tick::of(slot.min)));
        match Place::of(slot.min, self.cursor) {
            Place::Exact if slot.min == slot.max => {
                self.exact.insert(slot.min, slot.list);
            }
            Place::Slot(level, index)
                if Place::of(slot.max, self.cursor) == Place::Slot(level, index) =>
            {
                self.levels.adopt((level, index), slot);
            }
            _ => self.spreading = slot,
        }
    }

    /// Disarms all timers and frees their memory.
    pub fn clear(&mut self) {
        *self = Self::new(self.cursor.start());
    }

    /// No timer that waits to be spread is due before this.
    fn unspread(&self) -> Option<Moment> {
        let spreading = (!self.spreading.is_empty()).then_some(self.spreading.min);
        let first = self.levels.first();
        let slot = first.map(|(level, index)| self.levels.slot(level, index).min);
        [spreading, slot].into_iter().flatten().min()
    }

    fn link(&mut self, at: u32) {
        let tick = Tick::of(self.slab.due(at));
        let behind = !self.spreading.is_empty() && tick <= self.spreading_to;
        if behind && self.slab.due(at) >= self.spreading.min {
            self.spreading.link(&mut self.slab, at);
        } else {
            self.place(at);
        }
    }

    fn place(&mut self, at: u32) {
        let due = self.slab.due(at);
        match Place::of(due, self.cursor) {
            Place::Exact => {
                let list = self.exact.entry(due).or_insert(List::EMPTY);
                self.slab.push_back(list, at);
            }
            Place::Slot(level, index) => self.levels.link(&mut self.slab, (level, index), at),
        }
    }

    fn unlink(&mut self, at: u32) {
        // One from the middle of a list is taken out of it whatever list is named; so it is
        // enough to know the ends of the one that is being spread.
        if self.spreading.list.ends_at(at) {
            self.spreading.unlink(&mut self.slab, at);
            return;
        }
        let due = self.slab.due(at);
        match Place::of(due, self.cursor) {
            Place::Exact => match self.exact.entry(due) {
                Entry::Occupied(mut entry) => {
                    self.slab.unlink(entry.get_mut(), at);
                    if entry.get().is_empty() {
                        entry.remove();
                    }
                }
                Entry::Vacant(_) => {
                    let mut no_list = List::EMPTY;
                    self.slab.unlink(&mut no_list, at);
                }
            },
            Place::Slot(level, index) => self.levels.unlink(&mut self.slab, (level, index), at),
        }
    }
}
