//! A campaign of 346 messages, by the rules for one and by any seed.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;

use super::OpenTime;
use super::campaign::{Pacing, Planned, Skips, Span, Start};
use crate::message::Moment;
use crate::schedule::PACE_SLACK;
use crate::schedule::pace::gap;

mod claims;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const ROWS: usize = 346;

fn open(hours: &str) -> OpenTime {
    let zone = TimeZone::get("America/Los_Angeles").unwrap();
    OpenTime::new(hours.parse().unwrap(), zone)
}

fn pacific() -> OpenTime {
    open("mon-fri 09:00-20:00")
}

fn pacing(seed: i64) -> Pacing {
    Pacing {
        seed,
        gaps: (4 * MINUTE, 7 * MINUTE),
        skips: Skips::default(),
    }
}

fn moment(text: &str) -> Moment {
    Moment::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
}

/// On the wall of the campaign: weekday from 0 for Monday, hour, minute.
fn clock(at: Moment) -> (i8, i8, i8) {
    let at = Timestamp::from_microsecond(at.as_micros()).unwrap();
    let shown = TimeZone::get("America/Los_Angeles")
        .unwrap()
        .to_datetime(at);
    (
        shown.weekday().to_monday_zero_offset(),
        shown.hour(),
        shown.minute(),
    )
}

fn plan(seed: i64, start: Moment) -> Vec<Planned> {
    pacing(seed)
        .plan(&pacific(), Start::At(start), 0, ROWS)
        .unwrap()
}

/// What holds for any plan by the rules. Returns how many gaps are longer.
fn check(planned: &[Planned], open: &OpenTime) -> usize {
    let mut skips = 0;
    for (n, one) in planned.iter().enumerate() {
        assert_eq!(one.position, i64::try_from(n).unwrap());
        let (weekday, hour, _) = clock(one.at);
        assert!(weekday < 5 && (9..20).contains(&hour), "{one:?}");
        let Some(before) = n.checked_sub(1).map(|before| &planned[before]) else {
            continue;
        };
        assert!(one.at > before.at, "{one:?}");
        let gap = open.between(before.at, one.at);
        assert_eq!(gap, one.gap + one.skip.unwrap_or_default(), "{one:?}");
        assert!((4 * MINUTE..=7 * MINUTE).contains(&one.gap), "{one:?}");
        if let Some(skip) = one.skip {
            assert!((10 * MINUTE..=15 * MINUTE).contains(&skip), "{one:?}");
            assert!((14 * MINUTE..=22 * MINUTE).contains(&gap), "{one:?}");
            skips += 1;
        }
    }
    skips
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Begun at any minute of any year of these, so that nights, week-ends and both changes of the clocks are in it.
    #[test]
    fn a_plan_keeps_order_gaps_hours_and_the_share_of_longer_gaps(seed: i64, minute in 0_i64..4 * 525_960) {
        let start = moment("2025-11-08T22:31:00Z") + MINUTE * u32::try_from(minute).unwrap();
        let planned = plan(seed, start);
        let skips = check(&planned, &pacific());
        // 17 whole blocks of 20 with three or four each, and five gaps more.
        prop_assert!((51..=72).contains(&skips), "{skips}");
        prop_assert_eq!(&planned, &plan(seed, start));
        prop_assert_ne!(&planned, &plan(seed.wrapping_add(1), start));
    }
}

#[test]
fn three_hundred_and_forty_six_messages_take_four_days_of_open_time() {
    let (mut shortest, mut longest, mut skips) = (Duration::MAX, Duration::ZERO, 0);
    let start = moment("2025-11-07T22:31:00Z");
    for seed in 0..200 {
        let planned = plan(seed, start);
        skips += check(&planned, &pacific());
        let span = Span::of(&planned, &pacific()).unwrap();
        (shortest, longest) = (shortest.min(span.open), longest.max(span.open));
        assert!((4..=6).contains(&span.days), "{span:?}");
    }
    assert!(
        shortest > 42 * HOUR && longest < 46 * HOUR,
        "{shortest:?} {longest:?}"
    );
    let gaps = 200 * (ROWS - 1);
    assert!(
        (gaps * 15 / 100..gaps * 20 / 100).contains(&skips),
        "{skips} of {gaps}"
    );
}

