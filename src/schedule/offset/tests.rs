//! What is taken for the database's time, as it is measured.

use proptest::prelude::*;

use super::*;

/// A machine whose wall clock stood at `real` when its uptime was zero.
fn at(real: i64, up: i64) -> Reading {
    Reading {
        real_us: real + up,
        up: Uptime::from_micros(up),
    }
}

const BOOT: i64 = 1_700_000_000_000_000;

fn measured(offset: &mut Offset, ahead: i64, sent: i64, took: i64) {
    let database = Moment::from_micros(BOOT + sent + took / 2 + ahead);
    offset.measured(at(BOOT, sent), database, at(BOOT, sent + took));
}

#[test]
fn agreement_within_the_uncertainty_is_no_offset() {
    let mut offset = Offset::new();
    assert!(!offset.is_trusted());
    measured(&mut offset, 40, 1_000, 100);
    assert_eq!(offset.estimate(), Some((0, 51)));
    assert_eq!(offset.boot_us(at(BOOT + 300, 2_000)), BOOT + 300);
}

#[test]
fn a_step_is_not_followed_for_a_moment_though_nobody_has_noticed_it() {
    let half_an_hour = 1_800_000_000;
    let mut offset = Offset::new();
    measured(&mut offset, 40, 1_000, 100);
    let before = offset.boot_us(at(BOOT, 2_000));
    for by in [half_an_hour, -half_an_hour] {
        let step = at(BOOT + by, 3_000);
        assert!((offset.boot_us(step) - before).abs() <= 51);
        // A measurement that the step fell into changes nothing about that.
        let database = Moment::from_micros(BOOT + 3_000);
        offset.measured(at(BOOT, 2_000), database, step);
        assert!((offset.boot_us(step) - before).abs() <= 51);
        assert!(offset.notice(step), "and it is news all the same");
        measured(&mut offset, 40, 4_000, 100);
    }
}

#[test]
fn the_shortest_way_counts_until_it_is_old() {
    let mut offset = Offset::new();
    measured(&mut offset, 9_000, 0, 100);
    measured(&mut offset, 9_300, 1_000_000, 2_000);
    assert_eq!(offset.estimate(), Some((9_000, 51)));
    assert_eq!(offset.boot_us(at(BOOT, 5)), BOOT + 9_000);
    measured(&mut offset, 9_300, 61_000_000, 2_000);
    assert_eq!(offset.estimate(), Some((9_300, 1_001)));
}

const HOUR: i64 = 3_600_000_000;

#[test]
fn a_clock_that_jumps_is_followed_only_with_a_second_witness() {
    for by in [HOUR, -HOUR, JUMP_US + 200, -JUMP_US - 200] {
        let mut offset = Offset::new();
        measured(&mut offset, 0, 0, 100);
        measured(&mut offset, by, 1_000_000, 100);
        assert_eq!(offset.disputed(), Some(by));
        assert!(!offset.is_trusted());
        let now = at(BOOT, 2_000_000);
        assert!(offset.notice(now) && !offset.notice(now));
        assert_eq!(offset.boot_us(now), BOOT, "it is not followed");
        // It is set right again.
        measured(&mut offset, 30, 3_000_000, 100);
        assert!(offset.is_trusted());
        assert!(!offset.notice(now));
        measured(&mut offset, by, 4_000_000, 100);
        assert!(offset.notice(now), "and jumps once more");
    }
}

#[test]
fn the_wall_clock_is_a_witness_unless_it_was_stepped_itself() {
    // It was wrong, and comes to agree with this machine's.
    let mut offset = Offset::new().accepting();
    measured(&mut offset, HOUR, 0, 100);
    assert!(offset.is_trusted());
    measured(&mut offset, 400_000, 1_000_000, 100);
    assert_eq!(offset.estimate(), Some((400_000, 51)));
    // Both clocks of one machine are set wrong, or right: nothing says which.
    let mut offset = Offset::new();
    measured(&mut offset, 0, 0, 100);
    let (before, after) = (at(BOOT + HOUR, 1_000_000), at(BOOT + HOUR, 1_000_100));
    offset.measured(before, Moment::from_micros(BOOT + HOUR + 1_000_050), after);
    assert_eq!(offset.disputed(), Some(HOUR));
}

