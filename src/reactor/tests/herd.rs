//! What is more urgent than a herd passes it, wherever it waits.

use super::world::{Claims, Row, World, id};
use super::*;
use crate::message::Priority;

/// Two claims of the herd are on their way.
#[test]
fn what_is_more_urgent_than_a_herd_waits_for_none_of_its_claims() {
    let mut limits = limits();
    limits.claims.batch = 10;
    let settings = Settings {
        limits: Arc::new(limits),
        ..settings(256)
    };
    let low = |n, due| Row::due(n, at(due)).with(Priority::Low);
    let mut world = World::new(settings, (0..100).map(|n| low(n, SECOND)));
    world.claims = Claims::Slow;
    world.run_until(at(SECOND));
    assert_eq!(world.asked, 20);
    world.insert(low(1_000, SECOND));
    world.insert(Row::due(1_001, at(SECOND)));
    assert_eq!(world.asked, 21);
    // No fourth one, whatever it is for.
    world.insert(Row::due(1_002, at(SECOND)).with(Priority::Urgent));
    assert_eq!(world.asked, 21);
    world.claims = Claims::Answered;
    world.answer_claims();
    assert!(world.in_flight.contains(&id(1_001)) && world.in_flight.contains(&id(1_002)));
}

/// A herd is sent sooner than it is recorded.
#[test]
fn what_is_more_urgent_than_a_herd_does_not_wait_for_its_records() {
    let mut limits = limits();
    limits.records.unrecorded_max = 64;
    limits.claims.ahead_max = 3;
    limits.claims.ahead_urgent = 1;
    let settings = Settings {
        limits: Arc::new(limits),
        ..settings(2)
    };
    for (first, then) in [
        (Priority::Low, Priority::Normal),
        (Priority::Normal, Priority::High),
        (Priority::High, Priority::Urgent),
    ] {
        let all = (0..200).map(|n| Row::due(n, at(SECOND)).with(first));
        let mut world = World::new(settings.clone(), all);
        world.takes_no_records = true;
        for _ in 0..100 {
            world.run_until(world.now.db + Duration::from_millis(100));
            while let Some(id) = world.in_flight.first().copied() {
                world.answer(id, accepted());
            }
        }
        let started = world.starts;
        assert!((32..64).contains(&started), "{started}");
        world.insert(Row::due(1_000, world.now.db).with(first));
        world.insert(Row::due(1_001, world.now.db).with(then));
        world.run_until(world.now.db + SECOND);
        assert_eq!(world.in_flight, [id(1_001)], "{first:?}");
    }
}
