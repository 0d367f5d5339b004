//! What is to be sent when: the wheel, and in front of it the few that are about to be due.
//!
//! The wheel answers "what is next?" for a million timers; the front answers "how many are due
//! together?", which decides how early a herd is claimed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::Wheel;
use super::density::Density;
use super::lead::LEAD_MAX;
use super::wheel::LevelInfo;
use crate::message::{MessageId, Moment, Priority};

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
    /// Its place among those of the same moment.
    pub priority: Priority,
}

/// What comes first: the earlier, of the same moment the more urgent.
pub type Turn = (Moment, Reverse<Priority>, MessageId);

/// All armed messages, by the moment each is next looked at.
pub struct Agenda {
    wheel: Wheel<Timer>,
    /// Everything up to about [`LEAD_MAX`] from now.
    front: BTreeMap<Turn, Timer>,
    front_at: HashMap<MessageId, (Moment, Reverse<Priority>)>,
    density: Density,
}

impl Agenda {
    /// An empty agenda.
    pub fn new(start: Moment) -> Self {
        Self {
            wheel: Wheel::new(start),
            front: BTreeMap::new(),
            front_at: HashMap::new(),
            density: Density::default(),
        }
    }

    /// How many are armed.
    pub fn len(&self) -> usize {
        self.wheel.len() + self.front.len()
    }

    /// Whether nothing is armed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Arms a message to be looked at `at`, or moves it there. The former timer, if any.
    pub fn insert(&mut self, id: MessageId, at: Moment, timer: Timer) -> Option<Timer> {
        let at_front = self.take_front(id);
        let in_wheel = self.wheel.insert(id, at, timer);
        self.density.add(at);
        if let Some((was, _)) = in_wheel {
            self.density.take(was);
        }
        at_front.or(in_wheel.map(|(_, t)| t))
    }

    /// Disarms a message.
    pub fn remove(&mut self, id: MessageId) -> Option<Timer> {
        self.take_front(id).or_else(|| self.take_wheel(id))
    }

    fn take_front(&mut self, id: MessageId) -> Option<Timer> {
        let (at, priority) = self.front_at.remove(&id)?;
        self.density.take(at);
        self.front.remove(&(at, priority, id))
    }

    fn take_wheel(&mut self, id: MessageId) -> Option<Timer> {
        let (at, timer) = self.wheel.remove(id)?;
        self.density.take(at);
        Some(timer)
    }

    /// The timer of a message.
    pub fn get(&self, id: MessageId) -> Option<Timer> {
        match self.front_at.get(&id) {
            Some((at, priority)) => self.front.get(&(*at, *priority, id)).copied(),
            None => self.wheel.get(id).map(|(_, t)| *t),
        }
    }

    /// Brings everything up to [`LEAD_MAX`] after `now` to the front, and says how many that is.
    pub fn advance(&mut self, now: Moment) -> usize {
        while let Some((id, at, timer)) = self.wheel.pop_due(now + LEAD_MAX) {
            let priority = Reverse(timer.priority);
            self.front.insert((at, priority, id), timer);
            self.front_at.insert(id, (at, priority));
        }
        self.front.len()
    }

    /// Takes the first of the front that is to be looked at by `until`.
    #[must_use]
    pub fn pop(&mut self, until: Moment) -> Option<(MessageId, Timer)> {
        let entry = self.front.first_entry()?;
        let &(at, _, id) = entry.key();
        if at > until {
            return None;
        }
        let timer = entry.remove();
        self.front_at.remove(&id);
        self.density.take(at);
        Some((id, timer))
    }

    /// How many are at the front.
    pub fn front_len(&self) -> usize {
        self.front.len()
    }

    /// When the first of the front is to be looked at.
    pub fn first(&self) -> Option<Moment> {
        self.front.first_key_value().map(|((at, ..), _)| *at)
    }

    /// When [`Self::advance`] next has something to do: never later than that, maybe earlier.
    pub fn next_advance(&mut self) -> Option<Moment> {
        self.wheel.next_wakeup().map(|at| at - LEAD_MAX)
    }

    /// Every armed message, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (MessageId, Timer)> {
        let front = self.front.iter().map(|((.., id), timer)| (*id, *timer));
        front.chain(self.wheel.iter().map(|(id, _, timer)| (id, *timer)))
    }

    /// The first `limit` in order, those before `before` if it is given.
    pub fn upcoming(&self, limit: usize, before: Option<Moment>) -> Vec<(MessageId, Timer)> {
        let mut first: Vec<_> = self
            .front
            .iter()
            .take_while(|((at, ..), _)| before.is_none_or(|b| *at < b))
            .take(limit)
            .map(|((.., id), timer)| (*id, *timer))
            .collect();
        let rest = self.wheel.upcoming(limit - first.len(), before);
        first.extend(rest.into_iter().map(|(id, _, timer)| (id, timer)));
        first
    }

    /// How the wheel is filled.
    pub fn levels(&self) -> impl Iterator<Item = LevelInfo> {
        self.wheel.levels().into_iter()
    }

    /// How many are to be looked at in each of the next `buckets` stretches of
    /// [`DENSITY_BUCKET`](super::DENSITY_BUCKET), the first being the one `now` lies in, which
    /// counts what is overdue as well. With the moment that one began.
    pub fn density(&self, now: Moment, buckets: usize) -> (Moment, Vec<u32>) {
        self.density.from(now, buckets)
    }

    /// Disarms everything.
    pub fn clear(&mut self) {
        self.wheel.clear();
        self.front.clear();
        self.front_at.clear();
        self.density = Density::default();
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
        let mut agenda = Agenda::new(start);
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
        while let Some((id, _)) = agenda.pop(herd) {
            order.push(id.0.as_u128());
        }
        assert_eq!(order, [5, 3, 4, 2, 1]);
    }

    #[test]
    fn the_density_follows_every_change() {
        let start = Moment::from_micros(0);
        let soon = start + Duration::from_millis(20);
        let far = start + Duration::from_secs(20);
        let mut agenda = Agenda::new(start);
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
        assert!(agenda.pop(soon).is_some());
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
        let mut agenda = Agenda::new(start);
        agenda.insert(id(1), soon, timer(soon));
        assert_eq!(agenda.advance(start), 1);
        // Moved out of the front, and back in.
        assert_eq!(agenda.insert(id(1), far, timer(far)), Some(timer(soon)));
        assert_eq!(agenda.len(), 1);
        assert_eq!(agenda.pop(soon), None);
        agenda.insert(id(1), soon, timer(soon));
        agenda.advance(start);
        assert_eq!(agenda.get(id(1)), Some(timer(soon)));
        assert_eq!(agenda.pop(soon), Some((id(1), timer(soon))));
        assert!(agenda.is_empty());
        assert_eq!(agenda.remove(id(1)), None);
    }

    #[test]
    fn upcoming_runs_from_the_front_into_the_wheel() {
        let start = Moment::from_micros(0);
        let mut agenda = Agenda::new(start);
        for n in 0..10 {
            let due = start + Duration::from_millis(n * 20);
            agenda.insert(id(u128::from(n)), due, timer(due));
        }
        assert_eq!(agenda.advance(start), 3);
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
