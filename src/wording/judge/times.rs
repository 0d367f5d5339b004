//! Numbers and times: whatever a text says of them follows from the brief.

use jiff::ZonedDateTime;

use super::tokens::{self, Token};
use super::{Brief, Fault};

/// Refuses numbers that are not in the brief, and times that are wrong; and a text without the time of the event.
pub(super) fn check(rest: &str, brief: &Brief) -> Result<(), Fault> {
    let mut reader = Reader {
        tokens: tokens::of(rest),
        title: tokens::of(&super::facts(brief)),
        brief,
        at: 0,
        has_time: false,
    };
    while reader.at < reader.tokens.len() {
        reader.step()?;
    }
    if reader.has_time {
        Ok(())
    } else {
        Err(Fault::NoTime)
    }
}

struct Reader<'a> {
    tokens: Vec<Token>,
    /// Of the title and the place.
    title: Vec<Token>,
    brief: &'a Brief,
    at: usize,
    has_time: bool,
}

/// A time of day as it is written.
struct Clock {
    hour: i64,
    minute: i64,
    /// Whether it has `am` or `pm`.
    half: Option<bool>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        self.peek(ahead).and_then(Token::word)
    }

    fn number(&self, ahead: usize) -> Option<i64> {
        self.peek(ahead).and_then(Token::number)
    }

    fn is_sign(&self, ahead: usize, sign: char) -> bool {
        self.peek(ahead) == Some(&Token::Sign(sign))
    }

    /// Whether the next pieces, so many, are in the title one after the other, as often as in the text.
    fn is_of_title(&self, length: usize) -> bool {
        let Some(own) = self.tokens.get(self.at..self.at + length) else {
            return false;
        };
        let count = |of: &[Token]| of.windows(length).filter(|part| *part == own).count();
        let in_title = count(&self.title);
        in_title > 0 && count(&self.tokens) <= in_title
    }

    /// Judges what comes next, and goes on behind it.
    fn step(&mut self) -> Result<(), Fault> {
        if let Some((clock, length)) = self.clock() {
            return self.judge_clock(&clock, length);
        }
        if let Some((minutes, length)) = self.duration() {
            return self.judge_duration(minutes, length);
        }
        match self.peek(0) {
            Some(token @ Token::Number(digits)) => {
                let is_known = self.title.contains(token) || self.is_date(digits) || self.is_hour();
                if !is_known {
                    return Err(Fault::Number);
                }
            }
            Some(token @ Token::OtherNumber(_)) if !self.title.contains(token) => {
                return Err(Fault::Number);
            }
            Some(Token::Word(word)) => {
                if !self.is_right_day(word) && !self.title.contains(&Token::Word(word.clone())) {
                    return Err(Fault::WrongTime);
                }
                self.has_time |= word == "now" && self.brief.minutes() <= 1;
            }
            _ => {}
        }
        self.at += 1;
        Ok(())
    }

    /// `9:45`, `9:45 am`, `9 am`, `9.45 a.m.`; and how many pieces it has.
    fn clock(&self) -> Option<(Clock, usize)> {
        let hour = self.number(0)?;
        let has_minutes = self.is_sign(1, ':') || self.is_sign(1, '.') && self.half(3).is_some();
        let (minute, length) = match self.peek(2) {
            Some(Token::Number(digits)) if has_minutes && digits.len() == 2 => {
                (digits.parse().ok()?, 3)
            }
            _ => (0, 1),
        };
        let half = self.half(length);
        if length == 1 && half.is_none() {
            return None;
        }
        let (half, more) = half.map_or((None, 0), |(half, more)| (Some(half), more));
        let clock = Clock { hour, minute, half };
        Some((clock, length + more))
    }

    /// `am`, `p.m.`: whether it is the later one, and how many pieces it has.
    fn half(&self, ahead: usize) -> Option<(bool, usize)> {
        match self.word(ahead)? {
            "am" => Some((false, 1)),
            "pm" => Some((true, 1)),
            half @ ("a" | "p")
                if self.is_sign(ahead + 1, '.') && self.word(ahead + 2) == Some("m") =>
            {
                Some((half == "p", 3))
            }
            _ => None,
        }
    }

    fn judge_clock(&mut self, clock: &Clock, length: usize) -> Result<(), Fault> {
        let starts = clock.is_time_of(&self.brief.starts);
        let ends = self.brief.ends.as_ref();
        let is_right = starts || ends.is_some_and(|ends| clock.is_time_of(ends));
        if !is_right && !self.is_of_title(length) {
            return Err(Fault::WrongTime);
        }
        self.has_time |= starts;
        self.at += length;
        Ok(())
    }

    /// `15 mins`, `1 hr 30 min`, `an hour`: the minutes, and how many pieces it has.
    fn duration(&self) -> Option<(i64, usize)> {
        let (mut minutes, mut length) = self.one_duration(0)?;
        loop {
            let gap = usize::from(self.word(length) == Some("and") || self.is_sign(length, ','));
            let Some((more, pieces)) = self.one_duration(length + gap) else {
                return Some((minutes, length));
            };
            minutes = minutes.saturating_add(more);
            length += gap + pieces;
        }
    }

    fn one_duration(&self, ahead: usize) -> Option<(i64, usize)> {
        let (amount, mut length, halves) = match self.peek(ahead)? {
            Token::Number(_) => (self.number(ahead)?, 1, false),
            Token::Word(word) if word == "half" => (
                1,
                if self.word(ahead + 1)?.starts_with('a') {
                    2
                } else {
                    1
                },
                true,
            ),
            Token::Word(word) => (amount(word)?, 1, false),
            _ => return None,
        };
        length += usize::from(self.is_sign(ahead + length, '-'));
        let unit = unit(self.word(ahead + length)?)?;
        let minutes = amount.saturating_mul(unit);
        Some((if halves { minutes / 2 } else { minutes }, length + 1))
    }

    fn judge_duration(&mut self, minutes: i64, length: usize) -> Result<(), Fault> {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let is_claim = before
            .and_then(Token::word)
            .is_some_and(|word| ["in", "within"].contains(&word));
        let is_right = minutes == self.brief.minutes();
        if !is_right && (is_claim || !self.is_of_title(length)) {
            return Err(Fault::WrongTime);
        }
        self.has_time |= is_right;
        self.at += length;
        Ok(())
    }

    /// The day or the year of the start.
    fn is_date(&self, digits: &str) -> bool {
        let starts = &self.brief.starts;
        [starts.day().to_string(), starts.year().to_string()]
            .iter()
            .any(|own| own == digits)
            && !self.brief.is_today()
    }

    /// `at 10`: the hour of the start.
    fn is_hour(&mut self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let is_hour = before.and_then(Token::word) == Some("at")
            && self.number(0).is_some_and(|hour| {
                let clock = Clock {
                    hour,
                    minute: 0,
                    half: None,
                };
                clock.is_time_of(&self.brief.starts)
            });
        self.has_time |= is_hour;
        is_hour
    }

    /// Whether a word that says a day says that of the start. Other words do.
    fn is_right_day(&self, word: &str) -> bool {
        let brief = self.brief;
        match word {
            "today" | "tonight" => brief.is_today(),
            "tomorrow" => {
                let tomorrow = brief.sent.date().tomorrow();
                tomorrow.is_ok_and(|day| day == brief.starts.date())
            }
            "yesterday" => false,
            "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday" => {
                brief.starts.strftime("%A").to_string().to_lowercase() == word
            }
            "january" | "february" | "april" | "june" | "july" | "august" | "september"
            | "october" | "november" | "december" => {
                brief.starts.strftime("%B").to_string().to_lowercase() == word
            }
            _ => true,
        }
    }
}

