//! When a text may be sent, to thirty numbers and to any.

use jiff::Timestamp;

mod any;

use super::*;
use crate::message::facts::{Preferences, QuietHours};
use crate::message::{Capabilities, Channel, LaneKey, Part, ProviderCapabilities};
use crate::policy::tests::claim;
use crate::policy::{Verdict, judge};

fn moment(text: &str) -> Moment {
    let instant: Timestamp = text.parse().unwrap();
    Moment::from_micros(instant.as_microsecond())
}

fn rules() -> Rules {
    let lawful = LawfulHours::builtin().with_transactional(["invoice".into(), "code".into()]);
    Rules {
        default_sender: "+15005550006".parse().ok(),
        lawful: Some(lawful),
        ..Rules::default()
    }
}

fn text(to: &str, message_type: Option<&str>, at: Moment) -> Claim {
    let mut claim = claim();
    claim.to_number = to.into();
    claim.facts.message_type = message_type.map(Into::into);
    (claim.due, claim.wanted_at) = (at, at);
    claim
}

fn judged(claim: &Claim, rules: &Rules) -> Verdict {
    let providers = ProviderCapabilities::all(Capabilities::SENDS_ONLY);
    judge(claim, rules, &providers, claim.due)
}

/// What becomes of a text: `sent`, or the time it is deferred to; and by what, with the source.
fn verdict(claim: &Claim, rules: &Rules) -> (String, String) {
    match judged(claim, rules) {
        Verdict::Send(cleared) => {
            let by = cleared.lawful().map(|lawful| lawful.by.clone());
            ("sent".into(), by.unwrap_or_default())
        }
        Verdict::Defer { until, reason } => {
            assert_eq!(reason.kind, ReasonKind::LawfulHours);
            let judged_by = reason.lawful.expect("the ledger has it");
            assert!(judged_by.ends_with("; rules of 2026-11-30"), "{judged_by}");
            (until.to_string().replace(":00.000000Z", "Z"), reason.text)
        }
        other => panic!("{other:?}"),
    }
}

const PROMO: Option<&str> = Some("promo");
const INVOICE: Option<&str> = Some("invoice");

/// A text in each line.
const TABLE: &str = include_str!("table.txt");

#[test]
fn thirty_numbers_at_times_and_of_kinds_with_the_source() {
    let rules = rules();
    let lines: Vec<_> = TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(lines.len() >= 30);
    for line in lines {
        let [to, of, at, expected, source] = line.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let at = moment(&at.replace('Z', ":00Z"));
        let (became, why) = verdict(&text(to, Some(of).filter(|of| *of != "-"), at), &rules);
        assert_eq!(became, expected, "{line}: {why}");
        assert!(why.contains(source), "{line}: {why}");
        assert!(!why.contains(&to[2..]), "{why}");
    }
}

#[test]
fn on_the_days_on_which_clocks_change() {
    let rules = rules();
    for (at, expected) in [
        // New York goes from 02:00 to 03:00 on March 8, so its morning is at 12:00 UTC and no longer at 13:00.
        ("2026-03-07T12:30:00Z", "2026-03-07T13:00Z"),
        ("2026-03-08T11:30:00Z", "2026-03-08T12:00Z"),
        ("2026-03-08T12:00:00Z", "sent"),
        ("2026-03-09T00:59:00Z", "sent"),
        ("2026-03-09T01:00:00Z", "2026-03-09T12:00Z"),
        // And back on November 1.
        ("2026-11-01T12:30:00Z", "2026-11-01T13:00Z"),
        ("2026-11-02T01:59:00Z", "sent"),
        ("2026-11-02T02:00:00Z", "2026-11-02T13:00Z"),
    ] {
        let (became, why) = verdict(&text("+12125550101", PROMO, moment(at)), &rules);
        assert_eq!(became, expected, "{at}: {why}");
    }
    // Arizona has no summer time, but the Navajo Nation in its area code 928.
    let at = moment("2026-07-01T14:30:00Z");
    let (became, _) = verdict(&text("+19285550101", PROMO, at), &rules);
    assert_eq!(became, "2026-07-01T15:00Z");
}

#[test]
fn the_zone_that_the_app_knows_must_permit_it_too_and_quiet_hours_as_well() {
    let rules = rules();
    // A number of New York whose owner lives in California: 8:30 there is 5:30 here.
    let mut moved = text("+12125550101", PROMO, moment("2026-07-01T12:30:00Z"));
    moved.facts.preferences = Some(Preferences {
        timezone: Some("America/Los_Angeles".into()),
        ..Preferences::default()
    });
    let (became, why) = verdict(&moved, &rules);
    assert_eq!(became, "2026-07-01T15:00Z", "{why}");
    // In the evening the number's clock ends it.
    (moved.due, moved.wanted_at) = (
        moment("2026-07-02T01:30:00Z"),
        moment("2026-07-02T01:30:00Z"),
    );
    assert_eq!(verdict(&moved, &rules).0, "2026-07-02T15:00Z");
    // The zone of the installation says nothing of the recipient.
    let mut abroad = rules.clone();
    abroad.timezone = Zones::bundled().get("Asia/Tokyo").unwrap();
    let here = text("+12125550101", PROMO, moment("2026-07-01T12:30:00Z"));
    assert_eq!(verdict(&here, &abroad).0, "sent");
    // Quiet hours until ten: the reason names both, the first first.
    let mut quiet = text("+12125550101", PROMO, moment("2026-07-01T05:00:00Z"));
    quiet.facts.preferences = Some(Preferences {
        timezone: Some("America/New_York".into()),
        quiet_hours: QuietHours::from_micros(22 * 3_600_000_000, 7 * 3_600_000_000),
        ..Preferences::default()
    });
    let Verdict::Defer { until, reason } = judged(&quiet, &rules) else {
        panic!("it is quiet");
    };
    assert_eq!(until, moment("2026-07-01T12:00:00Z"));
    assert_eq!(reason.kind, ReasonKind::QuietHours);
    assert!(
        reason
            .text
            .contains(", outside of lawful hours mon-sun 08:00-21:00"),
        "{reason}"
    );
}

