//! What is to be sent when: a wheel for each priority.
//!
//! So a herd of one priority stands in nobody else's way: of what is due, the most urgent comes
//! first, whatever else is due with it. Nothing here takes time for a herd as a whole: what is
//! due next is brought into its order ahead of time, a bounded number a call.

use std::cmp::Reverse;
use std::time::Duration;

use super::density::Density;
use super::wheel::{LEVELS, LevelInfo, Wheel};
use crate::message::{MessageId, Moment, Priority};

/// So long before they are due timers are brought into their order. It leaves a slot of a
/// million the time to be spread a bit at a time, and reaches further than whoever looks ahead.
const AHEAD: Duration = Duration::from_secs(4);

/// One armed message. Kept a million times: small fields, no pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// When it is due. It stands in the wheel under the moment it is next looked at, which is
    /// later than this where it is another instance's turn first, or somebody else's lock got
    /// in the way.
    pub due: Moment,
    /// Counts the user's edits.
    pub version: u32,
    /// The sweep that was latest when this was read; a sweep begun later knows better.
    pub seen: u32,
    /// Attempts that have counted.
    pub attempts: u16,
    /// How often it was found held by somebody else, in a row.
    pub held: u16,
    /// Another instance is sending it; this is when its lease is over.
    pub watch: bool,
    /// Its place among those that are due.
    pub priority: Priority,
}

/// What comes first: the earlier, of the same moment the more urgent.
pub type Turn = (Moment, Reverse<Priority>, MessageId);

/// All armed messages, by the moment each is next looked at.
pub struct Agenda {
    /// The most urgent first.
    wheels: [Wheel<Timer>; 4],
    /// Timers looked at in one call of [`Self::advance`].
    stretch: usize,
    density: Density,
}

/// How far a walk over all timers has come, see [`Agenda::walk`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    wheel: usize,
    place: usize,
}

