//! Edges, herds, jumps and memory; [`model`](super::model) tries everything else at random.

use std::ops::Range;

use uuid::Uuid;

use super::{LEVELS, Wheel};
use crate::message::{MessageId, Moment};

/// 2026-01-01T09:00:00Z.
const NINE: i64 = 1_767_258_000_000_000;
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
const YEAR: i64 = 8766 * HOUR;

/// What the daemon keeps beside a due time is of this size.
type Payload = (u64, u32, u32);

fn at(us: i64) -> Moment {
    Moment::from_micros(us)
}

fn id(n: u32) -> MessageId {
    // Scattered, as real ids are.
    MessageId(Uuid::from_u128(
        u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    ))
}

fn wheel(dues: &[i64]) -> Wheel<u32> {
    let mut wheel = Wheel::new(at(NINE));
    for (n, &due) in (0..).zip(dues) {
        assert_eq!(wheel.insert(id(n), at(due), n), None);
    }
    wheel
}

fn herd(ids: Range<u32>, due: i64) -> Wheel<Payload> {
    let mut wheel = Wheel::new(at(NINE));
    for n in ids {
        wheel.insert(id(n), at(due), (0, n, 0));
    }
    wheel
}

/// All that is due at `now`, as (due, payload).
fn pop_all(wheel: &mut Wheel<u32>, now: i64) -> Vec<(i64, u32)> {
    std::iter::from_fn(|| wheel.pop_due(at(now)))
        .map(|(_, due, payload)| (due.as_micros(), payload))
        .collect()
}

/// Arms a wheel at nine o'clock for `dues`, looks once at `now`, and expects these positions
/// of `dues` in this order.
#[track_caller]
fn check(dues: &[i64], now: i64, expected: &[u32]) {
    let mut wheel = wheel(dues);
    let popped = pop_all(&mut wheel, now);
    let positions: Vec<u32> = popped.iter().map(|&(_, n)| n).collect();
    assert_eq!(positions, expected);
    assert_eq!(wheel.len(), dues.len() - expected.len());
    wheel.assert_sound();
}

#[test]
fn pops_at_the_microsecond_and_not_before() {
    check(&[NINE + 1], NINE, &[]);
    check(&[NINE + 1], NINE + 1, &[0]);
    check(&[NINE + 1000], NINE + 999, &[]);
    check(&[NINE + 1000], NINE + 1000, &[0]);
    check(&[NINE + HOUR], NINE + HOUR - 1, &[]);
    check(&[NINE + HOUR], NINE + HOUR, &[0]);
}

#[test]
fn one_millisecond_is_given_out_in_order_of_its_microseconds() {
    let dues = [3, 1, 999, 0, 2, 500].map(|us| NINE + SECOND + us);
    check(&dues, NINE + SECOND + 999, &[3, 1, 4, 0, 5, 2]);
    check(&dues, NINE + SECOND + 2, &[3, 1, 4]);
}

#[test]
fn one_microsecond_is_given_out_in_the_order_of_arming() {
    for due in [NINE - HOUR, NINE, NINE + 7, NINE + SECOND, NINE + YEAR] {
        check(&[due, due, due + 1, due], due, &[0, 1, 3]);
    }
}

#[test]
fn the_overdue_come_first_and_in_order() {
    let dues = [NINE + 1, NINE - 1, NINE, NINE - YEAR, i64::MIN];
    check(&dues, NINE + 1, &[4, 3, 1, 2, 0]);
}

#[test]
fn the_infinities_are_moments_like_others() {
    let dues = [i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1];
    check(&dues, i64::MIN, &[1]);
    check(&dues, NINE + 1000 * YEAR, &[1, 3]);
    check(&dues, i64::MAX - 1, &[1, 3, 2]);
    check(&dues, i64::MAX, &[1, 3, 2, 0]);
}

#[test]
fn a_jump_over_every_level_keeps_the_order() {
    let distances = (0..58).map(|bit| 1_i64 << bit);
    let dues: Vec<i64> = distances.rev().map(|us| NINE + us).collect();
    let order: Vec<u32> = (0..58).rev().collect();
    check(&dues, i64::MAX, &order);
    check(&dues, NINE + HOUR, &order[..32]);
}

#[test]
fn a_move_takes_the_timer_along_in_both_directions() {
    for (from, to) in [
        (HOUR, 5),
        (5, HOUR),
        (5, 6),
        (-5, 5),
        (5, -5),
        (YEAR, -YEAR),
    ] {
        let mut wheel = wheel(&[NINE + from]);
        assert_eq!(
            wheel.insert(id(0), at(NINE + to), 7),
            Some((at(NINE + from), 0))
        );
        wheel.assert_sound();
        assert_eq!(wheel.get(id(0)), Some((at(NINE + to), &7)));
        assert_eq!(pop_all(&mut wheel, NINE + to - 1), []);
        assert_eq!(pop_all(&mut wheel, NINE + to), [(NINE + to, 7)]);
        assert_eq!(pop_all(&mut wheel, i64::MAX), []);
    }
}

