//! What is to be sent when: a wheel for each priority.
//!
//! So a herd of one priority does not delay others: of what is due, the most urgent comes first,
//! whatever else is due with it. Nothing here takes time for a herd as a whole: what is
//! due next is brought into its order ahead of time, a bounded number a call.

use std::cmp::Reverse;
use std::time::Duration;

use super::density::Density;
use super::ranking::Turn;
use super::wheel::{LEVELS, LevelInfo, Wheel};
use crate::message::{MessageId, Moment, Priority};

/// How long before they are due timers are brought into their order. It leaves enough time to
/// spread a slot of a million in steps, and is longer than anything that looks ahead.
const AHEAD: Duration = Duration::from_secs(4);

/// One armed message. Kept a million times: small fields, no pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// When it is due. Its key in the wheel is the time of its next check, which is later than
    /// this where it is another instance's turn first, or another transaction had locked the row.
    pub due: Moment,
    /// Counts the user's edits.
    pub version: u32,
    /// The sweep that was latest when this was read; a sweep begun later overrides it.
    pub seen: u32,
    /// Attempts that have counted.
    pub attempts: u16,
    /// How often in a row its row was locked by another transaction when it was to be claimed.
    pub lock_misses: u16,
    /// Another instance is sending it; this is when its lease is over.
    pub watch: bool,
    /// Whose turn it is when it is to be checked.
    pub turn: Turn,
    /// Its place among those that are due.
    pub priority: Priority,
}

/// All armed messages, by the time of their next check.
pub struct Agenda {
    /// The most urgent first.
    wheels: [Wheel<Timer>; 4],
    density: Density,
}

/// How far a walk over all timers has come, see [`Agenda::walk`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    wheel: usize,
    place: usize,
}

impl Agenda {
    /// An empty agenda.
    pub fn new(start: Moment) -> Self {
        Self {
            wheels: std::array::from_fn(|_| Wheel::new(start)),
            density: Density::default(),
        }
    }

    /// How many are armed.
    pub fn len(&self) -> usize {
        self.wheels.iter().map(Wheel::len).sum()
    }

    /// Whether nothing is armed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Arms a message for a check `at`, or moves it there. Returns the former timer, if any.
    pub fn insert(&mut self, id: MessageId, at: Moment, timer: Timer) -> Option<Timer> {
        let own = place(timer.priority);
        let mut former = None;
        for (n, wheel) in self.wheels.iter_mut().enumerate() {
            if n != own {
                former = former.or_else(|| wheel.remove(id));
            }
        }
        let former = self.wheels[own].insert(id, at, timer).or(former);
        self.density.add(at);
        let (was, timer) = former?;
        self.density.take(was);
        Some(timer)
    }

    /// Disarms a message.
    pub fn remove(&mut self, id: MessageId) -> Option<Timer> {
        let removed = self.wheels.iter_mut().find_map(|wheel| wheel.remove(id));
        let (at, timer) = removed?;
        self.density.take(at);
        Some(timer)
    }

    /// The timer of a message.
    pub fn get(&self, id: MessageId) -> Option<Timer> {
        let found = self.wheels.iter().find_map(|wheel| wheel.get(id));
        found.map(|(_, timer)| *timer)
    }

    /// Brings what is due soon into its order, the most urgent first: as much of it as takes `left` steps, of
    /// which it leaves the rest. Whether that was enough; if not, it is called again, at once (see
    /// [`Self::next_advance`]).
    pub fn advance(&mut self, now: Moment, left: &mut usize) -> bool {
        let mut wheels = self.wheels.iter_mut();
        wheels.all(|wheel| wheel.spread(now + AHEAD, left))
    }

    /// How many steps [`Self::advance`] has made, in all.
    #[cfg(test)]
    pub fn steps(&self) -> usize {
        self.wheels.iter().map(Wheel::steps).sum()
    }

    /// When [`Self::advance`] next has something to do. Long past: it is not done yet.
    pub fn next_advance(&self) -> Option<Moment> {
        let begins = self.wheels.iter().filter_map(Wheel::next_spread).min();
        begins.map(|at| at - AHEAD)
    }

