//! Whose turn a message is: by time, by its id, and where instances know different things.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn instance(n: u128) -> InstanceId {
    InstanceId(Uuid::from_u128(0xD << 120 | n))
}

fn messages(n: u128) -> impl Iterator<Item = MessageId> {
    (0..n).map(|n| MessageId(Uuid::from_u128(n)))
}

fn rankings(n: u128) -> Vec<Ranking> {
    let all = || (0..n).map(instance);
    all().map(|me| Ranking::new(me, all())).collect()
}

/// Messages, three in a slice.
fn dues(n: u128) -> impl Iterator<Item = (MessageId, Moment)> {
    let start = Moment::from_micros(-5_000_000);
    let due = move |n: u128| start + u32::try_from(n).unwrap() * (SLICE / 3);
    (0..n).map(move |n| (MessageId(Uuid::from_u128(n)), due(n)))
}

/// What each does with a message that it knew in time, at `now`.
fn whose(
    all: &[Ranking],
    id: MessageId,
    due: Moment,
    many: HowMany,
    now: Moment,
) -> Vec<InstanceId> {
    let claims = |ranking: &&Ranking| match ranking.arm(id, due, due - SLICE) {
        (at, Turn::Open) => {
            assert_eq!(at, due);
            ranking.looks_later(id, due, many, now).is_none()
        }
        (at, _) => {
            assert!(at >= due + STAGGER, "{at:?} for {due:?}");
            false
        }
    };
    all.iter().filter(claims).map(|r| r.me).collect()
}

#[test]
fn of_what_is_due_in_a_slice_one_instance_claims_all() {
    for n in 1..6 {
        let all = rankings(n);
        let mut of_slice = BTreeMap::new();
        for (id, due) in dues(300) {
            let first = all[0].first(id, due, HowMany::Few);
            assert_eq!(whose(&all, id, due, HowMany::Few, due - 40 * MS), [first]);
            assert_eq!(*of_slice.entry(slice(due)).or_insert(first), first);
        }
    }
}

#[test]
fn of_many_each_claims_its_own() {
    for n in 1..6 {
        let all = rankings(n);
        for (id, due) in dues(300) {
            let first = all[0].first(id, due, HowMany::Many);
            assert_eq!(whose(&all, id, due, HowMany::Many, due - 40 * MS), [first]);
            let several = whose(&all, id, due, HowMany::Several, due - 40 * MS);
            assert_eq!(several, [first]);
        }
    }
}

/// A herd takes longer to claim than the others wait.
#[test]
fn of_many_each_goes_on_with_its_own_however_late_they_are() {
    let all = rankings(3);
    for (id, due) in dues(200) {
        let first = all[0].first(id, due, HowMany::Many);
        let late = due + STAGGER * 20;
        assert_eq!(whose(&all, id, due, HowMany::Many, late), [first]);
    }
}

#[test]
fn instances_that_count_differently_leave_nothing_to_each_other() {
    use HowMany::{Few, Many, Several};
    let all = rankings(3);
    for (id, due) in dues(300) {
        let by_time = all[0].first(id, due, Few);
        for counts in [
            [Few, Several],
            [Several, Few],
            [Several, Many],
            [Many, Several],
        ] {
            // The one whose slice it is counts otherwise than the others do.
            let checks = |ranking: &Ranking| {
                let many = counts[usize::from(ranking.me != by_time)];
                let (at, turn) = ranking.arm(id, due, due - SLICE);
                match turn {
                    Turn::Open => ranking.looks_later(id, due, many, due).unwrap_or(at),
                    Turn::Others | Turn::Anybodys => at,
                }
            };
            assert_eq!(all.iter().map(checks).min(), Some(due), "{counts:?}");
        }
    }
}

#[test]
fn what_is_left_is_divided_and_comes_to_each_in_its_turn() {
    let all = rankings(4);
    for (id, due) in dues(300) {
        let now = due + STAGGER;
        let mut at = Vec::new();
        for ranking in &all {
            let (armed, turn) = ranking.arm(id, due, due - SLICE);
            let has_slice = ranking.first(id, due, HowMany::Few) == ranking.me;
            let checked = match turn {
                Turn::Open if has_slice => ranking.looks_later(id, due, HowMany::Few, now),
                Turn::Open => ranking.looks_later(id, due, HowMany::Few, due),
                Turn::Others | Turn::Anybodys => Some(armed),
            };
            // Who has its slice goes on with its own share.
            at.push(checked.unwrap_or(now));
            assert_eq!(
                ranking.arm(id, due, now).1 == Turn::Anybodys,
                ranking.first(id, due, HowMany::Many) == ranking.me,
                "read only now"
            );
        }
        at.sort_unstable();
        assert_eq!(at[0], now);
        assert!(*at.last().unwrap() <= due + STAGGER * 4);
    }
}

#[test]
fn each_has_about_its_share() {
    let all = rankings(4);
    for many in [HowMany::Few, HowMany::Many] {
        let mut shares = BTreeMap::<_, usize>::new();
        for (id, due) in dues(12_000) {
            *shares.entry(all[0].first(id, due, many)).or_default() += 1;
        }
        for (instance, share) in shares {
            assert!((2_600..3_400).contains(&share), "{share} for {instance:?}");
        }
    }
}

#[test]
fn who_leaves_takes_no_more_than_its_own() {
    let before = Ranking::new(instance(0), (0..4).map(instance));
    let after = Ranking::new(instance(0), (0..3).map(instance));
    for many in [HowMany::Few, HowMany::Many] {
        for (id, due) in dues(1_000) {
            let (was, is) = (before.first(id, due, many), after.first(id, due, many));
            assert!(was == is || was == instance(3));
        }
    }
}

#[test]
fn alone_nothing_is_waited_for() {
    let alone = Ranking::new(instance(7), [instance(7)]);
    assert!(alone.is_alone());
    for (id, due) in dues(100) {
        for now in [due - SLICE, due, due + SLICE] {
            assert_eq!(alone.arm(id, due, now), (due, Turn::Open));
            assert_eq!(alone.looks_later(id, due, HowMany::Many, now), None);
        }
    }
}

#[test]
fn the_turns_are_bounded() {
    let many = Ranking::new(instance(0), (0..500).map(instance));
    let due = Moment::from_micros(0);
    let latest = messages(1_000)
        .map(|id| many.arm(id, due, due - SLICE).0)
        .max();
    assert_eq!(latest, Some(due + STAGGER * (RANK_MAX + 1)));
}
