//! Parses and formats times for people: `--at` and its like.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};

use crate::message::Moment;

/// The forms that `--at` and its like accept.
pub(super) const FORMS: &str = "2026-01-02T09:00:00+01:00, \"2026-01-02 09:00\" (local time), \
                                \"in 10m\", +90s, or now";

/// A time as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Relative to now; the caller chooses the clock.
    In(Duration),
    /// The same, in the past.
    Ago(Duration),
    /// An instant, with a remark on how it was read.
    At(Moment, Option<String>),
}

impl When {
    /// Reads `text`; local times are in `zone`.
    pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Self, String> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("now") {
            return Ok(Self::In(Duration::ZERO));
        }
        let ahead = text.strip_prefix('+').or_else(|| text.strip_prefix("in "));
        if let Some(ahead) = ahead {
            return humantime::parse_duration(ahead.trim())
                .map(Self::In)
                .map_err(|e| {
                    format!("cannot read {text:?} as a duration ({e}); try \"in 10m\" or +90s")
                });
        }
        if let Some(ago) = text.strip_suffix(" ago") {
            return humantime::parse_duration(ago.trim())
                .map(Self::Ago)
                .map_err(|e| format!("cannot read {text:?} as a duration ({e}); try \"2h ago\""));
        }
        if let Ok(zoned) = text.parse::<ZonedDateTime>() {
            return Ok(Self::At(moment(zoned.timestamp()), None));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(moment(at), None));
        }
        // A day alone would be read as its midnight, which is rarely meant.
        match text.parse::<DateTime>() {
            Ok(local) if text.contains(':') => of_zone(local, zone),
            Ok(_) => Err(format!("{text:?} has no time of day; try {FORMS}")),
            Err(_) => Err(format!("cannot read {text:?} as a time; try {FORMS}")),
        }
    }

    /// The instant, where "now" is `now`.
    pub(super) fn instant(&self, now: Moment) -> Moment {
        match self {
            Self::In(ahead) => now + *ahead,
            Self::Ago(ago) => now - *ago,
            Self::At(at, _) => *at,
        }
    }

    /// A remark on how it was read.
    pub(super) fn note(&self) -> Option<&str> {
        match self {
            Self::In(_) | Self::Ago(_) => None,
            Self::At(_, note) => note.as_deref(),
        }
    }
}

/// A local time that the zone skips is moved forward by the length of the gap; of one that occurs
/// twice, the first is used (RFC 5545). A remark says so.
fn of_zone(local: DateTime, zone: &TimeZone) -> Result<When, String> {
    let ambiguous = zone.to_ambiguous_zoned_datetime(local);
    let offsets = ambiguous.offset();
    let zoned = ambiguous
        .compatible()
        .map_err(|e| format!("{local} is out of range: {e}"))?;
    let name = zone.iana_name().unwrap_or("this machine's zone");
    let taken = zoned.strftime("%Y-%m-%d %H:%M:%S %:z");
    let note = match offsets {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some(format!(
            "{local} does not exist in {name} (clocks go forward): read as {taken}"
        )),
        AmbiguousOffset::Fold { after, .. } => Some(format!(
            "{local} occurs twice in {name} (clocks go back): read as the first, {taken}; for the \
             second write its offset, {local}{after}"
        )),
    };
    Ok(When::At(moment(zoned.timestamp()), note))
}

fn moment(at: Timestamp) -> Moment {
    Moment::from_micros(at.as_microsecond())
}

/// A time for people, in `zone`.
pub(super) fn show(at: Moment, zone: &TimeZone) -> String {
    Timestamp::from_microsecond(at.as_micros()).map_or_else(
        |_| at.to_string(),
        |t| {
            let zoned = t.to_zoned_datetime(zone.clone());
            let name = zone.iana_name().map(|n| format!(" ({n})"));
            format!(
                "{}{}",
                zoned.strftime("%a %Y-%m-%d %H:%M:%S %:z"),
                name.unwrap_or_default()
            )
        },
    )
}

/// How far `at` is from `now`, in either direction.
pub(super) fn distance(at: Moment, now: Moment) -> String {
    let us = at.micros_from(now);
    let seconds = us.unsigned_abs() / 1_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let length = match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    };
    if us < 0 {
        format!("{length} ago")
    } else {
        format!("in {length}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    /// What a text means in Berlin, in UTC, and a word of the remark.
    fn check(text: &str, utc: &str, says: Option<&str>) {
        let when = When::parse(text, &berlin()).unwrap_or_else(|e| panic!("{text}: {e}"));
        let at = when.instant(Moment::from_micros(0)).to_string();
        assert_eq!(at, utc, "{text}");
        match (when.note(), says) {
            (None, None) => {}
            (Some(note), Some(word)) => assert!(note.contains(word), "{text}: {note}"),
            (note, _) => panic!("{text}: {note:?}, not {says:?}"),
        }
    }

    #[test]
    fn moments_as_people_write_them() {
        check("2026-01-02T09:00:00Z", "2026-01-02T09:00:00.000000Z", None);
        check(
            "2026-01-02T09:00:00+01:00",
            "2026-01-02T08:00:00.000000Z",
            None,
        );
        check("2026-01-02 09:00", "2026-01-02T08:00:00.000000Z", None);
        check(
            " 2026-07-02 09:00:30.5 ",
            "2026-07-02T07:00:30.500000Z",
            None,
        );
        check(
            "2026-01-02T09:00[America/New_York]",
            "2026-01-02T14:00:00.000000Z",
            None,
        );
        check("in 10m", "1970-01-01T00:10:00.000000Z", None);
        check("+90s", "1970-01-01T00:01:30.000000Z", None);
        check("in 1h 30m", "1970-01-01T01:30:00.000000Z", None);
        check("2h ago", "1969-12-31T22:00:00.000000Z", None);
        check("now", "1970-01-01T00:00:00.000000Z", None);
    }

    #[test]
    fn a_gap_and_a_fold_have_a_remark() {
        check(
            "2026-03-29 02:30",
            "2026-03-29T01:30:00.000000Z",
            Some("does not exist in Europe/Berlin"),
        );
        check(
            "2026-10-25 02:30",
            "2026-10-25T00:30:00.000000Z",
            Some("2026-10-25T02:30:00+01"),
        );
        // As the remark about the fold says.
        check(
            "2026-10-25T02:30:00+01",
            "2026-10-25T01:30:00.000000Z",
            None,
        );
    }

    #[test]
    fn an_unreadable_time_is_refused_with_examples() {
        for text in [
            "",
            "soon",
            "tomorrow",
            "2026-01-02",
            "09:00",
            "2026-02-30 09:00",
            "in",
            "in ten",
            "+",
            "-5m",
            "1767344400",
        ] {
            let said = When::parse(text, &berlin()).expect_err(text);
            assert!(said.contains("in 10m"), "{text}: {said}");
        }
    }

    #[test]
    fn shown_to_people() {
        let at = Moment::from_micros(1_767_340_800_000_000);
        assert_eq!(
            show(at, &berlin()),
            "Fri 2026-01-02 09:00:00 +01:00 (Europe/Berlin)"
        );
        assert_eq!(show(Moment::MAX, &berlin()), "infinity");
        let second = Duration::from_secs(1);
        assert_eq!(distance(at + 90 * second, at), "in 1 min 30 s");
        assert_eq!(distance(at, at + 3 * 3600 * second), "3 h 0 min ago");
        assert_eq!(distance(at + 86_400 * 2 * second, at), "in 2 d 0 h");
    }
}
