//! The days of time zones, for daily limits.
//!
//! A day ends when local time first has another date. The database gets the ends of the days as instants and
//! compares those, without time zone arithmetic of its own.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Zones;
use crate::message::Moment;

/// The current day in a zone, and the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDay {
    /// The zone, as requested.
    pub zone: String,
    /// Today.
    pub day: Date,
    /// The end of today.
    pub ends: Moment,
    /// The date after that; not tomorrow if the zone skips a day.
    pub next: Date,
}

/// The days at `at` in each of these zones. Unknown zones are left out.
pub fn local_days<'a>(
    zones: &Zones,
    names: impl IntoIterator<Item = &'a str>,
    at: Moment,
) -> Vec<LocalDay> {
    let day = |name: &'a str| {
        let (day, ends, next) = local_day(&zones.get(name)?, at)?;
        let zone = name.to_owned();
        Some(LocalDay {
            zone,
            day,
            ends,
            next,
        })
    };
    names.into_iter().filter_map(day).collect()
}

/// How many changes of the offset are followed to find the end of a day; no zone has had more than two in one.
const CHANGES_MAX: usize = 8;

/// The day at `at` in a zone: its date, its end, and the date after that.
pub fn local_day(zone: &TimeZone, at: Moment) -> Option<(Date, Moment, Date)> {
    let day = date(zone, at)?;
    let mut from = Timestamp::from_microsecond(at.as_micros()).ok()?;
    for _ in 0..CHANGES_MAX {
        let shown = zone.to_datetime(from);
        if shown.date() != day {
            break;
        }
        let midnight = shown.date().tomorrow().ok()?.at(0, 0, 0, 0);
        let ahead = shown.duration_until(midnight);
        let end = from.checked_add(ahead).ok()?;
        let change = zone.following(from).next().map(|c| c.timestamp());
        match change {
            Some(change) if end >= change => from = change,
            _ => {
                from = end;
                break;
            }
        }
    }
    let ends = Moment::from_micros(from.as_microsecond());
    let next = date(zone, ends)?;
    (next != day).then_some((day, ends, next))
}

fn date(zone: &TimeZone, at: Moment) -> Option<Date> {
    let instant = Timestamp::from_microsecond(at.as_micros()).ok()?;
    Some(zone.to_datetime(instant).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments are written as people do, in UTC.
    #[track_caller]
    fn check(zone: &str, at: &str, expected: (&str, &str, &str)) {
        let at = moment(at);
        let days = local_days(&Zones::bundled(), [zone], at);
        let [day] = &days[..] else {
            panic!("{days:?}");
        };
        let (today, ends, next) = expected;
        assert_eq!(day.day.to_string(), today);
        assert_eq!(day.ends, moment(ends), "{}", day.ends);
        assert_eq!(day.next.to_string(), next);
        assert_eq!(day.zone, zone);
    }

    fn moment(text: &str) -> Moment {
        let instant: Timestamp = text.parse().unwrap();
        Moment::from_micros(instant.as_microsecond())
    }

    #[test]
    fn a_day_ends_at_local_midnight() {
        let la = "America/Los_Angeles";
        let ends = "2026-07-02T07:00:00Z";
        check(
            la,
            "2026-07-01T07:00:00Z",
            ("2026-07-01", ends, "2026-07-02"),
        );
        check(
            la,
            "2026-07-02T06:59:59.999999Z",
            ("2026-07-01", ends, "2026-07-02"),
        );
        check(
            la,
            ends,
            ("2026-07-02", "2026-07-03T07:00:00Z", "2026-07-03"),
        );
        // 23 hours, and 25.
        let spring = ("2026-03-08", "2026-03-09T07:00:00Z", "2026-03-09");
        check(la, "2026-03-08T08:00:00Z", spring);
        let autumn = ("2026-11-01", "2026-11-02T08:00:00Z", "2026-11-02");
        check(la, "2026-11-01T07:00:00Z", autumn);
    }

    #[test]
    fn a_midnight_that_there_is_not() {
        // Cairo goes from 24:00 to 01:00: the day ends at the jump.
        check(
            "Africa/Cairo",
            "2026-04-23T12:00:00Z",
            ("2026-04-23", "2026-04-23T22:00:00Z", "2026-04-24"),
        );
        // Samoa left out a whole day.
        check(
            "Pacific/Apia",
            "2011-12-29T12:00:00Z",
            ("2011-12-29", "2011-12-30T10:00:00Z", "2011-12-31"),
        );
    }

    #[test]
    fn what_is_no_zone_is_left_out() {
        let days = local_days(
            &Zones::bundled(),
            ["Mars/Olympus", "utc", "Etc/Unknown"],
            moment("2026-07-01T07:00:00Z"),
        );
        let names: Vec<_> = days.iter().map(|day| day.zone.as_str()).collect();
        assert_eq!(names, ["utc"]);
    }
}
