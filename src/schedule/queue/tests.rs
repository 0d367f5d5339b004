//! The turns of messages in the queue of a campaign.

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
        late_from: s(free_at),
    }
}

/// With a fixed gap, of nine seconds and the second of each slot.
fn queue(rows: Vec<Queued>, next: i64) -> Queue {
    late(rows, next, next, Duration::MAX)
}

fn late(rows: Vec<Queued>, next: i64, now: i64, max_lateness: Duration) -> Queue {
    let slots = Slots {
        next_at: s(next),
        seed: 1,
        position: 0,
        gaps: NONE,
    };
    Queue::new(rows, slots, s(now), max_lateness)
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
    let turns = queue(rows, -50).turns(Some);
    assert_eq!(slots(&turns), [(3, 0), (1, 100), (2, 110), (4, 120)]);
    assert_eq!(
        turns.iter().map(|(_, turn)| turn.ahead).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    // The next slot is not before the end of the gap after the latest message.
    let queue = queue(vec![row(1, 100, 100), row(2, 100, 100)], 104);
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
    assert_eq!(
        slots(&queue(rows, 0).turns(Some)),
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
    let queue = queue(rows, 0);
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

#[test]
fn what_is_too_late_is_cancelled_and_takes_no_slot() {
    // The slots of an outage were at 0, 10, 20 and 30: what is later than 25 is too late.
    let rows = || (1..6).map(|n| row(n, -1, -1)).collect();
    let queue = late(rows(), 0, 46, Duration::from_secs(25));
    let turns = queue.turns(Some);
    assert_eq!(slots(&turns), [(1, 46), (2, 46), (3, 46), (4, 46), (5, 56)]);
    let of = |turn: &Turn| (turn.ahead, turn.open_from.as_micros() / 1_000_000);
    let of: Vec<_> = turns.iter().map(|(_, turn)| of(turn)).collect();
    assert_eq!(of, [(0, 0), (0, 10), (0, 20), (0, 30), (1, 56)]);
    // So it is in closed hours, which defer the others.
    let opens = |at: Moment| Some(at.max(s(100)));
    let turns = late(rows(), 0, 46, Duration::from_secs(25)).turns(opens);
    assert_eq!(
        slots(&turns),
        [(1, 46), (2, 46), (3, 46), (4, 100), (5, 110)]
    );
    // What was due later is late from then.
    let rows = vec![row(1, 0, 0), row(2, 40, 40), row(3, 41, 41)];
    let turns = late(rows, 0, 46, Duration::from_secs(25)).turns(Some);
    assert_eq!(slots(&turns), [(1, 46), (2, 46), (3, 56)]);
    // What has no lateness is sent however late it is.
    let mut never = row(1, 0, 0);
    never.late_from = Moment::MAX;
    let turns = late(vec![never, row(2, 1, 1)], 0, 46, Duration::from_secs(25)).turns(Some);
    assert_eq!(slots(&turns), [(1, 46), (2, 56)]);
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
        let slots = Slots { next_at: s(next), seed, position: 3, gaps };
        let queue = Queue::new(all.clone(), slots, s(next), Duration::MAX);
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