#[test]
fn the_law_is_about_texts_and_each_part_of_them() {
    let night = moment("2026-07-02T03:00:00Z");
    let rules = rules();
    let mut part = text("+12125550101", PROMO, night);
    part.part = Part { before: 1, of: 2 };
    part.part_text = Some("the rest".into());
    assert_eq!(verdict(&part, &rules).0, "2026-07-02T12:00Z");
    let mut urgent = text("+12125550101", PROMO, night);
    urgent.facts.priority = crate::message::Priority::Urgent;
    let mut passes = rules.clone();
    passes.urgent_passes_quiet_hours = true;
    assert_eq!(verdict(&urgent, &passes).0, "2026-07-02T12:00Z");
    let mut email = text("ada@example.com", PROMO, night);
    email.lane = LaneKey::of(Channel::Email);
    let of_email = |claim: &Claim| match judged(claim, &rules) {
        Verdict::Defer { .. } => panic!("the law of texts is not about e-mails"),
        Verdict::Send(cleared) => assert_eq!(cleared.lawful(), None),
        Verdict::Cancel { .. } | Verdict::Reject { .. } => {}
    };
    of_email(&email);
    let off = Rules {
        lawful: None,
        ..rules.clone()
    };
    let late = text("+12125550101", PROMO, night);
    assert_eq!(verdict(&late, &off), ("sent".into(), String::new()));
}

#[test]
fn it_says_until_when_it_is_permitted() {
    let rules = rules();
    for (to, at, closes) in [
        (
            "+13055550101",
            "2026-07-01T15:00:00Z",
            "2026-07-02T00:00:00Z",
        ),
        (
            "+18505550101",
            "2026-07-01T15:00:00Z",
            "2026-07-02T00:00:00Z",
        ),
        (
            "+14015550101",
            "2026-07-11T15:00:00Z",
            "2026-07-11T21:00:00Z",
        ),
    ] {
        let Verdict::Send(cleared) = judged(&text(to, PROMO, moment(at)), &rules) else {
            panic!("it is permitted");
        };
        assert_eq!(cleared.lawful().unwrap().closes, moment(closes), "{to}");
    }
    let Verdict::Send(cleared) = judged(
        &text("+442071838750", PROMO, moment("2026-07-01T02:00:00Z")),
        &rules,
    ) else {
        panic!("there is no rule");
    };
    assert_eq!(cleared.lawful().unwrap().closes, Moment::MAX);
}

#[test]
fn what_holidays_close_for_longer_than_a_week_waits_for_their_end() {
    let judged_by = |holidays: &[String], before: &str| {
        let own = format!(
            r#"checked = "2026-11-30"
            [[rule]]
            id = "xx"
            places = ["US"]
            kinds = ["marketing"]
            hours = "mon-sun 08:00-20:00"
            holidays = {holidays:?}
            source = "a law"
            url = "https://example.com"
            checked = "2026-11-30"
            seen = "unread""#
        );
        let rules = Rules {
            lawful: Some(LawfulHours::own(&own).unwrap()),
            ..rules()
        };
        let mut late = text("+12125550101", PROMO, moment("2026-12-20T15:00:00Z"));
        late.send_before = (!before.is_empty()).then(|| moment(before));
        judged(&late, &rules)
    };
    let december: Vec<String> = (18..=31).map(|day| format!("dec {day}")).collect();
    let Verdict::Defer { until, reason } = judged_by(&december, "") else {
        panic!("it waits");
    };
    assert_eq!(until, moment("2027-01-01T13:00:00Z"));
    assert!(reason.text.ends_with(", and a holiday"), "{reason}");
    // The message itself may end before.
    let Verdict::Cancel { reason } = judged_by(&december, "2026-12-30T15:00:00Z") else {
        panic!("it comes too late");
    };
    assert!(reason.text.contains("send_before is"), "{reason}");
    // Days without end are no hours at all.
    let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let always = months.iter().flat_map(|month| {
        let days = (1..=31).map(move |day| format!("{month} {day}"));
        let exists = |day: &String| {
            !["feb 30", "feb 31", "apr 31", "jun 31", "sep 31", "nov 31"].contains(&day.as_str())
        };
        days.filter(exists)
    });
    let always: Vec<String> = always.collect();
    let Verdict::Cancel { reason } = judged_by(&always, "") else {
        panic!("there is no hour");
    };
    assert!(
        reason
            .text
            .starts_with("no hour to send at within a year: "),
        "{reason}"
    );
}