    /// Takes the first timer of those that are to be checked by `until` and have at least the priority
    /// `least`: of what is due by `now` the most urgent, then the earliest.
    #[must_use = "the timer is disarmed: dropping it loses a message"]
    pub fn pop(
        &mut self,
        now: Moment,
        until: Moment,
        least: Priority,
    ) -> Option<(MessageId, Timer)> {
        let firsts = self.wheels[..=place(least)].iter().enumerate();
        let firsts = firsts.filter_map(|(n, wheel)| Some((wheel.peek()?, n)));
        let soon = firsts.filter(|(at, _)| *at <= until);
        // Of equals the first, which is the most urgent.
        let (_, first) = soon.min_by_key(|(at, _)| (*at).max(now))?;
        let (id, at, timer) = self.wheels[first].pop_due(until)?;
        self.density.take(at);
        Some((id, timer))
    }

    /// When the first is to be checked: never later than that, maybe earlier.
    pub fn first(&self) -> Option<Moment> {
        self.first_of(Priority::Low)
    }

    /// The same of those that have at least this priority.
    pub fn first_of(&self, least: Priority) -> Option<Moment> {
        let wheels = &self.wheels[..=place(least)];
        wheels.iter().filter_map(Wheel::next_wakeup).min()
    }

    /// When the first is to be checked after `after`: never later than that, maybe earlier.
    pub fn first_after(&self, after: Moment) -> Option<Moment> {
        let firsts = self.wheels.iter();
        firsts.filter_map(|wheel| wheel.first_after(after)).min()
    }

    /// How many are to be checked by `until`, which is soon; counted up to `most`.
    pub fn count_due(&self, until: Moment, most: usize) -> usize {
        let mut left = most;
        for wheel in &self.wheels {
            left -= wheel.count_due(until, left);
        }
        most - left
    }

    /// When the first `n` with at least this priority are to be checked, as far as that is by
    /// `until`, which is soon; and no more than as many of the others.
    pub fn first_dues(&self, n: usize, until: Moment, least: Priority) -> Vec<Moment> {
        let each = |wheel: &Wheel<Timer>| -> Vec<Moment> {
            let first = wheel.first_due(n);
            first.take_while(|at| *at <= until).collect()
        };
        let wheels = &self.wheels[..=place(least)];
        wheels.iter().flat_map(each).collect()
    }

    /// Every armed message, in no order.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = (MessageId, Timer)> {
        let all = self.wheels.iter().flat_map(Wheel::iter);
        all.map(|(id, _, timer)| (id, *timer))
    }

    /// Walks on over all armed messages, in no order: shows the next, at most `most`, to `see`.
    /// A walk to the end shows each timer that was armed all the while.
    #[must_use]
    pub fn walk(
        &self,
        from: Walk,
        most: usize,
        mut see: impl FnMut(MessageId, &Timer),
    ) -> Option<Walk> {
        let wheel = self.wheels.get(from.wheel)?;
        let (timers, next) = wheel.stretch(from.place, most);
        for (id, _, timer) in timers {
            see(id, timer);
        }
        let next = next.map_or((from.wheel + 1, 0), |place| (from.wheel, place));
        let (wheel, place) = next;
        (wheel < self.wheels.len()).then_some(Walk { wheel, place })
    }

    /// The first `limit` in order, those before `before` if it is given.
    pub fn upcoming(&self, limit: usize, before: Option<Moment>) -> Vec<(MessageId, Timer)> {
        let each = |wheel: &Wheel<Timer>| wheel.upcoming(limit, before);
        let mut first: Vec<_> = self.wheels.iter().flat_map(each).collect();
        first.sort_by_key(|(_, at, timer)| (*at, Reverse(timer.priority)));
        first.truncate(limit);
        first
            .into_iter()
            .map(|(id, _, timer)| (id, timer))
            .collect()
    }

    /// How the wheels are filled, laid over each other.
    pub fn levels(&self) -> impl Iterator<Item = LevelInfo> {
        let all = self.wheels.each_ref().map(Wheel::occupied);
        (0..LEVELS).map(move |level| {
            let slots = all.iter().fold(0, |slots, wheel| slots | wheel[level]);
            LevelInfo::new(level, slots)
        })
    }

    /// How many are to be checked in each of the next `buckets` stretches of
    /// [`DENSITY_BUCKET`](super::DENSITY_BUCKET), the first being the one `now` lies in, which
    /// counts what is overdue as well. With the moment that one began.
    pub fn density(&self, now: Moment, buckets: usize) -> (Moment, Vec<u32>) {
        self.density.from(now, buckets)
    }

    /// Disarms everything.
    pub fn clear(&mut self) {
        for wheel in &mut self.wheels {
            wheel.clear();
        }
        self.density = Density::default();
    }
}

/// Which of the wheels is that of a priority.
const fn place(priority: Priority) -> usize {
    match priority {
        Priority::Urgent => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    }
}

#[cfg(test)]
mod tests;