#[test]
fn arming_again_for_the_same_time_keeps_the_place_in_the_queue() {
    let mut wheel = wheel(&[NINE + 5, NINE + 5]);
    assert_eq!(
        wheel.insert(id(0), at(NINE + 5), 8),
        Some((at(NINE + 5), 0))
    );
    assert_eq!(
        pop_all(&mut wheel, NINE + 5),
        [(NINE + 5, 8), (NINE + 5, 1)]
    );
}

#[test]
fn a_disarmed_timer_is_gone_and_its_id_can_be_armed_again() {
    let mut wheel = wheel(&[NINE + 5, NINE + HOUR]);
    assert_eq!(wheel.remove(id(1)), Some((at(NINE + HOUR), 1)));
    assert_eq!(wheel.remove(id(1)), None);
    assert_eq!(wheel.get(id(1)), None);
    assert_eq!(wheel.insert(id(1), at(NINE + 4), 9), None);
    *wheel.get_mut(id(0)).expect("armed") += 3;
    assert_eq!(
        pop_all(&mut wheel, NINE + HOUR),
        [(NINE + 4, 9), (NINE + 5, 3)]
    );
    assert_eq!(wheel.next_wakeup(), None);
}

#[test]
fn time_that_goes_back_pops_nothing_early_and_loses_nothing() {
    let mut wheel = wheel(&[NINE + 10 * YEAR]);
    assert_eq!(pop_all(&mut wheel, NINE + YEAR), []);
    wheel.insert(id(1), at(NINE + HOUR), 1);
    wheel.insert(id(2), at(NINE + HOUR - 1), 2);
    assert_eq!(pop_all(&mut wheel, NINE), []);
    assert_eq!(wheel.next_wakeup(), Some(at(NINE + HOUR - 1)));
    assert_eq!(pop_all(&mut wheel, NINE + HOUR - 1), [(NINE + HOUR - 1, 2)]);
    assert_eq!(pop_all(&mut wheel, NINE + HOUR), [(NINE + HOUR, 1)]);
    assert_eq!(pop_all(&mut wheel, i64::MAX), [(NINE + 10 * YEAR, 0)]);
    wheel.assert_sound();
}

#[test]
fn an_empty_wheel_takes_the_given_time() {
    let mut wheel = wheel(&[i64::MAX]);
    assert_eq!(pop_all(&mut wheel, i64::MAX), [(i64::MAX, 0)]);
    assert_eq!(pop_all(&mut wheel, NINE), []);
    wheel.insert(id(0), at(NINE + HOUR), 0);
    assert!(
        wheel.exact.is_empty(),
        "an hour ahead is not behind the cursor"
    );
}

#[test]
fn a_timer_alone_in_its_slot_is_looked_for_once() {
    for ahead in [1, 999, 1000, SECOND, HOUR, YEAR, 200_000 * YEAR] {
        let due = NINE + ahead;
        let mut wheel = wheel(&[due, due]);
        assert_eq!(wheel.next_wakeup(), Some(at(due)));
        assert_eq!(pop_all(&mut wheel, due), [(due, 0), (due, 1)]);
    }
}

