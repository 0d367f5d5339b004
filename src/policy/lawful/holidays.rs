//! Days on which a rule permits nothing: `dec 25`, `3rd mon jan`, `last mon may`, `easter -2`.

use std::str::FromStr;

use jiff::Span;
use jiff::civil::{Date, Weekday};

/// A day of each year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holiday {
    /// A date.
    Fixed { month: i8, day: i8 },
    /// A weekday of a month, from 1; -1: the last.
    Nth {
        nth: i8,
        weekday: Weekday,
        month: i8,
    },
    /// Days from Easter Sunday.
    Easter { days: i16 },
}

impl Holiday {
    /// When it is in a year; a date that the year does not have is none.
    fn on(self, year: i16) -> Option<Date> {
        match self {
            Self::Fixed { month, day } => Date::new(year, month, day).ok(),
            Self::Nth {
                nth,
                weekday,
                month,
            } => {
                let first = Date::new(year, month, 1).ok()?;
                first.nth_weekday_of_month(nth, weekday).ok()
            }
            Self::Easter { days } => easter(year)?.checked_add(Span::new().days(days)).ok(),
        }
    }

    /// Whether `date` is one. `observed`: one on a Sunday is kept on the Monday too, one on a Saturday on the Friday.
    pub(super) fn is(self, date: Date, observed: bool) -> bool {
        // New Year's Day can be observed in the year before, and December 31 in the year after.
        let years = date.year().saturating_sub(1)..=date.year().saturating_add(1);
        years.filter_map(|year| self.on(year)).any(|day| {
            let kept = match day.weekday() {
                Weekday::Sunday => day.tomorrow().ok(),
                Weekday::Saturday => day.yesterday().ok(),
                _ => None,
            };
            day == date || observed && kept == Some(date)
        })
    }
}

impl FromStr for Holiday {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let read = match words.as_slice() {
            ["easter", days] => {
                let days = days.parse().ok();
                days.filter(|days: &i16| days.abs() < 180)
                    .map(|days| Self::Easter { days })
            }
            [month, day] => {
                let both = month_of(month).zip(day.parse().ok());
                // Of a leap year, so that February 29 is one.
                both.filter(|(month, day)| Date::new(2024, *month, *day).is_ok())
                    .map(|(month, day)| Self::Fixed { month, day })
            }
            [nth, weekday, month] => {
                let all = nth_of(nth).zip(weekday_of(weekday)).zip(month_of(month));
                all.map(|((nth, weekday), month)| Self::Nth {
                    nth,
                    weekday,
                    month,
                })
            }
            _ => None,
        };
        read.ok_or_else(|| {
            format!(
                "{text:?} is no holiday: write `dec 25`, `3rd mon jan`, `last mon may` or `easter -2`"
            )
        })
    }
}

fn month_of(word: &str) -> Option<i8> {
    const NAMES: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let n = NAMES.iter().position(|name| *name == word)?;
    i8::try_from(n + 1).ok()
}

fn weekday_of(word: &str) -> Option<Weekday> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let n = NAMES.iter().position(|name| *name == word)?;
    Weekday::from_monday_zero_offset(i8::try_from(n).ok()?).ok()
}

fn nth_of(word: &str) -> Option<i8> {
    match word {
        "1st" => Some(1),
        "2nd" => Some(2),
        "3rd" => Some(3),
        "4th" => Some(4),
        "last" => Some(-1),
        _ => None,
    }
}

/// Easter Sunday of the Gregorian calendar, by the anonymous algorithm of 1876.
#[expect(
    clippy::many_single_char_names,
    reason = "these are the names of the algorithm"
)]
fn easter(year: i16) -> Option<Date> {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let sum = h + l - 7 * m + 114;
    let (month, day) = (sum / 31, sum % 31 + 1);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, observed: bool, date: &str, expected: bool) {
        let holiday: Holiday = text.parse().unwrap();
        let is = holiday.is(date.parse().unwrap(), observed);
        assert_eq!(is, expected, "{text} {date}");
    }

    #[test]
    fn they_are_when_they_are() {
        for (text, date) in [
            ("dec 25", "2026-12-25"),
            ("3rd mon jan", "2027-01-18"),
            ("last mon may", "2027-05-31"),
            ("4th thu nov", "2026-11-26"),
            ("easter -2", "2026-04-03"),
            ("easter +1", "2027-03-29"),
            ("easter +39", "2026-05-14"),
            ("easter -47", "2027-02-09"),
            ("feb 29", "2028-02-29"),
        ] {
            check(text, false, date, true);
            let date: Date = date.parse().unwrap();
            check(text, false, &date.tomorrow().unwrap().to_string(), false);
            check(text, false, &date.yesterday().unwrap().to_string(), false);
        }
        for (year, date) in [
            (1961, "04-02"),
            (2000, "04-23"),
            (2008, "03-23"),
            (2038, "04-25"),
        ] {
            assert_eq!(easter(year).unwrap().to_string(), format!("{year}-{date}"));
        }
    }

    #[test]
    fn one_on_a_weekend_is_kept_beside_it_too() {
        // A Saturday, a Sunday, New Year's Day on a Saturday, and December 31 on a Sunday.
        for (text, day, beside) in [
            ("jul 4", "2026-07-04", "2026-07-03"),
            ("jul 4", "2027-07-04", "2027-07-05"),
            ("jan 1", "2028-01-01", "2027-12-31"),
            ("dec 31", "2028-12-31", "2029-01-01"),
        ] {
            check(text, true, day, true);
            check(text, true, beside, true);
            check(text, false, beside, false);
        }
        check("dec 25", true, "2026-12-24", false);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "christmas",
            "dec 32",
            "25 dec",
            "5th mon jan",
            "easter",
            "easter 400",
            "last may mon",
        ] {
            assert!(text.parse::<Holiday>().is_err(), "{text}");
        }
    }
}
