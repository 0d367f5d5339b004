//! Variables of templates that are about a calendar event: by the event as it is when the text is sent, and by the
//! recipient's clock. So a text that uses them follows an event that moves.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{Rules, zone_of};
use crate::message::{Claim, Moment};

/// The most characters of a title in a text, so that it stays one segment.
const NAME_CHARS: usize = 60;

/// What an event without a title is called.
const UNTITLED: &str = "Event";

/// Variables as they were written.
type Vars = BTreeMap<String, Box<serde_json::value::RawValue>>;

/// The variables of a claim, with those of its event; those that the row has itself have precedence. `None`: the row
/// is not rendered.
pub(super) fn of<'a>(claim: &'a Claim, rules: &Rules, at: Moment) -> Option<Cow<'a, str>> {
    let vars = claim.facts.template_vars.as_deref()?;
    let Some(starts) = claim.facts.event.starts() else {
        return Some(vars.into());
    };
    let zone = zone_of(&claim.facts, rules).zone;
    Some(with_event(vars, starts, &zone, at).map_or(vars.into(), Cow::Owned))
}

/// The same of any row: what its template gets, sent at `at`, of an event that begins at `starts`. `None`: the
/// variables are not an object, which rendering reports.
pub fn with_event(vars: &str, starts: Moment, zone: &TimeZone, at: Moment) -> Option<String> {
    // As they were written: a number keeps its digits.
    let mut all: Vars = serde_json::from_str(vars).ok()?;
    let text = |name: &str, all: &Vars| {
        let raw = all.get(name)?;
        serde_json::from_str::<String>(raw.get()).ok()
    };
    let mut more = vec![("event_name", name_of(text("event_title", &all).as_deref()))];
    let ends = text("event_end", &all).and_then(|ends| ends.parse::<Timestamp>().ok());
    if let Some(ends) = ends {
        more.push(("local_end", clock(zone.to_datetime(ends))));
    }
    if let Ok(begins) = Timestamp::from_microsecond(starts.as_micros()) {
        let local = zone.to_datetime(begins);
        more.extend([
            (
                "event_start",
                begins.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ),
            ("local_time", clock(local)),
            ("local_time_12h", local.strftime("%-I:%M %p").to_string()),
            ("local_date", local.date().to_string()),
        ]);
    }
    more.push(("minutes", minutes(starts, at).to_string()));
    for (name, value) in more {
        if let Entry::Vacant(place) = all.entry(name.to_owned()) {
            place.insert(serde_json::value::to_raw_value(&Value::String(value)).ok()?);
        }
    }
    serde_json::to_string(&all).ok()
}

/// `10:00`.
fn clock(local: DateTime) -> String {
    local.strftime("%H:%M").to_string()
}

/// From the text to the event, rounded; none, once it has begun.
fn minutes(starts: Moment, at: Moment) -> u64 {
    let left = u64::try_from(starts.since(at).as_micros()).unwrap_or(u64::MAX);
    left.saturating_add(30_000_000) / 60_000_000
}

/// A title in one line, and not too long for a text.
fn name_of(title: Option<&str>) -> String {
    let words: Vec<_> = title.unwrap_or_default().split_whitespace().collect();
    let name = words.join(" ");
    if name.is_empty() {
        return UNTITLED.to_owned();
    }
    if name.chars().count() <= NAME_CHARS {
        return name;
    }
    let kept: String = name.chars().take(NAME_CHARS - 3).collect();
    format!("{}...", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Zones;

    fn moment(text: &str) -> Moment {
        let instant: Timestamp = text.parse().unwrap();
        Moment::from_micros(instant.as_microsecond())
    }

    #[track_caller]
    fn check(vars: &str, zone: &str, expected: &[(&str, &str)]) {
        let zone = Zones::bundled().get(zone).unwrap();
        let (starts, at) = (
            moment("2026-07-01T17:00:00Z"),
            moment("2026-07-01T16:45:20Z"),
        );
        let all = with_event(vars, starts, &zone, at).unwrap();
        let all: BTreeMap<String, Value> = serde_json::from_str(&all).unwrap();
        for (name, value) in expected {
            assert_eq!(all[*name], Value::String((*value).to_owned()), "{name}");
        }
    }

    #[test]
    fn the_recipients_clock_and_the_time_that_is_left() {
        let vars =
            r#"{"event_title": " Stand\nup ", "event_end": "2026-07-01T17:30:00Z", "n": 1.50}"#;
        let expected = [
            ("event_name", "Stand up"),
            ("event_start", "2026-07-01T17:00:00Z"),
            ("local_time", "10:00"),
            ("local_time_12h", "10:00 AM"),
            ("local_date", "2026-07-01"),
            ("local_end", "10:30"),
            ("minutes", "15"),
        ];
        check(vars, "America/Los_Angeles", &expected);
        check(
            vars,
            "Asia/Tokyo",
            &[("local_date", "2026-07-02"), ("local_time", "02:00")],
        );
        let kept = with_event(vars, Moment::MIN, &TimeZone::UTC, Moment::MIN).unwrap();
        assert!(kept.contains("1.50"), "{kept}");
    }

    #[test]
    fn what_the_row_has_itself_stays() {
        check(
            r#"{"minutes": "a few", "event_title": null}"#,
            "UTC",
            &[("minutes", "a few"), ("event_name", "Event")],
        );
        assert_eq!(
            with_event("[]", Moment::MAX, &TimeZone::UTC, Moment::MIN),
            None
        );
        let long = "x".repeat(61);
        let name = format!("{}...", "x".repeat(57));
        check(
            &format!(r#"{{"event_title": "{long}"}}"#),
            "UTC",
            &[("event_name", &name)],
        );
    }

    #[test]
    fn nothing_is_left_of_an_event_that_has_begun() {
        let (at, later) = (
            moment("2026-07-01T16:45:00Z"),
            moment("2026-07-01T17:00:00Z"),
        );
        assert_eq!(minutes(at, later), 0);
        assert_eq!(minutes(later, at), 15);
    }
}
