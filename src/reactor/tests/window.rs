//! More is due within the horizon than may be armed.

use super::pauses::Pauses;
use super::world::{Row, World, id};
use super::*;
use crate::message::{AttemptToken, Channel, MessageId, Now, Pause, PauseKey, PauseScope, Uptime};
use crate::reactor::{Command, Input, Reactor, Upcoming};

const ROOM: usize = 50;

/// As many of them a full sweep reads.
const READ: usize = 38;

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

fn upcoming(row: &Row) -> Upcoming {
    Upcoming {
        id: row.id,
        due: row.due,
        version: 0,
        attempts: 0,
        priority: row.priority,
        lane: row.lane.clone(),
        written: None,
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
    assert_eq!(world.reactor.lanes.armed(), READ);
    let until = world.reactor.intake.window_until();
    assert!(until < at(due(38)) && until >= at(due(36)), "{until:?}");
    each_is_sent_on_time(&mut world, 300);
    // Half a window of 380 s is sent between two full sweeps.
    let full = world.loaded.iter().filter(|found| **found > 3).count();
    assert!((13..=21).contains(&full), "{full} full sweeps");
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
    assert_eq!(world.reactor.lanes.armed(), READ);
    for n in 1_000..1_000 + ROOM as u128 {
        world.insert(Row::due(n, at(due(n - 950))));
    }
    // The first of them have room.
    assert!(world.reactor.intake.window_until() < at(due(63)));
    assert_eq!(world.starts, 0);
    world.run_until(at(due(52)));
    assert_eq!(world.starts, 3);
    assert!(world.reactor.lanes.armed() <= ROOM + 3);
    assert!(world.reactor.lanes.get(id(0)).is_none());
    world.run_until(at(due(100 + ROOM as u128)));
    assert_eq!(world.starts, 2 * ROOM);
}

#[test]
fn what_is_written_all_the_time_causes_no_full_sweeps() {
    let mut world = World::new(
        settings_with_room(),
        (0..300).map(|n| Row::due(n, at(due(n)))),
    );
    // One every 5 s, due half a minute later: as many as are sent.
    for n in 0..200 {
        let now = SECOND * u32::try_from(n * 5).unwrap();
        world.run_until(at(now));
        world.insert(Row::due(1_000 + n, at(now + SECOND * 30)));
        assert!(world.reactor.lanes.armed() <= ROOM + 3);
    }
    // A window is some six minutes long, and half of it passes between two.
    let full = world.loaded.iter().filter(|found| **found >= READ).count();
    assert!(full <= 10, "{full} full sweeps in 1000 s");
}

#[test]
fn more_that_is_overdue_than_may_be_armed_causes_a_full_sweep_a_minute() {
    let settings = Settings {
        max_in_flight: 4,
        ..settings_with_room()
    };
    // The provider answers nothing.
    let mut world = World::new(settings, (0..300).map(|n| Row::due(n, at(SECOND))));
    for minutes in 1..=10 {
        world.run_until(at(MINUTE * minutes));
    }
    assert_eq!(world.starts, 4);
    let full = world.loaded.iter().filter(|found| **found == READ).count();
    assert!(
        (9..=12).contains(&full),
        "{full} full sweeps in ten minutes"
    );
    let near = world.loaded.iter().filter(|found| **found > READ).count();
    assert!(near >= 55, "all that is overdue was read {near} times");
}

#[test]
fn the_window_ends_before_what_was_not_read_though_the_last_of_what_was_is_paused() {
    // All of the last part are paused for an hour; those after them are not.
    let paused = Channel::Email;
    let row = |n: u128| {
        let row = Row::due(n, at(due(n)));
        if (25..38).contains(&n) {
            row.over(paused)
        } else {
            row
        }
    };
    let mut world = World::new(settings_with_room(), []);
    world.pauses = Pauses::only(Pause {
        key: PauseKey {
            scope: PauseScope::Lane,
            what: paused.as_str().to_owned(),
        },
        until: at(MINUTE * 55),
    });
    world.rows = (0..300).map(|n| (id(n), row(n))).collect();
    world.run_until(at(SECOND * 2));
    world.handle(Input::Rescan);
    assert_eq!(world.loaded.last(), Some(&READ));
    let until = world.reactor.intake.window_until();
    assert!(until < at(due(38)) && until >= at(due(36)), "{until:?}");
}

/// How many rows those sweeps may read that begin with this.
fn begins(reactor: &mut Reactor<MessageId>, input: Input<MessageId>, now: Now) -> Vec<usize> {
    reactor.handle(input, now);
    let mut all = Vec::new();
    while let Some(command) = reactor.next_command() {
        if let Command::Load { most, .. } = command {
            all.push(most);
        }
    }
    all
}

/// One that was wanted while another was under way does not follow it sooner than ten times as long as that took.
#[test]
fn a_full_sweep_that_was_wanted_during_another_waits_as_long_as_any() {
    let now = Now {
        db: at(SECOND),
        up: Uptime::from_micros(77_000_000),
    };
    let mut reactor: Reactor<MessageId> =
        Reactor::new(settings_with_room(), now, AttemptToken::fresh);
    let up = Input::ChannelUp { unnotified: false };
    assert_eq!(begins(&mut reactor, up, now), [READ]);
    let rows = (0..ROOM as u128).map(|n| upcoming(&Row::due(n, at(due(n)))));
    begins(&mut reactor, Input::Loaded(rows.collect()), now);
    // One has no room: it ends the window.
    let late = Row::due(1_000, at(SECOND * 50));
    begins(&mut reactor, Input::Notification(vec![late.id]), now);
    let rows = Some(vec![(late.id, late.state())]);
    begins(&mut reactor, Input::Rows { rows }, now);
    let after = |seconds: u32| Now {
        db: now.db + SECOND * seconds,
        up: now.up + SECOND * seconds,
    };
    let ended = |reached| Input::LoadEnded {
        complete: true,
        reached,
    };
    let mut begun = begins(&mut reactor, ended(Some(at(due(37)))), after(20));
    let mut seconds = 20;
    while !begun.contains(&READ) && seconds < 400 {
        seconds += 1;
        begun = if begun.is_empty() {
            begins(&mut reactor, Input::Tick, after(seconds))
        } else {
            // A near one.
            begins(&mut reactor, ended(None), after(seconds))
        };
    }
    assert_eq!(seconds, 220);
}
