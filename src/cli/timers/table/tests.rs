//! The table as a terminal shows it.

use super::*;

#[test]
fn durations_for_people() {
    for (us, text) in [
        (0, "0 µs"),
        (999, "999 µs"),
        (-4_200, "-4.2 ms"),
        (850_000, "850.0 ms"),
        (12_340_000, "12.3 s"),
        (81_000_000, "1m 21s"),
        (-3_599_000_000, "-59m 59s"),
        (3_600_000_000, "1h 00m"),
        (-95_000_000_000, "-1d 02h"),
        (i64::MIN, "-106751991d 04h"),
    ] {
        assert_eq!(due_in(us), text);
    }
}

fn answer(timers: &str, ready: bool, count: u64) -> Answer {
    let json = format!(
        r#"{{"now": "2026-01-01T09:00:00.000000Z", "instance": "x", "ready": {ready},
        "clock": {{"offset_us": -120, "uncertainty_us": 300}}, "listener": {{}},
        "window": {{"until": "2026-01-01T10:00:00.000000Z", "armed": 3, "beyond": 140}},
        "lead_us": 4200, "lateness_us": {{"count": {count}, "p50": 310, "p99": 900, "max": 1200}}, "paces": [],
        "wheel": [], "timers": [{timers}]}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn timer(n: u8, due_at: &str, due_in_us: i64, state: &str) -> String {
    format!(
        r#"{{"id": "0198c0de-0000-7000-8000-0000000000{n:02}", "due_at": "{due_at}",
        "due_in_us": {due_in_us}, "kind": "message", "state": "{state}",
        "attempt": 0, "version": {n}, "owner": "x"}}"#
    )
}

#[test]
fn a_table_that_fits() {
    let timers = [
        timer(1, "2025-12-31T08:00:00.000000Z", -90_000_000_000, "sending"),
        timer(12, "2026-01-01T09:01:21.123999Z", 81_123_999, "armed"),
    ];
    let answer = answer(&timers.join(","), true, 10);
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let text = render(&answer, None, &berlin, None);
    let expected = "\
ready · 3 armed, due before 11:00:00.000 · 140 later · times in Europe/Berlin
clock -120 µs ± 300 µs · lead 4.2 ms · lateness p50 310 µs, p99 900 µs of 10
ID                                    DUE           IN       STATE    ATTEMPT
0198c0de-0000-7000-8000-000000000001  Dec 31 09:00  -1d 01h  sending  0
0198c0de-0000-7000-8000-000000000012  10:01:21.123  1m 21s   armed    0
… 1 more (--limit, up to 10000)
";
    assert_eq!(text, expected);
}

#[test]
fn a_terminal_of_any_width_is_not_exceeded() {
    let timers = timer(12, "2026-01-01T09:01:21.123999Z", 81_123_999, "armed");
    let answer = answer(&timers, true, 10);
    for (width, shows, not) in [
        (80, "ATTEMPT", "…0"),
        (66, "STATE", "ATTEMPT"),
        (52, "10:01:21.123", "STATE"),
        (40, "…000000000012", "0198c0de"),
    ] {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let text = render(&answer, None, &berlin, Some(width));
        for line in text.lines() {
            let plain = anstream::adapter::strip_str(line).to_string();
            assert!(plain.chars().count() <= width, "{width}: {plain:?}");
        }
        assert!(
            text.contains(shows) && !text.contains(not),
            "{width}:\n{text}"
        );
    }
}

#[test]
fn what_the_provider_slows_has_a_line() {
    let mut answer = answer("", true, 0);
    assert!(!render(&answer, None, &TimeZone::UTC, None).contains("provider"));
    (answer.slowed.senders, answer.slowed.senders_refused) = (2, 1);
    let text = render(&answer, None, &TimeZone::UTC, None);
    let line = "\nby the provider: 2 senders throttled · 1 senders refused\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn nothing_to_show() {
    let why = Some("not connected; not loaded");
    let text = render(&answer("", false, 0), why, &TimeZone::UTC, None);
    assert!(text.starts_with("NOT READY: not connected; not loaded · 3 armed"));
    assert!(text.contains("lateness none sent yet"));
    assert!(text.ends_with("no timers\n"), "{text}");
}

#[test]
fn what_is_not_simply_sent_has_a_line() {
    let with = |n: u8, forecast: &str| {
        let timer = timer(n, "2026-01-01T09:01:21.123999Z", 81_123_999, "armed");
        timer.replace(r#""owner""#, &format!(r#""forecast": {forecast}, "owner""#))
    };
    let timers = [
        with(
            1,
            r#"{"outcome": "send", "at": "x", "reason": null, "text": "will be sent at x"}"#,
        ),
        with(
            2,
            r#"{"outcome": "wait", "reason": "no_daemon", "text": "is not sent: no daemon is running"}"#,
        ),
        with(
            3,
            r#"{"outcome": "send", "reason": "pace", "text": "waits for the pace of a campaign"}"#,
        ),
        with(4, "null"),
    ];
    let answer = answer(&timers.join(","), true, 10);
    let text = render(&answer, None, &TimeZone::UTC, None);
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(": ")).collect();
    assert_eq!(
        lines[lines.len() - 2..],
        [
            "0198c0de-0000-7000-8000-000000000002: is not sent: no daemon is running",
            "0198c0de-0000-7000-8000-000000000003: waits for the pace of a campaign",
        ]
    );
    assert!(!text.contains("will be sent at x"));
    let narrow = render(&answer, None, &TimeZone::UTC, Some(38));
    assert!(
        narrow.contains("\n  is not sent: no daemon is running\n"),
        "{narrow}"
    );
}
