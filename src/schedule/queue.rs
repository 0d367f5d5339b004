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
    /// From when its lateness counts at the earliest, if there is a slot for it. [`Moment::MAX`]: it is never too late.
    pub late_from: Moment,
}

/// The next slot of a campaign, and the gaps after it: those of [`gap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Since when there is one for the next message, or when there will be.
    pub next_at: Moment,
    /// See [`gap`].
    pub seed: i64,
    /// See [`gap`].
    pub position: i64,
    /// The shortest gap, and the longest.
    pub gaps: (Duration, Duration),
}

/// The messages of a campaign, and its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    rows: Vec<Queued>,
    next_at: Moment,
    /// The gap after each of the next slots.
    gaps: Vec<Duration>,
    now: Moment,
    max_lateness: Duration,
}

/// The turn of a message. One that is too late by then takes no slot: it is cancelled, and the next one goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How many of the queue take a slot before it.
    pub ahead: u64,
    /// Since when there was a slot for it, when it was claimed first.
    pub open_from: Moment,
    /// When it is claimed first. While hours are closed that takes no slot, and defers it.
    pub first: Moment,
    /// When its slot begins.
    pub slot: Moment,
}

impl Queue {
    /// The queue of these messages, none of which is claimed before `now`. What is later than `max_lateness` by its
    /// turn is cancelled.
    pub fn new(rows: Vec<Queued>, slots: Slots, now: Moment, max_lateness: Duration) -> Self {
        let Slots {
            next_at,
            seed,
            position,
            gaps,
        } = slots;
        let gaps = (position..).take(rows.len()).map(|n| gap(seed, n, gaps));
        Self {
            gaps: gaps.collect(),
            rows,
            next_at,
            now,
            max_lateness,
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
        own.late_from = own.late_from.max(until);
        let mut found = None;
        self.play(&rows, opens, |taken, turn| {
            found = (taken == id).then_some(turn);
            found.is_none()
        });
        found
    }

    /// Takes slot by slot, as long as `taken` returns true. As `punctual.return_slot` does it, the slot that a
    /// cancelled message could have taken was there: that of the next one is a gap later, but not later than now.
    fn play(
        &self,
        rows: &[Queued],
        opens: impl Fn(Moment) -> Option<Moment>,
        mut taken: impl FnMut(MessageId, Turn) -> bool,
    ) {
        let free = rows.iter().filter(|row| row.free_at < Moment::MAX);
        let mut waiting: BinaryHeap<_> = free
            .map(|row| Reverse((row.free_at, Ready::of(row))))
            .collect();
        let mut ready: BinaryHeap<Reverse<Ready>> = BinaryHeap::new();
        let (mut now, mut next) = (self.now, self.next_at);
        let mut gaps = self.gaps.iter().zip(0..).peekable();
        // It may open then, where it was looked at.
        let mut opens_at = (Moment::MIN, None);
        while let Some(&(gap, ahead)) = gaps.peek() {
            if ready.is_empty() {
                let Some(Reverse((free_at, _))) = waiting.peek() else {
                    return;
                };
                now = now.max(*free_at);
            }
            now = now.max(next);
            while waiting.peek().is_some_and(|Reverse(row)| row.0 <= now) {
                ready.extend(waiting.pop().map(|Reverse((_, row))| Reverse(row)));
            }
            let Some(Reverse(row)) = ready.pop() else {
                return;
            };
            let (first, open_from) = row.first.unwrap_or((now, next));
            let turn = Turn {
                ahead,
                open_from,
                first,
                slot: now,
            };
            let late_from = row.late_from.max(next);
            if now > late_from + self.max_lateness {
                next = late_from.max(now.min(late_from + PACE_SLACK + *gap));
                if !taken(row.id, turn) {
                    return;
                }
                continue;
            }
            if opens_at.0 != now {
                opens_at = (now, opens(now));
            }
            match opens_at.1 {
                Some(open) if open == now => {}
                Some(open) => {
                    let first = Some((first, open_from));
                    let row = row.deferred(open, first);
                    waiting.push(Reverse((open, row)));
                    continue;
                }
                None => continue,
            }
            if !taken(row.id, turn) {
                return;
            }
            next = now + PACE_SLACK + *gap;
            gaps.next();
        }
    }
}

/// A message that can take a slot: of several that one which was due first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    due: Moment,
    id: MessageId,
    late_from: Moment,
    /// When it was claimed first, if a closed hour has deferred it since, and since when there was a slot for it then.
    first: Option<(Moment, Moment)>,
}

impl Ready {
    const fn of(row: &Queued) -> Self {
        Self {
            due: row.due,
            id: row.id,
            late_from: row.late_from,
            first: None,
        }
    }

    fn deferred(self, until: Moment, first: Option<(Moment, Moment)>) -> Self {
        Self {
            due: until,
            late_from: self.late_from.max(until),
            first,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