#[test]
fn a_first_measurement_needs_a_witness_or_a_person() {
    let mut offset = Offset::new();
    measured(&mut offset, HOUR, 0, 100);
    assert_eq!(offset.disputed(), Some(HOUR));
    assert!(offset.notice(at(BOOT, 1_000)));
    let mut offset = Offset::new().accepting();
    measured(&mut offset, HOUR, 0, 100);
    assert_eq!(offset.estimate(), Some((HOUR, 51)));
    // Accepted once: a jump from there is another matter.
    measured(&mut offset, 3 * HOUR, 1_000_000, 100);
    assert_eq!(offset.disputed(), Some(2 * HOUR));
}

#[test]
fn a_failover_a_slew_and_a_suspended_host_are_followed() {
    // A server with a clock of its own takes over.
    for by in [200_000, -200_000, 900_000] {
        let mut offset = Offset::new();
        measured(&mut offset, 0, 0, 100);
        measured(&mut offset, by, 1_000_000, 200);
        assert_eq!(offset.estimate(), Some((by, 101)));
    }
    // Slewing of 10 ms a second, for five minutes, measured every 5 s.
    let mut offset = Offset::new();
    for n in 0..60 {
        measured(&mut offset, n * 50_000, n * 5_000_000, 100);
        assert!(offset.is_trusted(), "{n}");
    }
    assert_eq!(offset.estimate(), Some((59 * 50_000, 51)));
    // The uptime counts while this machine sleeps, so for ten minutes nothing is measured.
    let mut offset = Offset::new();
    measured(&mut offset, 0, 0, 100);
    measured(&mut offset, 0, 600_000_000, 100);
    assert!(offset.is_trusted());
    // A slow response proves no jump.
    measured(&mut offset, 1_200_000, 601_000_000, 500_000);
    assert!(offset.is_trusted());
}

#[test]
fn a_step_of_the_wall_clock_is_found_once_and_does_not_move_the_estimate() {
    let mut offset = Offset::new();
    measured(&mut offset, 0, 0, 100);
    assert!(!offset.notice(at(BOOT + STEP_US, 1_000)));
    let stepped = at(BOOT + 3_600_000_000, 2_000);
    assert!(offset.notice(stepped));
    assert!(!offset.notice(stepped));
    assert!(!offset.is_trusted());
    assert_eq!(offset.boot_us(stepped), BOOT);
    // Measured again, against the wall clock as it is now.
    offset.measured(stepped, Moment::from_micros(BOOT + 2_050), stepped);
    assert!(offset.is_trusted());
    assert_eq!(offset.boot_us(stepped), BOOT + 50);
}

#[test]
fn slewing_of_the_wall_clock_is_no_step_and_is_followed_as_the_databases() {
    // Both clocks of one machine are slewed by 10 ms a second, and measured every 5 s.
    for sign in [1, -1] {
        let wall = |up: i64| at(BOOT + sign * up / 100, up);
        let mut offset = Offset::new();
        for n in 0..60 {
            let (sent, took) = (n * 5_000_000, 400 + n % 7 * 100);
            let database = Moment::from_micros(BOOT + sent + took / 2 + sign * sent / 100);
            offset.measured(wall(sent), database, wall(sent + took));
            assert!(offset.is_trusted(), "{n}");
            let off = offset.boot_us(wall(sent + took)) - BOOT - sign * sent / 100;
            assert!(off.abs() <= 1_000, "{n}: {off}");
            for second in 1..5 {
                let now = wall(sent + second * 1_000_000);
                assert!(!offset.notice(now), "{n} {second}");
            }
        }
        // Of a second that was not slewed, a jump is a step.
        assert!(offset.notice(at(BOOT + sign * 3_040_000, 301_000_000)));
    }
}

/// The wall clock and the database's are set to an hour ahead, together.
fn both_are_set() -> (Offset, impl Fn(&mut Offset, i64)) {
    let mut offset = Offset::new();
    measured(&mut offset, 0, 0, 100);
    let measured = |offset: &mut Offset, up: i64| {
        let database = Moment::from_micros(BOOT + HOUR + up + 50);
        offset.measured(at(BOOT + HOUR, up), database, at(BOOT + HOUR, up + 100));
    };
    measured(&mut offset, 1_000_000);
    assert_eq!(offset.disputed(), Some(HOUR));
    (offset, measured)
}

