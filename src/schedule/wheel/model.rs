//! The wheel against a model that is simple enough to be obviously right: an ordered map.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use uuid::Uuid;

use super::place::{Tick, slot_us};
use super::{LEVELS, Wheel};
use crate::message::{MessageId, Moment};

/// Few ids, so that most operations meet a timer that is armed.
const IDS: u8 = 24;
/// Some moment of 2026.
const START: i64 = 1_767_258_000_123_456;

/// A distance in time.
#[derive(Clone, Copy, Debug)]
enum Span {
    /// So many microseconds.
    Micros(i64),
    /// Near the start of the `nth` slot of a level from here, by so many microseconds.
    Boundary { level: usize, nth: i64, off: i64 },
    /// To a moment, from wherever the wheel is.
    To(i64),
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// The due time is counted from now, and some are moved close to another timer's.
    Insert(u8, Span),
    InsertBeside(u8, u8, i64),
    Remove(u8),
    Touch(u8),
    Advance(Span),
    Back(i64),
    /// Pops at most so many.
    Pop(usize),
    Wake,
    /// Up to that long from now, and at most so many.
    Spread(Span, usize),
    Upcoming(usize, Option<Span>),
    Clear,
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(0_i64),
        Just(1),
        Just(-1),
        -3000..3000_i64,
        -3_000_000..3_000_000_i64
    ]
}

/// Forward, from a microsecond to years.
fn forward() -> impl Strategy<Value = Span> {
    prop_oneof![
        4 => (0..52_u32, 1..8_i64).prop_map(|(bits, n)| Span::Micros((1 << bits) * n / 4)),
        4 => (0..7_usize, 0..66_i64, offset())
            .prop_map(|(level, nth, off)| Span::Boundary { level, nth, off }),
    ]
}

fn span() -> impl Strategy<Value = Span> {
    const EDGES: &[i64] = &[i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX];
    prop_oneof![
        12 => forward(),
        2 => (0..45_u32).prop_map(|bits| Span::Micros(-(1 << bits))),
        1 => proptest::sample::select(EDGES).prop_map(Span::To),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let id = || 0..IDS;
    prop_oneof![
        12 => (id(), span()).prop_map(|(id, due)| Op::Insert(id, due)),
        6 => (id(), id(), offset()).prop_map(|(id, other, off)| Op::InsertBeside(id, other, off)),
        4 => id().prop_map(Op::Remove),
        2 => id().prop_map(Op::Touch),
        6 => forward().prop_map(Op::Advance),
        2 => (0..45_u32).prop_map(|bits| Op::Back(1 << bits)),
        6 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Op::Pop),
        6 => Just(Op::Wake),
        6 => (forward(), prop_oneof![0..4_usize, Just(usize::MAX)])
            .prop_map(|(until, most)| Op::Spread(until, most)),
        2 => (prop_oneof![0..8_usize, Just(usize::MAX)], proptest::option::of(span()))
            .prop_map(|(limit, before)| Op::Upcoming(limit, before)),
        1 => Just(Op::Clear),
    ]
}

fn id(n: u8) -> MessageId {
    MessageId(Uuid::from_u128(u128::from(n)))
}

/// A wheel and its model, stepped together.
struct World {
    wheel: Wheel<u32>,
    /// By due time, then by when it was armed for it.
    queue: BTreeMap<(Moment, u32), (MessageId, u32)>,
    armed: HashMap<MessageId, (Moment, u32)>,
    now: Moment,
    step: u32,
}

impl World {
    fn new(start: i64) -> Self {
        let now = Moment::from_micros(start);
        Self {
            wheel: Wheel::new(now),
            queue: BTreeMap::new(),
            armed: HashMap::new(),
            now,
            step: 0,
        }
    }

    fn moment(&self, span: Span) -> Moment {
        let now = self.now.as_micros();
        Moment::from_micros(match span {
            Span::Micros(us) => now.saturating_add(us),
            Span::Boundary { level, nth, off } => {
                // Slots are laid from the beginning of time, not from the epoch.
                let here = Tick::of(self.now).slot_start(level, 0).start().as_micros();
                let ahead = slot_us(level).cast_signed().saturating_mul(nth);
                here.saturating_add(ahead).saturating_add(off)
            }
            Span::To(us) => us,
        })
    }

    fn insert(&mut self, id: MessageId, due: Moment) {
        let before = self.armed.get(&id).copied();
        let was = before.map(|key| (key.0, self.queue[&key].1));
        assert_eq!(self.wheel.insert(id, due, self.step), was);
        let key = match before {
            Some(key) if key.0 == due => key,
            _ => (due, self.step),
        };
        if let Some(before) = before {
            self.queue.remove(&before);
        }
        self.queue.insert(key, (id, self.step));
        self.armed.insert(id, key);
    }

    /// Pops one from both; whether there was one.
    fn pop(&mut self) -> bool {
        let now = self.now;
        let first = self.queue.first_entry();
        let due = first.filter(|first| first.key().0 <= now);
        let expected = due.map(|due| {
            let ((due, _), (id, payload)) = due.remove_entry();
            self.armed.remove(&id);
            (id, due, payload)
        });
        assert_eq!(self.wheel.pop_due(now), expected);
        if expected.is_none() {
            let next = self.wheel.next_wakeup();
            assert!(
                next.is_none_or(|next| next > now),
                "no progress from {now:?}: {next:?}"
            );
        }
        expected.is_some()
    }

