//! The queue of a campaign that has a pace: when each of its messages takes its slot. The database takes them
//! (`claim_paced.sql`); this is the same rule for forecasts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::pace::{PACE_SLACK, gap};
use crate::message::{MessageId, Moment};

/// A message in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Which one.
    pub id: MessageId,
    /// When it is due: of the messages that can take a slot, the one that was due first takes it.
    pub due: Moment,
    /// From when it can take one: when it is due and not paused. [`Moment::MAX`]: it takes none.
    pub free_at: Moment,
}

/// The messages of a campaign, and its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    rows: Vec<Queued>,
    next_at: Moment,
    /// Those after each of the next slots.
    gaps: Vec<Duration>,
}

/// The turn of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How many of the queue take a slot before it.
    pub ahead: u64,
    /// When it is claimed first. While hours are closed that takes no slot, and defers it.
    pub first: Moment,
    /// When its slot begins.
    pub slot: Moment,
}

impl Queue {
    /// Messages whose next slot begins at `next_at`, or when one of them can take it. Seed, position and gaps are those
    /// of [`gap`].
    pub fn new(
        rows: Vec<Queued>,
        next_at: Moment,
        seed: i64,
        position: i64,
        gaps: (Duration, Duration),
    ) -> Self {
        let gaps = (position..).take(rows.len()).map(|n| gap(seed, n, gaps));
        Self {
            gaps: gaps.collect(),
            rows,
            next_at,
        }
    }

    /// Whether it is among the messages that are counted.
    pub fn counts(&self, id: MessageId) -> bool {
        self.rows.iter().any(|row| row.id == id)
    }

    /// The turn of each message that has one. `opens` returns the earliest moment from a moment on at which the
    /// campaign may send.
    pub fn turns(&self, opens: impl Fn(Moment) -> Option<Moment>) -> Vec<(MessageId, Turn)> {
        let mut turns = Vec::with_capacity(self.rows.len());
        self.play(&self.rows, opens, |id, turn| {
            turns.push((id, turn));
            true
        });
        turns
    }

    /// The turn of a message that is deferred until then.
    pub fn turn_after(
        &self,
        id: MessageId,
        until: Moment,
        opens: impl Fn(Moment) -> Option<Moment>,
    ) -> Option<Turn> {
        let mut rows = self.rows.clone();
        let own = rows.iter_mut().find(|row| row.id == id)?;
        (own.due, own.free_at) = (until, until);
        let mut found = None;
        self.play(&rows, opens, |taken, turn| {
            found = (taken == id).then_some(turn);
            found.is_none()
        });
        found
    }

