//! Any number, at any time, of any kind.

use jiff::civil::Weekday;
use proptest::prelude::*;

use super::*;

/// What the built-in rules permit, said once more: by the hours as they are written, minute by minute.
fn is_lawful(limits: &[LawfulLimit<'_>], at: Moment) -> bool {
    let instant = Timestamp::from_microsecond(at.as_micros()).unwrap();
    limits.iter().all(|limit| {
        let local = limit.zone.to_datetime(instant);
        let is_holiday = limit.rule.has_holiday(&limit.zone, at);
        !is_holiday && is_within(&limit.rule.hours.to_string(), local.weekday(), local.time())
    })
}

fn is_within(hours: &str, weekday: Weekday, time: jiff::civil::Time) -> bool {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = |name: &str| DAYS.iter().position(|of| *of == name).unwrap();
    let today = usize::try_from(weekday.to_monday_zero_offset()).unwrap();
    hours.split(", ").any(|part| {
        let (days, times) = part.split_once(' ').unwrap();
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        (day(first)..=day(last)).contains(&today)
            && times.split(' ').any(|range| {
                let (from, until) = range.split_once('-').unwrap();
                let of = |text: &str| text.parse::<jiff::civil::Time>().unwrap();
                of(&format!("{from}:00")) <= time && time < of(&format!("{until}:00"))
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the number, the time and the kind: nothing is sent when it is not lawful, and what waits is sent in the
    /// first minute in which it is.
    #[test]
    fn nothing_is_sent_when_it_is_not_lawful_and_it_waits_no_longer_than_it_must(
        area in prop_oneof![
            3 => prop::sample::select(vec![
                "1305", "1850", "1203", "1214", "1915", "1601", "1504", "1205", "1401", "1605", "1502", "1928", "1907",
                "1212", "1555", "1416", "1709", "33", "1435", "1307",
            ]).prop_map(str::to_owned),
            1 => (201_u16..999).prop_map(|area| format!("1{area}")),
        ],
        minute in 29_600_000_i64..30_640_000,
        kind in prop::sample::select(vec![PROMO, INVOICE, None]),
        zone in prop::sample::select(vec![None, Some("America/Los_Angeles"), Some("Asia/Kathmandu"), Some("Mars/Base")]),
    ) {
        let rules = rules();
        let at = |minute: i64| Moment::from_micros(minute * 60_000_000);
        let mut claim = text(&format!("+{area}5550101"), kind, at(minute));
        claim.facts.timezone = zone.map(Into::into);
        let limits = limits(&claim, &rules);
        let is = |at: Moment| is_lawful(&limits, at);
        match judged(&claim, &rules) {
            Verdict::Send(cleared) => {
                prop_assert!(is(at(minute)));
                let closes = cleared.lawful().unwrap().closes;
                if closes < Moment::MAX {
                    let last = closes.as_micros() / 60_000_000;
                    prop_assert!(!is(closes));
                    prop_assert!((minute..last).step_by(7).chain([last - 1]).all(|n| is(at(n))));
                }
            }
            Verdict::Defer { until, .. } => {
                let until = until.as_micros() / 60_000_000;
                prop_assert!(is(at(until)));
                // Where nothing shows the state there are the rules of all, which take longer to ask.
                let step = if limits.len() > 20 { 13 } else { 1 };
                prop_assert!((minute..until).step_by(step).chain([until - 1]).all(|n| !is(at(n))));
            }
            // The zones of this number, or what the app says, leave no hour in common.
            Verdict::Cancel { .. } => {
                let ahead = minute..minute + 8 * 1_440;
                prop_assert!(ahead.step_by(5).all(|n| !is(at(n))));
            }
            other @ Verdict::Reject { .. } => prop_assert!(false, "{:?}", other),
        }
    }
}
