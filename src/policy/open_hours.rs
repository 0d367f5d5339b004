//! The open hours of a day or a week, in local time.
//!
//! **The rule for gaps and folds of daylight saving time**: local time decides. A skipped hour opens and closes
//! nothing; if the jump leads from a closed hour into an open one, it opens at the jump. A repeated hour is open
//! twice, or closed twice. No local time is converted to an instant, so none is ambiguous: between two changes of
//! the offset local time runs evenly, and the next opening is at a fixed distance, unless a change comes first.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use crate::message::Moment;
use crate::message::facts::DAY_US;

/// A week in microseconds, from Monday 00:00 local time.
pub(super) const WEEK_US: i64 = 7 * DAY_US;

/// How many changes of the offset are followed. The next opening is at most a week away, and no zone has changed
/// its offset more than a few times within one.
const CHANGES_MAX: usize = 64;

/// Open hours that repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenHours {
    /// The period after which the hours repeat: a day or a week, in microseconds.
    period: i64,
    /// Sorted, disjoint, within `0..period`. A range that crosses the end of the period is split
    /// in two.
    open: Vec<Range<i64>>,
}

impl OpenHours {
    /// Open daily from `from` (included) to `until` (excluded), across midnight if `until` is earlier.
    pub(super) fn daily(from: Time, until: Time) -> Self {
        let (from, until) = (since_midnight(from), since_midnight(until));
        let length = (until - from).rem_euclid(DAY_US);
        Self::new(DAY_US, std::iter::once(from..from + length))
    }

    /// Open weekly. Ranges may overlap, and may cross the end of the week.
    pub(super) fn weekly(open: impl IntoIterator<Item = Range<i64>>) -> Self {
        Self::new(WEEK_US, open)
    }

    fn new(period: i64, open: impl IntoIterator<Item = Range<i64>>) -> Self {
        let mut parts: Vec<Range<i64>> = open
            .into_iter()
            .flat_map(|part| {
                let over = (part.end - period).max(0);
                [part.start..part.end.min(period), 0..over.min(period)]
            })
            .filter(|part| !part.is_empty())
            .collect();
        parts.sort_by_key(|part| part.start);
        let mut open: Vec<Range<i64>> = Vec::with_capacity(parts.len());
        for part in parts {
            match open.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => open.push(part),
            }
        }
        Self { period, open }
    }

    /// The hours that are not open.
    pub(super) fn closed(&self) -> Self {
        let from = std::iter::once(0).chain(self.open.iter().map(|part| part.end));
        let starts = self.open.iter().map(|part| part.start);
        let closed = from.zip(starts.chain([self.period]));
        let closed = closed.map(|(from, until)| from..until);
        Self {
            period: self.period,
            open: closed.filter(|part| !part.is_empty()).collect(),
        }
    }

    /// The open ranges, in microseconds from the start of the period.
    pub(super) fn open(&self) -> &[Range<i64>] {
        &self.open
    }

    /// The earliest open time at or after `from`, in `zone`. `None` if there is none, or if the calendar ends
    /// before it.
    pub(super) fn next_open(&self, zone: &TimeZone, from: Moment) -> Option<Moment> {
        let mut at = from.as_micros();
        for _ in 0..CHANGES_MAX {
            let instant = Timestamp::from_microsecond(at).ok()?;
            let ahead = self.ahead(zone.to_datetime(instant))?;
            if ahead == 0 {
                return Some(Moment::from_micros(at));
            }
            let change = zone.following(instant).next();
            match change.map(|change| change.timestamp().as_microsecond()) {
                Some(change) if at + ahead >= change => at = change,
                _ => return Some(Moment::from_micros(at + ahead)),
            }
        }
        None
    }

    /// How long local time runs from `shown` to the next open range.
    fn ahead(&self, shown: DateTime) -> Option<i64> {
        let weekday = i64::from(shown.weekday().to_monday_zero_offset());
        let shown = (weekday * DAY_US + since_midnight(shown.time())).rem_euclid(self.period);
        let first = self.open.first()?;
        let part = self.open.iter().find(|part| shown < part.end);
        Some(match part {
            Some(part) => (part.start - shown).max(0),
            None => first.start + self.period - shown,
        })
    }
}

/// In microseconds, rounded down.
pub(super) fn since_midnight(time: Time) -> i64 {
    let seconds =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    seconds * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1000
}
