//! Quiet hours of a user for one type of messages, beside those for all: the later end wins.

use super::*;
use crate::message::facts::TypeHours;

const MINUTE: i64 = 60 * 1_000_000;

fn claim_with(all: QuietHours, of_type: QuietHours, zone: &str, timezone: Option<&str>) -> Claim {
    let mut claim = claim();
    claim.facts.timezone = Some(zone.into());
    claim.facts.preferences = Some(Preferences {
        quiet_hours: Some(all),
        ..Preferences::default()
    });
    claim.facts.type_hours = Some(TypeHours {
        hours: of_type,
        timezone: timezone.map(Into::into),
    });
    claim
}

fn judged(mut claim: Claim, at: Moment) -> Verdict {
    claim.due = at;
    claim.wanted_at = at;
    judge(&claim, &rules(), &ProviderCapabilities::all(PROVIDER), at)
}

#[test]
fn the_later_end_wins_and_each_is_by_its_own_clock() {
    let (all, of_type) = (quiet("22:00", "06:00"), quiet("21:00", "09:00"));
    let at = moment("2026-07-01T21:30:00Z");
    for (timezone, until) in [
        (Some(BERLIN), "2026-07-02T07:00:00Z"),
        // One that is no zone is that of the user.
        (Some("Mars/Base"), "2026-07-02T07:00:00Z"),
        (None, "2026-07-02T07:00:00Z"),
        // There it is 6:30 in the morning; then it is quiet in Berlin until 6, and in Tokyo no longer.
        (Some("Asia/Tokyo"), "2026-07-02T04:00:00Z"),
        // There it is half past 14; by the end of the first it is 21, and quiet until 9.
        (Some("America/Los_Angeles"), "2026-07-02T16:00:00Z"),
    ] {
        let Verdict::Defer {
            until: found,
            reason,
        } = judged(claim_with(all, of_type, BERLIN, timezone), at)
        else {
            panic!("{timezone:?}: it is quiet");
        };
        assert_eq!(found, moment(until), "{timezone:?}: {reason}");
        assert_eq!(reason.kind, ReasonKind::QuietHours);
    }
    let mut alone = claim_with(all, of_type, BERLIN, Some(BERLIN));
    alone.facts.preferences = None;
    assert!(matches!(
        judged(alone.clone(), moment("2026-07-01T19:30:00Z")),
        Verdict::Defer { .. }
    ));
    alone.facts.type_hours = Some(TypeHours {
        hours: quiet("21:00", "21:00"),
        timezone: None,
    });
    assert!(matches!(
        judged(alone, moment("2026-07-01T19:30:00Z")),
        Verdict::Send(_)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Against looking at each minute of the clock.
    #[test]
    fn it_is_the_first_minute_that_is_quiet_by_neither(
        zones in prop::sample::select(vec![
            ("Europe/Berlin", "Asia/Kathmandu"), ("America/Los_Angeles", "Europe/London"), ("UTC", "Pacific/Chatham"),
        ]),
        all in (0_i64..1_440, 0_i64..1_440),
        of_type in (0_i64..1_440, 0_i64..1_440),
        at in 30_000_000_i64..31_000_000,
    ) {
        let hours = |(start, end): (i64, i64)| QuietHours::from_micros(start * MINUTE, end * MINUTE).unwrap();
        let (first, second) = (hours(all), hours(of_type));
        let zone = |name: &str| Zones::bundled().get(name).unwrap();
        let is_in = |hours: &QuietHours, name: &str, at: Moment| {
            let instant = Timestamp::from_microsecond(at.as_micros()).unwrap();
            let time = zone(name).to_datetime(instant).time();
            if hours.start <= hours.end {
                hours.start <= time && time < hours.end
            } else {
                time >= hours.start || time < hours.end
            }
        };
        let at = Moment::from_micros(at * MINUTE);
        let minute = |n: i64| Moment::from_micros(at.as_micros() + n * MINUTE);
        let expected = (0..8 * 1_440).map(minute)
            .find(|at| !is_in(&first, zones.0, *at) && !is_in(&second, zones.1, *at));
        // Where clocks are set back a minute occurs twice, and which of the two counts is tested in `every_zone`.
        let is_even = (0..9 * 24).map(|n| minute(n * 60)).all(|at| {
            let offset = |name: &str, at: Moment| {
                zone(name).to_offset(Timestamp::from_microsecond(at.as_micros()).unwrap())
            };
            offset(zones.0, at) == offset(zones.0, minute(0)) && offset(zones.1, at) == offset(zones.1, minute(0))
        });
        prop_assume!(is_even);
        match (judged(claim_with(first, second, zones.0, Some(zones.1)), at), expected) {
            (Verdict::Send(_), Some(minute)) => prop_assert_eq!(minute, at),
            (Verdict::Defer { until, .. }, Some(minute)) => prop_assert_eq!(until, minute),
            (Verdict::Cancel { .. }, None) => {}
            (verdict, expected) => prop_assert!(false, "{:?}, not {:?}", verdict, expected),
        }
    }
}