    fn upcoming(&self, limit: usize, before: Option<Moment>) {
        let all = self
            .queue
            .iter()
            .map(|(key, timer)| (timer.0, key.0, timer.1));
        let soon = all.take_while(|timer| before.is_none_or(|before| timer.1 < before));
        let expected: Vec<_> = soon.take(limit).collect();
        assert_eq!(self.wheel.upcoming(limit, before), expected);
    }

    fn apply(&mut self, op: Op) {
        self.step += 1;
        match op {
            Op::Insert(n, due) => self.insert(id(n), self.moment(due)),
            Op::InsertBeside(n, other, off) => {
                let beside = self.armed.get(&id(other)).map_or(self.now, |key| key.0);
                let due = beside.as_micros().saturating_add(off);
                self.insert(id(n), Moment::from_micros(due));
            }
            Op::Remove(n) => {
                let key = self.armed.remove(&id(n));
                let timer = key.and_then(|key| Some((key.0, self.queue.remove(&key)?.1)));
                assert_eq!(self.wheel.remove(id(n)), timer);
            }
            Op::Touch(n) => {
                let step = self.step;
                let payload = self.wheel.get_mut(id(n)).map(|payload| *payload = step);
                assert_eq!(payload.is_some(), self.armed.contains_key(&id(n)));
                if let Some(key) = self.armed.get(&id(n)) {
                    self.queue.insert(*key, (id(n), step));
                }
            }
            Op::Advance(span) => self.now = self.now.max(self.moment(span)),
            Op::Back(us) => self.now = self.moment(Span::Micros(-us)),
            Op::Pop(most) => {
                let mut popped = 0;
                while popped < most && self.pop() {
                    popped += 1;
                }
            }
            Op::Wake => {
                if let Some(next) = self.wheel.next_wakeup() {
                    self.now = self.now.max(next);
                    self.pop();
                }
            }
            Op::Spread(until, most) => {
                let until = self.moment(until);
                let mut left = most;
                let done = self.wheel.spread(until, &mut left);
                assert!(done || most < usize::MAX);
                assert!(!done || self.wheel.next_spread().is_none_or(|at| at > until));
            }
            Op::Upcoming(limit, before) => {
                self.upcoming(limit, before.map(|before| self.moment(before)));
            }
            Op::Clear => {
                self.wheel.clear();
                self.queue.clear();
                self.armed.clear();
            }
        }
        self.compare();
    }

    fn compare(&self) {
        self.wheel.assert_sound();
        assert_eq!(self.wheel.len(), self.queue.len());
        for n in 0..IDS {
            let key = self.armed.get(&id(n));
            let timer = key.map(|key| (key.0, &self.queue[key].1));
            assert_eq!(self.wheel.get(id(n)), timer);
        }
        let earliest = self.queue.first_key_value().map(|(key, _)| key.0);
        let next = self.wheel.next_wakeup();
        assert_eq!(next.is_some(), earliest.is_some());
        assert!(next <= earliest, "{next:?} is later than {earliest:?}");
        let first = self.wheel.peek();
        assert!(
            first.is_none() || first == earliest,
            "{first:?} is not {earliest:?}"
        );
        let middle = self.queue.keys().nth(self.queue.len() / 2);
        if let Some((due, _)) = middle.filter(|(due, _)| self.is_exact(*due)) {
            let by = self.queue.keys().filter(|(by, _)| by <= due).count();
            assert_eq!(self.wheel.count_due(*due, usize::MAX), by);
            assert_eq!(self.wheel.count_due(*due, 2), by.min(2));
            let mut dues = self.queue.keys().map(|(due, _)| *due).take(by);
            assert!(self.wheel.first_due(by).all(|due| Some(due) == dues.next()));
            // What follows is at most as far away as the next one.
            let after = self.queue.keys().map(|(by, _)| *by).find(|by| by > due);
            let first = self.wheel.first_after(*due);
            assert!(first.is_none_or(|first| first > *due) && first.is_some() == after.is_some());
            assert!(first <= after, "{first:?} is later than {after:?}");
        }
    }

    /// Whether everything due by then is in its order.
    fn is_exact(&self, by: Moment) -> bool {
        self.wheel.unspread().is_none_or(|later| later > by)
    }

    /// Sleeps and pops as the daemon does until nothing is left. Returns how often it looked
    /// in vain.
    fn drain(&mut self) -> usize {
        while self.pop() {}
        let mut in_vain = 0;
        while let Some(next) = self.wheel.next_wakeup() {
            self.now = next;
            let left = self.wheel.len();
            while let Some((&(due, _), _)) = self.queue.first_key_value()
                && self.pop()
            {
                assert_eq!(due, next, "popped at another time than its own");
            }
            in_vain += usize::from(self.wheel.len() == left);
        }
        in_vain
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn does_what_an_ordered_map_would_do(
        start in prop_oneof![
            6 => Just(START),
            1 => proptest::sample::select(&[i64::MIN, -1, 0, i64::MAX - 5000, i64::MAX][..]),
        ],
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut world = World::new(start);
        for op in ops {
            world.apply(op);
        }
        world.drain();
        prop_assert!(world.queue.is_empty());
    }

    /// The bound is the one [`Wheel::next_wakeup`] promises: once a level for each timer.
    #[test]
    fn wakes_at_exactly_the_due_times_and_seldom_in_vain(
        dues in proptest::collection::vec(span(), 1..24),
    ) {
        let mut world = World::new(START);
        for (n, due) in (0..).zip(&dues) {
            world.insert(id(n), world.moment(*due));
            world.step += 1;
        }
        let in_vain = world.drain();
        prop_assert!(world.queue.is_empty());
        prop_assert!(in_vain <= dues.len() * LEVELS, "{in_vain} times in vain");
    }
}
