//! A whole campaign against the rule by which claims take the slots of its pace.

use std::time::Duration;

use uuid::Uuid;

use super::{HOUR, MINUTE, ROWS, check, clock, moment, pacific, pacing, plan};
use crate::message::{MessageId, Moment};
use crate::plan::campaign::Planned;
use crate::schedule::queue::{Queue, Queued, Slots, Turn};

const SEED: i64 = 7;

/// The messages that a daemon claims which begins at `now`, each with its turn.
fn claimed(planned: &[Planned], now: Moment, from: usize) -> Vec<(usize, Turn)> {
    let row = |one: &Planned| Queued {
        id: MessageId(Uuid::from_u128(u128::try_from(one.position).unwrap())),
        due: one.at,
        free_at: one.at,
        late_from: one.at,
    };
    let slots = Slots {
        next_at: planned[from].at,
        seed: SEED,
        position: i64::try_from(from).unwrap(),
        gaps: pacing(SEED).pace(),
    };
    let rows = planned[from..].iter().map(row).collect();
    let queue = Queue::new(rows, slots, now, 1_000 * HOUR);
    let turns = queue.turns(|at| pacific().next(at));
    let position = |id: MessageId| usize::try_from(id.0.as_u128()).unwrap();
    turns
        .into_iter()
        .map(|(id, turn)| (position(id), turn))
        .collect()
}

/// Over its whole span each message is claimed for the very moment that was planned.
#[test]
fn claims_that_are_on_time_move_nothing() {
    for start in [
        "2025-11-07T22:31:00Z",
        "2026-03-06T22:00:00Z",
        "2026-10-30T16:00:00Z",
    ] {
        let planned = plan(SEED, moment(start));
        check(&planned, &pacific());
        let turns = claimed(&planned, moment(start), 0);
        assert_eq!(turns.len(), ROWS);
        for (n, (position, turn)) in turns.iter().enumerate() {
            assert_eq!(*position, n);
            assert_eq!(turn.slot, planned[n].at, "{n}");
        }
    }
}

/// No daemon ran for so long: what waited goes in its order, with gaps of the same range, in open hours, until the plan
/// is reached again.
#[test]
fn what_an_outage_has_delayed_keeps_order_gaps_and_hours() {
    let planned = plan(SEED, moment("2025-11-07T22:31:00Z"));
    for (from, out) in [(20, 20 * MINUTE), (100, 3 * HOUR), (30, 80 * HOUR)] {
        let now = planned[from].at + out;
        let turns = claimed(&planned, now, from);
        assert_eq!(turns.len(), ROWS - from);
        let order: Vec<usize> = turns.iter().map(|(position, _)| *position).collect();
        assert!(order.is_sorted(), "{order:?}");
        for (position, turn) in &turns {
            let (weekday, hour, _) = clock(turn.slot);
            assert!(
                weekday < 5 && (9..20).contains(&hour),
                "{position} {turn:?}"
            );
            assert!(turn.slot >= planned[*position].at, "{position}");
        }
        for pair in turns.windows(2) {
            let gap = pair[1].1.slot.since(pair[0].1.slot);
            assert!(gap > 4 * MINUTE, "{pair:?}");
            let is_late = pair[1].1.slot > planned[pair[1].0].at;
            let open = pacific().between(pair[0].1.slot, pair[1].1.slot);
            // A gap may run out in the night.
            let most = 7 * MINUTE + Duration::from_secs(1);
            assert!(!is_late || open <= most, "{pair:?}");
        }
        // Without the longer gaps it catches up.
        let last = turns.last().unwrap();
        assert!(
            out > 20 * HOUR || last.1.slot == planned[last.0].at,
            "{last:?}"
        );
    }
}
