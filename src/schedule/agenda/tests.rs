//! The agenda: order by priority and time, and how many are due when.

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
        lock_misses: 0,
        watch: false,
        turn: Turn::Open,
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
    agenda.advance(start, &mut 100);
    let mut order = Vec::new();
    while let Some((id, _)) = agenda.pop(start, herd, Priority::Low) {
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
    agenda.advance(start, &mut 100);
    agenda.insert(id(1), far, timer(far));
    assert_eq!(counts(&agenda), [1, 0, 0, 0, 2, 0]);
    assert!(agenda.pop(start, soon, Priority::Low).is_some());
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
    // Moved away, and back.
    assert_eq!(agenda.insert(id(1), far, timer(far)), Some(timer(soon)));
    assert_eq!(agenda.len(), 1);
    assert_eq!(agenda.pop(start, soon, Priority::Low), None);
    let urgent = Timer {
        priority: Priority::Urgent,
        ..timer(soon)
    };
    assert_eq!(agenda.insert(id(1), soon, urgent), Some(timer(far)));
    assert_eq!(agenda.len(), 1);
    assert_eq!(agenda.get(id(1)), Some(urgent));
    assert_eq!(agenda.density(start, 6).1.iter().sum::<u32>(), 1);
    assert_eq!(
        agenda.pop(start, soon, Priority::Low),
        Some((id(1), urgent))
    );
    assert!(agenda.is_empty());
    assert_eq!(agenda.remove(id(1)), None);
}

#[test]
fn of_what_is_due_the_urgent_go_first_and_of_what_is_not_yet_the_early() {
    let now = Moment::from_micros(0) + Duration::from_secs(60);
    let due = |ms: i64| Moment::from_micros(now.as_micros() + ms * 1_000);
    let mut agenda = Agenda::new(now);
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
    agenda.advance(now, &mut 100);
    assert_eq!(agenda.first(), Some(due(-30)));
    let popped = std::iter::from_fn(|| agenda.pop(now, due(25), Priority::Low));
    let order: Vec<_> = popped.map(|(id, _)| id.0.as_u128()).collect();
    assert_eq!(order, [3, 4, 2, 1, 6, 5]);
}

#[test]
fn a_herd_is_seen_before_it_is_due() {
    let start = Moment::from_micros(0);
    let herd = start + Duration::from_secs(3);
    let mut agenda = Agenda::new(start);
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
    agenda.advance(start, &mut 100);
    assert_eq!(agenda.count_due(herd, 100), 33);
    assert_eq!(agenda.count_due(herd, 20), 20);
    let before = herd - Duration::from_micros(1);
    assert_eq!(agenda.count_due(before, 100), 1);
    assert_eq!(agenda.first_dues(20, before, Priority::Low), [start]);
    let mut dues = agenda.first_dues(33, herd, Priority::Low);
    dues.sort_unstable();
    assert_eq!(dues.len(), 33);
    assert_eq!((dues[0], dues[1]), (start, herd));
}

/// Whatever is armed, no call looks at more than it was allowed to; and a walk meets all.
#[test]
fn a_herd_is_brought_into_order_a_bit_at_a_time() {
    let start = Moment::from_micros(0);
    let due = start + Duration::from_secs(3_600);
    let mut agenda = Agenda::new(start);
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
        agenda.advance(now, &mut 100);
        calls += 1;
        assert!(calls < 100);
    }
    assert!(calls >= 10, "{calls}");
    let last = due + Duration::from_micros(6);
    assert_eq!(agenda.count_due(last, 2_000), 1_000);
    assert_eq!(
        agenda.pop(due, due, Priority::Low).map(|(id, _)| id),
        Some(id(0))
    );
}

#[test]
fn upcoming_is_in_order_of_time_whatever_the_priority() {
    let start = Moment::from_micros(0);
    let mut agenda = Agenda::new(start);
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