impl Clock {
    fn is_time_of(&self, at: &ZonedDateTime) -> bool {
        let (hour, minute) = (i64::from(at.hour()), i64::from(at.minute()));
        let twelve = match hour % 12 {
            0 => 12,
            hour => hour,
        };
        let is_hour = match self.half {
            None => self.hour == hour || self.hour == twelve,
            Some(is_pm) => self.hour == twelve && is_pm == (hour >= 12),
        };
        is_hour && self.minute == minute
    }
}

/// A number in words.
fn amount(word: &str) -> Option<i64> {
    const WORDS: [&str; 20] = [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    const TENS: [(&str, i64); 5] = [
        ("thirty", 30),
        ("forty", 40),
        ("fifty", 50),
        ("sixty", 60),
        ("ninety", 90),
    ];
    if ["a", "an"].contains(&word) {
        return Some(1);
    }
    let small = WORDS.iter().position(|own| *own == word);
    let small = small.and_then(|n| i64::try_from(n + 1).ok());
    small.or_else(|| TENS.iter().find(|(own, _)| *own == word).map(|(_, n)| *n))
}

/// The minutes of a unit of time.
fn unit(word: &str) -> Option<i64> {
    Some(match word {
        "m" | "min" | "mins" | "minute" | "minutes" => 1,
        "h" | "hr" | "hrs" | "hour" | "hours" => 60,
        "d" | "day" | "days" => 1440,
        "week" | "weeks" => 7 * 1440,
        "month" | "months" | "year" | "years" | "second" | "seconds" | "sec" | "secs" => i64::MAX,
        _ => return None,
    })
}