#[test]
fn the_date_of_the_provider_decides_where_the_wall_clock_was_set_itself() {
    // Cut to a second, it is up to a second behind.
    for (ahead, confirms) in [
        (HOUR, true),
        (HOUR - 999_999, true),
        (0, false),
        (HOUR - 3_000_000, false),
        (HOUR + 2_000_000, false),
    ] {
        let (mut offset, measured) = both_are_set();
        let date = Moment::from_micros(BOOT + ahead + 1_500_000);
        let wall = BOOT + HOUR;
        offset.witnessed(at(wall, 1_500_000), date, at(wall, 1_600_000));
        assert!(offset.disputed().is_some(), "only a measurement decides");
        measured(&mut offset, 2_000_000);
        assert_eq!(offset.is_trusted(), confirms, "{ahead}");
    }
    // A date that is over a minute old counts no more.
    let (mut offset, measured) = both_are_set();
    let date = Moment::from_micros(BOOT + HOUR + 1_500_000);
    offset.witnessed(at(BOOT, 1_500_000), date, at(BOOT, 1_600_000));
    measured(&mut offset, 1_600_000 + FRESH_US);
    assert_eq!(offset.disputed(), Some(HOUR));
}

#[test]
fn the_date_of_the_provider_confirms_a_first_measurement() {
    let mut offset = Offset::new();
    measured(&mut offset, HOUR, 0, 100);
    assert_eq!(offset.disputed(), Some(HOUR));
    let date = Moment::from_micros(BOOT + HOUR);
    offset.witnessed(at(BOOT, 1_000), date, at(BOOT, 2_000));
    measured(&mut offset, HOUR, 3_000, 100);
    assert_eq!(offset.estimate(), Some((HOUR, 51)));
}

/// What happens to the clocks of a world.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// The database's clock jumps to so far ahead of the true time.
    DatabaseJumps(i64),
    /// And is set right.
    DatabaseIsRight,
    /// The wall clock of this machine is set so far ahead, and back with 0.
    WallIsSet(i64),
    /// Time goes on, and a response takes so long.
    Measured { after: i64, took: i64 },
}

fn deed() -> impl Strategy<Value = Deed> {
    let jump = (2 * JUMP_US..2 * HOUR).prop_flat_map(|by| prop_oneof![Just(by), Just(-by)]);
    prop_oneof![
        1 => jump.clone().prop_map(Deed::DatabaseJumps),
        1 => Just(Deed::DatabaseIsRight),
        1 => prop_oneof![Just(0), jump].prop_map(Deed::WallIsSet),
        4 => (0..10_000_000_i64, 0..100_000_i64)
            .prop_map(|(after, took)| Deed::Measured { after, took }),
    ]
}

proptest! {
    /// Whatever two clocks do, as long as they are not set to the same wrong time: what is taken for the time is never
    /// ahead of it, so nothing is early.
    #[test]
    fn no_jump_is_followed(deeds in prop::collection::vec(deed(), 1..60)) {
        let mut offset = Offset::new();
        measured(&mut offset, 0, 0, 100);
        let (mut up, mut ahead, mut wall) = (1_000_000, 0, 0);
        for deed in deeds {
            match deed {
                Deed::DatabaseJumps(by) if (by - wall).abs() > 2 * JUMP_US => ahead = by,
                Deed::WallIsSet(by) if by == 0 || (by - ahead).abs() > 2 * JUMP_US => wall = by,
                Deed::DatabaseIsRight => ahead = 0,
                Deed::DatabaseJumps(_) | Deed::WallIsSet(_) => {}
                Deed::Measured { after, took } => {
                    up += after;
                    let reading = |up| at(BOOT + wall, up);
                    offset.notice(reading(up));
                    let database = Moment::from_micros(BOOT + up + took / 2 + ahead);
                    offset.measured(reading(up), database, reading(up + took));
                    up += took;
                    let off = offset.boot_us(reading(up)) - BOOT;
                    prop_assert!(off.abs() < JUMP_US, "{off} {offset:?}");
                    prop_assert!(ahead == 0 || !offset.is_trusted(), "{offset:?}");
                }
            }
        }
    }
}
