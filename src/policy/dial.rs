//! A clock on a wall, parts of whose dial are open.
//!
//! **The rule for gaps and folds**: what the clock shows decides, whenever it shows it. An hour
//! that a change of the clock leaves out opens and closes nothing; where it jumps from a closed
//! part into an open one, the jump is the opening. An hour that comes twice is open twice, or
//! closed twice. No local time is ever turned into an instant here, so there is nothing to
//! disambiguate: between two changes the clock runs evenly, and the opening is so and so far
//! ahead, or behind the next change.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use crate::message::Moment;
use crate::message::facts::DAY_US;

/// A week as clocks show it, from Monday 00:00, in microseconds.
pub(super) const WEEK_US: i64 = 7 * DAY_US;

/// Changes of the clock that are looked past. The next opening is at most a week of the dial
/// away, and no zone has ever changed its clock more than a few times in that.
const CHANGES_MAX: usize = 64;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dial {
    /// Once around: a day or a week, in microseconds.
    around: i64,
    /// Sorted, apart from each other, within `0..around`. One that goes on at the beginning of
    /// the dial is in two parts.
    open: Vec<Range<i64>>,
}

impl Dial {
    /// Once a day, open from `from` until just before `until`, across midnight where that comes
    /// first.
    pub(super) fn daily(from: Time, until: Time) -> Self {
        let (from, until) = (since_midnight(from), since_midnight(until));
        let length = (until - from).rem_euclid(DAY_US);
        Self::new(DAY_US, std::iter::once(from..from + length))
    }

    /// Once a week. Ranges may overlap, and go on at the beginning of the dial.
    pub(super) fn weekly(open: impl IntoIterator<Item = Range<i64>>) -> Self {
        Self::new(WEEK_US, open)
    }

    fn new(around: i64, open: impl IntoIterator<Item = Range<i64>>) -> Self {
        let mut parts: Vec<Range<i64>> = open
            .into_iter()
            .flat_map(|part| {
                let over = (part.end - around).max(0);
                [part.start..part.end.min(around), 0..over.min(around)]
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
        Self { around, open }
    }

    /// The open parts.
    pub(super) fn open(&self) -> &[Range<i64>] {
        &self.open
    }

    /// The earliest moment from `from` on at which this clock, in `zone`, shows an open part.
    /// `None`: there is none, or the calendar ends before it.
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

    /// How far the clock has to run from `shown` until it shows an open part.
    fn ahead(&self, shown: DateTime) -> Option<i64> {
        let weekday = i64::from(shown.weekday().to_monday_zero_offset());
        let shown = (weekday * DAY_US + since_midnight(shown.time())).rem_euclid(self.around);
        let first = self.open.first()?;
        let part = self.open.iter().find(|part| shown < part.end);
        Some(match part {
            Some(part) => (part.start - shown).max(0),
            None => first.start + self.around - shown,
        })
    }
}

/// In microseconds; what is finer is before the moment it belongs to.
pub(super) fn since_midnight(time: Time) -> i64 {
    let seconds =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    seconds * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1000
}