#[test]
fn a_plan_that_goes_on_is_the_plan_that_was_made_at_once() {
    let start = moment("2026-03-06T22:00:00Z");
    let all = plan(7, start);
    for cut in [1, 20, 133] {
        let last = all[cut - 1].at;
        let begin = Start::After {
            last,
            not_before: start,
        };
        let rest = pacing(7)
            .plan(&pacific(), begin, i64::try_from(cut).unwrap(), ROWS - cut)
            .unwrap();
        assert_eq!(rest, all[cut..], "{cut}");
    }
    // Long after the last one it begins at once, in open hours.
    let sunday = moment("2026-06-07T12:00:00Z");
    let begin = Start::After {
        last: all[9].at,
        not_before: sunday,
    };
    let late = pacing(7).plan(&pacific(), begin, 10, 2).unwrap();
    assert_eq!(clock(late[0].at), (0, 9, 0));
}

#[test]
fn the_gaps_are_those_of_the_pace() {
    let pacing = pacing(11);
    let planned = plan(11, moment("2026-07-06T17:00:00Z"));
    for pair in planned.windows(2) {
        let slot = gap(11, pair[0].position, pacing.pace()) + PACE_SLACK;
        assert_eq!(pair[1].gap, slot);
    }
    // Where there is no second to spare, the shortest gap holds.
    let narrow = Pacing {
        gaps: (MINUTE, MINUTE),
        ..pacing
    };
    assert_eq!(narrow.pace(), (MINUTE, MINUTE));
}

#[test]
fn none_all_and_any_share_of_longer_gaps() {
    for (per_mille, least, most) in [(0, 0, 0), (1_000, 345, 345), (50, 17, 18), (500, 170, 175)] {
        let pacing = Pacing {
            skips: Skips {
                per_mille,
                ..Skips::default()
            },
            ..pacing(3)
        };
        let start = Start::At(moment("2026-07-06T17:00:00Z"));
        let planned = pacing.plan(&pacific(), start, 0, ROWS).unwrap();
        let skips = planned.iter().filter(|one| one.skip.is_some()).count();
        assert!((least..=most).contains(&skips), "{per_mille}: {skips}");
    }
}

#[test]
fn open_time_passes_over_nights_weekends_and_changes_of_the_clocks() {
    let hours = pacific();
    for (from, span, until) in [
        // Friday 19:58 and five minutes are Monday 9:03; the clocks go back, and forward, in between.
        ("2025-11-01T02:58:00Z", 5 * MINUTE, "2025-11-03T17:03:00Z"),
        ("2026-03-07T03:58:00Z", 5 * MINUTE, "2026-03-09T16:03:00Z"),
        // To the closing time itself is the next opening.
        ("2026-07-06T16:00:00Z", 11 * HOUR, "2026-07-07T16:00:00Z"),
        (
            "2026-07-04T12:00:00Z",
            Duration::ZERO,
            "2026-07-06T16:00:00Z",
        ),
        (
            "2026-07-06T16:00:00Z",
            55 * HOUR + MINUTE,
            "2026-07-13T16:01:00Z",
        ),
    ] {
        let (from, until) = (moment(from), moment(until));
        assert_eq!(hours.after(from, span), Some(until), "{from}");
        assert_eq!(hours.between(from, until), span, "{from}");
    }
    // An hour that is skipped does not count, one that is repeated counts twice.
    let nights = open("sun 00:00-06:00");
    for (day, counts) in [("2026-03-08", 5), ("2026-11-01", 7), ("2026-07-05", 6)] {
        let from = moment(&format!("{day}T00:00:00Z"));
        assert_eq!(
            nights.between(from, from + 24 * HOUR),
            HOUR * counts,
            "{day}"
        );
    }
    let always = open("mon-sun 00:00-24:00");
    let from = moment("2026-07-04T12:00:00Z");
    assert_eq!(always.after(from, 100 * HOUR), Some(from + 100 * HOUR));
    assert_eq!(always.between(from, from + HOUR), HOUR);
    // Microseconds are kept.
    let odd = Timestamp::from_microsecond(from.as_micros()).unwrap() + 7.microseconds();
    let odd = Moment::from_micros(odd.as_microsecond());
    assert_eq!(always.after(odd, HOUR), Some(odd + HOUR));
}