impl Agenda {
    /// An empty agenda. `stretch`: timers that one call of [`Self::advance`] looks at, at the most.
    pub fn new(start: Moment, stretch: usize) -> Self {
        Self {
            wheels: std::array::from_fn(|_| Wheel::new(start)),
            stretch: stretch.max(1),
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

    /// Arms a message to be looked at `at`, or moves it there. The former timer, if any.
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

    /// Brings what is due soon into its order: a part of it, and the rest when it is called
    /// again, at once (see [`Self::next_advance`]).
    pub fn advance(&mut self, now: Moment) {
        for wheel in &mut self.wheels {
            if !wheel.spread(now + AHEAD, self.stretch) {
                return;
            }
        }
    }

    /// When [`Self::advance`] next has something to do. Long past: it is not done yet.
    pub fn next_advance(&self) -> Option<Moment> {
        let begins = self.wheels.iter().filter_map(Wheel::next_spread).min();
        begins.map(|at| at - AHEAD)
    }

    /// Takes what comes first of what is to be looked at by `until`: of what is due by `now` the
    /// most urgent, then the earliest.
    #[must_use = "the timer is disarmed: whoever drops it loses a message"]
    pub fn pop(&mut self, now: Moment, until: Moment) -> Option<(MessageId, Timer)> {
        let firsts = self.wheels.iter().enumerate();
        let firsts = firsts.filter_map(|(n, wheel)| Some((wheel.peek()?, n)));
        let soon = firsts.filter(|(at, _)| *at <= until);
        // Of equals the first, which is the most urgent.
        let (_, first) = soon.min_by_key(|(at, _)| (*at).max(now))?;
        let (id, at, timer) = self.wheels[first].pop_due(until)?;
        self.density.take(at);
        Some((id, timer))
    }

    /// When the first is to be looked at: never later than that, maybe earlier.
    pub fn first(&self) -> Option<Moment> {
        self.wheels.iter().filter_map(Wheel::next_wakeup).min()
    }

    /// How many are to be looked at by `until`, which is soon; counted up to `most`.
    pub fn count_due(&self, until: Moment, most: usize) -> usize {
        let mut left = most;
        for wheel in &self.wheels {
            left -= wheel.count_due(until, left);
        }
        most - left
    }

    /// When the first `n` are to be looked at, as far as that is by `until`, which is soon; and no
    /// more than as many of the others.
    pub fn first_dues(&self, n: usize, until: Moment) -> Vec<Moment> {
        let each = |wheel: &Wheel<Timer>| -> Vec<Moment> {
            let first = wheel.first_due(n);
            first.take_while(|at| *at <= until).collect()
        };
        self.wheels.iter().flat_map(each).collect()
    }

    /// Every armed message, in no order.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = (MessageId, Timer)> {
        let all = self.wheels.iter().flat_map(Wheel::iter);
        all.map(|(id, _, timer)| (id, *timer))
    }

    /// Walks on over all armed messages, in no order: shows the next, at most `most`, to `see`.
    /// Whoever goes on until there is no more has seen each that was armed all the while.
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

    /// How many are to be looked at in each of the next `buckets` stretches of
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
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> MessageId {
        MessageId(Uuid::from_u128(n))
    }

    fn timer(due: Moment) -> Timer {
        Timer {
            due,
            version: 0,
            seen: 0,
            attempts: 0,
            held: 0,
            watch: false,
            priority: Priority::Normal,
        }
    }

    #[test]
    fn of_those_due_at_one_moment_the_urgent_go_first() {
        let start = Moment::from_micros(0);
        let (herd, before) = (
            start + Duration::from_millis(20),
            start + Duration::from_millis(19),
        );
        let mut agenda = Agenda::new(start, 100);
        for (n, priority, due) in [
            (1, Priority::Low, herd),
            (2, Priority::Normal, herd),
            (3, Priority::Urgent, herd),
            (4, Priority::High, herd),
            (5, Priority::Low, before),
        ] {
            let timer = Timer {
                priority,
                ..timer(due)
            };
            agenda.insert(id(n), due, timer);
        }
        agenda.advance(start);
        let mut order = Vec::new();
        while let Some((id, _)) = agenda.pop(start, herd) {
            order.push(id.0.as_u128());
        }
        assert_eq!(order, [5, 3, 4, 2, 1]);
    }

    #[test]
    fn the_density_follows_every_change() {
        let start = Moment::from_micros(0);
        let soon = start + Duration::from_millis(20);
        let far = start + Duration::from_secs(20);
        let mut agenda = Agenda::new(start, 100);
        let counts = |agenda: &Agenda| agenda.density(start, 6).1;
        for n in 1..=3 {
            agenda.insert(id(n), soon, timer(soon));
        }
        assert_eq!(counts(&agenda), [3, 0, 0, 0, 0, 0]);
        agenda.insert(id(3), far, timer(far));
        agenda.insert(id(3), far, timer(far));
        assert_eq!(counts(&agenda), [2, 0, 0, 0, 1, 0]);
        agenda.advance(start);
        agenda.insert(id(1), far, timer(far));
        assert_eq!(counts(&agenda), [1, 0, 0, 0, 2, 0]);
        assert!(agenda.pop(start, soon).is_some());
        agenda.remove(id(1));
        assert_eq!(counts(&agenda), [0, 0, 0, 0, 1, 0]);
        agenda.clear();
        assert_eq!(counts(&agenda), [0; 6]);
    }

    #[test]
    fn a_timer_is_in_one_place_only() {
        let start = Moment::from_micros(0);
        let soon = start + Duration::from_millis(20);
        let far = start + Duration::from_secs(20);
        let mut agenda = Agenda::new(start, 100);
        agenda.insert(id(1), soon, timer(soon));
        // Moved away, and back.
        assert_eq!(agenda.insert(id(1), far, timer(far)), Some(timer(soon)));
        assert_eq!(agenda.len(), 1);
        assert_eq!(agenda.pop(start, soon), None);
        let urgent = Timer {
            priority: Priority::Urgent,
            ..timer(soon)
        };
        assert_eq!(agenda.insert(id(1), soon, urgent), Some(timer(far)));
        assert_eq!(agenda.len(), 1);
        assert_eq!(agenda.get(id(1)), Some(urgent));
        assert_eq!(agenda.density(start, 6).1.iter().sum::<u32>(), 1);
        assert_eq!(agenda.pop(start, soon), Some((id(1), urgent)));
        assert!(agenda.is_empty());
        assert_eq!(agenda.remove(id(1)), None);
    }

    #[test]
    fn of_what_is_due_the_urgent_go_first_and_of_what_is_not_yet_the_early() {
        let now = Moment::from_micros(0) + Duration::from_secs(60);
        let due = |ms: i64| Moment::from_micros(now.as_micros() + ms * 1_000);
        let mut agenda = Agenda::new(now, 100);
        for (n, priority, ms) in [
            (1, Priority::Low, -30),
            (2, Priority::Normal, -10),
            (3, Priority::Urgent, -5),
            (4, Priority::Normal, -20),
            (5, Priority::Urgent, 20),
            (6, Priority::Low, 10),
            (7, Priority::Urgent, 30),
        ] {
            let timer = Timer {
                priority,
                ..timer(due(ms))
            };
            agenda.insert(id(n), due(ms), timer);
        }
        agenda.advance(now);
        assert_eq!(agenda.first(), Some(due(-30)));
        let popped = std::iter::from_fn(|| agenda.pop(now, due(25)));
        let order: Vec<_> = popped.map(|(id, _)| id.0.as_u128()).collect();
        assert_eq!(order, [3, 4, 2, 1, 6, 5]);
    }

    #[test]
    fn a_herd_is_seen_before_it_is_due() {
        let start = Moment::from_micros(0);
        let herd = start + Duration::from_secs(3);
        let mut agenda = Agenda::new(start, 100);
        for n in 0..32 {
            let priority = if n % 2 == 0 {
                Priority::Normal
            } else {
                Priority::High
            };
            let timer = Timer {
                priority,
                ..timer(herd)
            };
            agenda.insert(id(n), herd, timer);
        }
        agenda.insert(id(99), start, timer(start));
        agenda.advance(start);
        assert_eq!(agenda.count_due(herd, 100), 33);
        assert_eq!(agenda.count_due(herd, 20), 20);
        let before = herd - Duration::from_micros(1);
        assert_eq!(agenda.count_due(before, 100), 1);
        assert_eq!(agenda.first_dues(20, before), [start]);
        let mut dues = agenda.first_dues(33, herd);
        dues.sort_unstable();
        assert_eq!(dues.len(), 33);
        assert_eq!((dues[0], dues[1]), (start, herd));
    }

    /// Whatever is armed, no call looks at more than it was allowed to; and a walk meets all.
    #[test]
    fn a_herd_is_brought_into_order_a_bit_at_a_time() {
        let start = Moment::from_micros(0);
        let due = start + Duration::from_secs(3_600);
        let mut agenda = Agenda::new(start, 100);
        for n in 0..1_000_u64 {
            let due = due + Duration::from_micros(n % 7);
            agenda.insert(id(u128::from(n)), due, timer(due));
        }
        let mut seen = std::collections::HashSet::new();
        let mut walk = Some(Walk::default());
        while let Some(from) = walk {
            let before = seen.len();
            walk = agenda.walk(from, 100, |id, _| {
                seen.insert(id);
            });
            assert!(seen.len() <= before + 100);
        }
        assert_eq!(seen.len(), 1_000);

        let now = due - AHEAD;
        let mut calls = 0;
        while agenda.next_advance().is_some_and(|at| at <= now) {
            agenda.advance(now);
            calls += 1;
            assert!(calls < 100);
        }
        assert!(calls >= 10, "{calls}");
        let last = due + Duration::from_micros(6);
        assert_eq!(agenda.count_due(last, 2_000), 1_000);
        assert_eq!(agenda.pop(due, due).map(|(id, _)| id), Some(id(0)));
    }

    #[test]
    fn upcoming_is_in_order_of_time_whatever_the_priority() {
        let start = Moment::from_micros(0);
        let mut agenda = Agenda::new(start, 100);
        for n in 0..10 {
            let due = start + Duration::from_millis(n * 20);
            let priority = if n % 3 == 0 {
                Priority::Urgent
            } else {
                Priority::Low
            };
            let timer = Timer {
                priority,
                ..timer(due)
            };
            agenda.insert(id(u128::from(n)), due, timer);
        }
        let first: Vec<_> = agenda
            .upcoming(5, None)
            .into_iter()
            .map(|(i, _)| i)
            .collect();
        assert_eq!(first, [id(0), id(1), id(2), id(3), id(4)]);
        let before = start + Duration::from_millis(30);
        assert_eq!(agenda.upcoming(5, Some(before)).len(), 2);
    }
}