#[test]
fn a_slot_is_spread_a_few_at_a_time() {
    let mut wheel = herd(0..100, NINE + HOUR);
    wheel.insert(id(100), at(NINE + HOUR + SECOND * 2), (0, 100, 0));
    let begins = wheel.next_spread().expect("armed");
    assert!(begins <= at(NINE + HOUR), "{begins}");
    let mut calls = 0;
    while !wheel.spread(at(NINE + HOUR), &mut 10) {
        assert_eq!(wheel.next_spread(), Some(Moment::MIN));
        wheel.assert_sound();
        calls += 1;
        // A timer that is armed meanwhile queues up, one that is disarmed is gone, wherever it is.
        wheel.insert(id(100 + calls), at(NINE + HOUR), (0, 100 + calls, 0));
        wheel.remove(id(calls * 3));
        assert_eq!(wheel.len(), 101);
    }
    assert!((11..40).contains(&calls), "{calls}");
    assert_eq!(wheel.peek(), Some(at(NINE + HOUR)));
    assert_eq!(wheel.count_due(at(NINE + HOUR), 32), 32);
    let popped = std::iter::from_fn(|| wheel.pop_due(at(NINE + HOUR)));
    let order: Vec<u32> = popped.map(|(_, _, (_, n, _))| n).collect();
    assert_eq!(order.len(), 100);
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn cleared_it_is_empty_and_works_on() {
    let mut wheel = wheel(&[i64::MIN, NINE, NINE + 1, NINE + HOUR, i64::MAX]);
    wheel.clear();
    assert!(wheel.is_empty());
    assert_eq!(wheel.next_wakeup(), None);
    assert_eq!(wheel.upcoming(9, None), []);
    assert_eq!(wheel.slab.allocated(), 0);
    wheel.insert(id(3), at(NINE + 2), 3);
    assert_eq!(pop_all(&mut wheel, i64::MAX), [(NINE + 2, 3)]);
}

#[test]
fn the_levels_say_where_timers_wait() {
    let mut wheel = wheel(&[]);
    let occupied = |wheel: &Wheel<u32>| wheel.levels().map(|level| level.occupied);
    assert_eq!(occupied(&wheel), [0; LEVELS]);
    let widths = wheel.levels().map(|level| level.slot_us);
    assert_eq!(widths[..3], [1_048_576, 67_108_864, 4_294_967_296]);

    for (n, due) in (0..).zip([NINE, NINE - 1, NINE + 3 * SECOND, NINE + 5 * SECOND]) {
        wheel.insert(id(n), at(due), n);
    }
    // What is next, the overdue among it, and two more.
    assert_eq!(occupied(&wheel)[..2], [3, 0]);
    wheel.insert(id(5), at(NINE + 100 * SECOND), 5);
    assert_eq!(occupied(&wheel)[..2], [3, 1]);
}

#[test]
fn upcoming_is_what_would_be_popped_next() {
    let dues = [HOUR + 3, 5, HOUR + 1, -5, HOUR + 2, SECOND, HOUR + 1].map(|us| NINE + us);
    let wheel = wheel(&dues);
    let listed = |limit, before: Option<i64>| -> Vec<u32> {
        let timers = wheel.upcoming(limit, before.map(at));
        timers.iter().map(|&(_, _, n)| n).collect()
    };
    assert_eq!(listed(usize::MAX, None), [3, 1, 5, 2, 6, 4, 0]);
    assert_eq!(listed(4, None), [3, 1, 5, 2]);
    assert!(listed(0, None).is_empty());
    assert_eq!(listed(9, Some(NINE + HOUR + 2)), [3, 1, 5, 2, 6]);
    assert!(listed(9, Some(NINE - 5)).is_empty());
    assert_eq!(listed(9, Some(NINE - 4)), [3]);
}

/// With work per pop, or per arming, that grows with the herd, this does not end.
#[test]
fn a_million_timers_of_one_microsecond() {
    const HERD: u32 = 1_000_000;
    let due = NINE + HOUR;
    let mut wheel = herd(0..HERD, due);
    let first: Vec<u32> = wheel.upcoming(3, None).iter().map(|t| t.2.1).collect();
    assert_eq!(first, [0, 1, 2]);
    assert_eq!(wheel.pop_due(at(due - 1)), None);
    for n in 0..HERD {
        let popped = wheel.pop_due(at(due));
        assert_eq!(popped, Some((id(n), at(due), (0, n, 0))));
    }
    assert!(wheel.is_empty());
}

/// A herd that is spread out over an hour and moved to one instant, then taken away from its
/// front, its back and its middle.
#[test]
fn a_herd_can_be_moved_and_disarmed_in_any_order() {
    const HERD: u32 = 100_000;
    let mut wheel = herd(0..0, 0);
    for n in 0..HERD {
        wheel.insert(id(n), at(NINE + i64::from(n) * 36_000), (0, n, 0));
    }
    for n in 0..HERD {
        wheel.insert(id(n), at(NINE + HOUR), (1, n, 0));
    }
    let (odd, even) = ((1..HERD).step_by(2), (0..HERD).step_by(2).rev());
    for n in odd.chain(even) {
        assert_eq!(wheel.remove(id(n)), Some((at(NINE + HOUR), (1, n, 0))));
    }
    assert_eq!(wheel.next_wakeup(), None);
    wheel.assert_sound();
}

/// Counts what is allocated after each arming, so growth is counted at its worst.
#[test]
fn a_timer_takes_no_more_than_the_bytes_promised() {
    const MOST: usize = 72;
    let mut wheel = herd(0..0, 0);
    for n in 0..1_000_000 {
        wheel.insert(id(n), at(NINE + i64::from(n) * 3600), (0, n, 0));
        if n >= 100_000 {
            let each = wheel.slab.allocated() / wheel.len();
            assert!(
                each <= MOST,
                "{each} bytes a timer at {} timers",
                wheel.len()
            );
        }
    }
    let armed = wheel.slab.allocated();
    // A vacated place is used again.
    for n in 0..100_000 {
        wheel.remove(id(n));
        wheel.insert(id(n + 1_000_000), at(NINE + HOUR), (0, n, 0));
    }
    assert_eq!(wheel.slab.allocated(), armed);
}
