//! More is due within the horizon than may be armed.

use super::world::{Row, World, id};
use super::*;

const ROOM: usize = 50;

fn settings_with_room() -> Settings {
    let own = Limits::default();
    let limits = Limits {
        intake: crate::limits::IntakeLimits {
            armed_max: ROOM,
            ..own.intake
        },
        ..own
    };
    Settings {
        limits: Arc::new(limits),
        ..settings(1_024)
    }
}

/// One every 10 s.
fn due(n: u128) -> Duration {
    SECOND * u32::try_from(n * 10 + 40).unwrap()
}

fn each_is_sent_on_time(world: &mut World, all: u128) {
    for n in 0..all {
        world.run_until(at(due(n)) - Duration::from_millis(1));
        assert_eq!(world.starts, usize::try_from(n).unwrap(), "early");
        world.run_until(at(due(n)));
        assert_eq!(world.starts, usize::try_from(n).unwrap() + 1, "late");
        // What is about to be due is armed in any case: three, within twice the time between near sweeps.
        let armed = world.reactor.lanes.armed();
        assert!(armed <= ROOM + 3, "{armed} armed at {n}");
    }
}

#[test]
fn what_has_no_room_is_armed_in_time() {
    let mut world = World::new(
        settings_with_room(),
        (0..300).map(|n| Row::due(n, at(due(n)))),
    );
    assert_eq!(world.reactor.lanes.armed(), ROOM);
    let until = world.reactor.intake.window_until();
    assert!(until < at(due(50)) && until >= at(due(39)), "{until:?}");
    each_is_sent_on_time(&mut world, 300);
    // Half a window of 500 s is sent between two full sweeps.
    let full = world.loaded.iter().filter(|found| **found > 3).count();
    assert!((10..=16).contains(&full), "{full} full sweeps");
}

#[test]
fn what_is_inserted_without_room_is_armed_in_time() {
    let mut world = World::new(settings_with_room(), []);
    // The latest first: the earlier ones have no room.
    for n in (0..300).rev() {
        world.insert(Row::due(n, at(due(n))));
    }
    assert!(world.reactor.lanes.armed() <= ROOM + 3);
    each_is_sent_on_time(&mut world, 300);
    let full = world.loaded.iter().filter(|found| **found > 3).count();
    assert!((5..=20).contains(&full), "{full} full sweeps");
}

#[test]
fn what_is_beyond_a_window_that_became_shorter_is_disarmed() {
    let mut world = World::new(
        settings_with_room(),
        (0..ROOM as u128).map(|n| Row::due(n, at(due(n + 100)))),
    );
    assert_eq!(world.reactor.lanes.armed(), ROOM);
    for n in 1_000..1_000 + ROOM as u128 {
        world.insert(Row::due(n, at(due(n - 950))));
    }
    assert!(world.reactor.intake.window_until() < at(due(51)));
    assert_eq!(world.starts, 0);
    world.run_until(at(due(52)));
    assert_eq!(world.starts, 3);
    assert!(world.reactor.lanes.armed() <= ROOM + 3);
    assert!(world.reactor.lanes.get(id(0)).is_none());
    world.run_until(at(due(100 + ROOM as u128)));
    assert_eq!(world.starts, 2 * ROOM);
}
