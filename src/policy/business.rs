//! The installation's business hours, such as `mon-fri 09:00-20:00`.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use jiff::tz::TimeZone;

use super::open_hours::OpenHours;
use crate::message::Moment;
use crate::message::facts::DAY_US;

const MINUTE_US: i64 = 60 * 1_000_000;

/// Days and hours, in the installation's time zone.
///
/// ```text
/// mon-fri 09:00-20:00
/// mon-fri 09:00-12:00 13:00-18:00, sat 10:00-14:00
/// mon,wed,fri 08:00-12:00
/// fri-sat 22:00-02:00          a night belongs to the day on which it begins
/// mon-sun 00:00-24:00
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusinessHours {
    hours: OpenHours,
    /// As configured.
    text: String,
}

/// Why a text is not valid as business hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusinessHoursError {
    /// A part that is neither days nor hours.
    #[error("{0:?} is neither days (mon, mon-fri) nor hours (09:00-20:00)")]
    Word(String),
    /// Hours without days before them.
    #[error("{0:?} has no days before it")]
    NoDays(String),
    /// Days without hours after them.
    #[error("no hours follow {0:?}")]
    NoHours(String),
    /// A range without length.
    #[error("{0:?} is empty; the whole day is 00:00-24:00")]
    Empty(String),
    /// Nothing at all.
    #[error("it has no days and hours")]
    Nothing,
}

impl BusinessHours {
    /// The earliest open time at or after `from`, in `zone`.
    pub fn next_open(&self, zone: &TimeZone, from: Moment) -> Option<Moment> {
        self.hours.next_open(zone, from)
    }

    /// The earliest closed time at or after `from`, in `zone`; `None`: they are open always.
    pub fn next_closed(&self, zone: &TimeZone, from: Moment) -> Option<Moment> {
        self.hours.closed().next_open(zone, from)
    }

    /// The open ranges of the week: microseconds of local time since Monday 00:00, sorted and disjoint.
    pub fn ranges(&self) -> &[Range<i64>] {
        self.hours.open()
    }
}

impl fmt::Display for BusinessHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Parses days and then their hours, separated by spaces or commas.
impl FromStr for BusinessHours {
    type Err = BusinessHoursError;

    fn from_str(text: &str) -> Result<Self, BusinessHoursError> {
        // Ranges may be written with a dash.
        let lower = text
            .to_ascii_lowercase()
            .replace(['\u{2013}', '\u{2212}'], "-");
        let words = lower.split(|c: char| c.is_whitespace() || c == ',' || c == ';');
        let mut open = Vec::new();
        let mut days = Vec::new();
        // The latest days without hours so far.
        let mut waiting: Option<&str> = None;
        for word in words.filter(|word| !word.is_empty()) {
            if let Some(more) = days_of(word) {
                if waiting.is_none() {
                    days.clear();
                }
                days.extend(more);
                waiting = Some(word);
            } else if let Some(hours) = hours_of(word) {
                if days.is_empty() {
                    return Err(BusinessHoursError::NoDays(word.to_owned()));
                }
                if hours.is_empty() {
                    return Err(BusinessHoursError::Empty(word.to_owned()));
                }
                waiting = None;
                let on = |day: &i64| day * DAY_US + hours.start..day * DAY_US + hours.end;
                open.extend(days.iter().map(on));
            } else {
                return Err(BusinessHoursError::Word(word.to_owned()));
            }
        }
        if let Some(days) = waiting {
            return Err(BusinessHoursError::NoHours(days.to_owned()));
        }
        if open.is_empty() {
            return Err(BusinessHoursError::Nothing);
        }
        Ok(Self {
            hours: OpenHours::weekly(open),
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    }
}

/// `mon` or `fri-mon`, counted from Monday.
fn days_of(word: &str) -> Option<Vec<i64>> {
    let Some((first, last)) = word.split_once('-') else {
        return day(word).map(|day| vec![day]);
    };
    let (first, last) = (day(first)?, day(last)?);
    let more = (last - first).rem_euclid(7);
    Some((0..=more).map(|n| (first + n) % 7).collect())
}

/// A day by its first letters, at least three.
fn day(word: &str) -> Option<i64> {
    const NAMES: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let is = |name: &&str| word.len() >= 3 && name.starts_with(word);
    let day = NAMES.iter().position(is)?;
    i64::try_from(day).ok()
}

/// `09:00-20:00` in microseconds of the day on which it begins; past midnight if the end is earlier.
fn hours_of(word: &str) -> Option<Range<i64>> {
    let (from, until) = word.split_once('-')?;
    let (from, until) = (time(from)?, time(until)?);
    if from == DAY_US {
        return None;
    }
    Some(if until < from {
        from..until + DAY_US
    } else {
        from..until
    })
}

/// `9:00`, `09:00` or `09:00:30`, up to `24:00`.
fn time(word: &str) -> Option<i64> {
    let mut parts = word.split(':');
    let hours = number(parts.next()?, 1..=2)?;
    let minutes = number(parts.next()?, 2..=2)?;
    let seconds = parts.next().map_or(Some(0), |word| number(word, 2..=2))?;
    let us = (hours * 60 + minutes) * MINUTE_US + seconds * 1_000_000;
    (parts.next().is_none() && minutes < 60 && seconds < 60 && us <= DAY_US).then_some(us)
}

fn number(word: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let is_one = digits.contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    is_one.then(|| word.parse().ok()).flatten()
}