    /// Takes slot by slot, as long as `taken` returns true.
    fn play(
        &self,
        rows: &[Queued],
        opens: impl Fn(Moment) -> Option<Moment>,
        mut taken: impl FnMut(MessageId, Turn) -> bool,
    ) {
        // With the moment of the first claim, if a closed hour has deferred it.
        let free = rows.iter().filter(|row| row.free_at < Moment::MAX);
        let mut waiting: BinaryHeap<_> = free
            .map(|row| Reverse((row.free_at, row.due, row.id, None)))
            .collect();
        let mut ready: BinaryHeap<Reverse<(Moment, MessageId, Option<Moment>)>> = BinaryHeap::new();
        let (mut next, mut ahead) = (self.next_at, 0);
        let mut gaps = self.gaps.iter();
        loop {
            let at = match (ready.is_empty(), waiting.peek()) {
                (false, _) => next,
                (true, Some(Reverse((free_at, ..)))) => next.max(*free_at),
                (true, None) => return,
            };
            while waiting.peek().is_some_and(|Reverse(row)| row.0 <= at) {
                if let Some(Reverse((_, due, id, first))) = waiting.pop() {
                    ready.push(Reverse((due, id, first)));
                }
            }
            let open = opens(at);
            if open != Some(at) {
                let deferred = ready.drain().zip(open.into_iter().cycle());
                waiting.extend(deferred.map(|(Reverse((_, id, first)), open)| {
                    Reverse((open, open, id, Some(first.unwrap_or(at))))
                }));
                continue;
            }
            let (Some(Reverse((_, id, first))), Some(gap)) = (ready.pop(), gaps.next()) else {
                return;
            };
            let turn = Turn {
                ahead,
                first: first.unwrap_or(at),
                slot: at,
            };
            if !taken(id, turn) {
                return;
            }
            ahead += 1;
            next = at + PACE_SLACK + *gap;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const NONE: (Duration, Duration) = (Duration::from_secs(9), Duration::from_secs(9));

    fn s(seconds: i64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn row(id: u128, due: i64, free_at: i64) -> Queued {
        Queued {
            id: MessageId(Uuid::from_u128(id)),
            due: s(due),
            free_at: s(free_at),
        }
    }

    /// Ids, and the seconds of the slots.
    fn slots(turns: &[(MessageId, Turn)]) -> Vec<(u128, i64)> {
        let second = |turn: &Turn| turn.slot.as_micros() / 1_000_000;
        let all = turns
            .iter()
            .map(|(id, turn)| (id.0.as_u128(), second(turn)));
        all.collect()
    }

    #[test]
    fn a_slot_begins_when_the_gap_is_over_and_the_message_is_due() {
        let rows = vec![
            row(2, 100, 100),
            row(1, 100, 100),
            row(3, 0, 0),
            row(4, 105, 105),
        ];
        let queue = Queue::new(rows, s(-50), 1, 0, NONE);
        let turns = queue.turns(Some);
        assert_eq!(slots(&turns), [(3, 0), (1, 100), (2, 110), (4, 120)]);
        assert_eq!(
            turns.iter().map(|(_, turn)| turn.ahead).collect::<Vec<_>>(),
            [0, 1, 2, 3]
        );
        // The next slot is not before the end of the gap after the latest message.
        let queue = Queue::new(vec![row(1, 100, 100), row(2, 100, 100)], s(104), 1, 0, NONE);
        assert_eq!(slots(&queue.turns(Some)), [(1, 104), (2, 114)]);
    }

    #[test]
    fn what_is_paused_is_passed_over_until_its_end_and_goes_first_then() {
        let rows = vec![
            row(1, 0, 25),
            row(2, 1, 1),
            row(3, 2, 2),
            row(4, 3, 3),
            row(5, 4, 4),
        ];
        let mut never = row(6, 0, 0);
        never.free_at = Moment::MAX;
        let rows = rows.into_iter().chain([never]).collect();
        let queue = Queue::new(rows, s(0), 1, 0, NONE);
        assert_eq!(
            slots(&queue.turns(Some)),
            [(2, 1), (3, 11), (4, 21), (1, 31), (5, 41)]
        );
    }

    #[test]
    fn closed_hours_take_no_slot_and_defer_in_the_order_of_the_ids() {
        // Open until 25, and from 100 to 115, and from 200 on.
        let opens = |at: Moment| {
            let second = at.as_micros() / 1_000_000;
            Some(match second {
                26..100 => s(100),
                116..200 => s(200),
                _ => at,
            })
        };
        let rows = (0..6)
            .map(|n| row(9 - u128::try_from(n).unwrap(), n, n))
            .collect();
        let queue = Queue::new(rows, s(0), 1, 0, NONE);
        let turns = queue.turns(opens);
        // 9, 8 and 7 go in the order in which they were due; the others are deferred together.
        assert_eq!(
            slots(&turns),
            [(9, 0), (8, 10), (7, 20), (4, 100), (5, 110), (6, 200)]
        );
        let first = turns.iter().map(|(_, turn)| turn.first).collect::<Vec<_>>();
        assert_eq!(first, [s(0), s(10), s(20), s(30), s(30), s(30)]);
        // A deferral of one alone: it is due with those that wait then.
        let turn = queue.turn_after(MessageId(Uuid::from_u128(9)), s(105), opens);
        assert_eq!(turn.map(|turn| turn.slot), Some(s(200)));
        assert_eq!(queue.turns(|_| None), []);
    }

    proptest! {
        /// Each message that can has one slot, not before it can take it, and a gap after the one before.
        #[test]
        fn turns_are_a_gap_apart_and_never_early(
            rows in prop::collection::vec((0..500_i64, 0..100_i64), 1..40), next in -50..500_i64,
            seed: i64, min in 1..60_u64, more in 0..60_u64,
        ) {
            let gaps = (Duration::from_secs(min), Duration::from_secs(min + more));
            let all: Vec<_> = (1..).zip(&rows).map(|(id, (due, paused))| row(id, *due, due + paused)).collect();
            let queue = Queue::new(all.clone(), s(next), seed, 3, gaps);
            let turns = queue.turns(Some);
            prop_assert_eq!(turns.len(), all.len());
            for (id, turn) in &turns {
                let own = all.iter().find(|row| row.id == *id).unwrap();
                prop_assert!(turn.slot >= own.free_at.max(s(next)));
                // Of those that were free and are not before it, none was due earlier.
                for (other, later) in &turns {
                    let other = all.iter().find(|row| row.id == *other).unwrap();
                    let is_passed = later.slot > turn.slot && other.free_at <= turn.slot;
                    prop_assert!(!is_passed || (own.due, own.id) < (other.due, other.id));
                }
            }
            for (n, pair) in (3..).zip(turns.windows(2)) {
                let least = PACE_SLACK + gap(seed, n, gaps);
                prop_assert!(pair[1].1.slot >= pair[0].1.slot + least);
            }
        }
    }
}
