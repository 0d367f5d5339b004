//! The rules themselves, as a file in TOML has them: `data/lawful-hours.toml`, or one of the owner's.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::Kind;
use super::holidays::Holiday;
use super::places::{holds, is_known};
use crate::message::Moment;
use crate::policy::days::local_day;
use crate::policy::{BusinessHours, Zones};

/// The rules in this binary.
const BUILTIN: &str = include_str!("../../../data/lawful-hours.toml");

/// The most characters of an id.
const ID_MAX: usize = 40;

/// Days that are followed to find an open one: all that a year has.
const DAYS_MAX: usize = 366;

/// The rules of one file.
#[derive(Clone, Debug)]
pub(super) struct RuleSet {
    /// When somebody has last checked the file.
    pub(super) checked: Date,
    pub(super) rules: Vec<LawfulRule>,
}

/// When texts of some kinds may be sent to numbers of some places.
#[derive(Clone, Debug)]
pub(super) struct LawfulRule {
    pub(super) id: String,
    /// The statute.
    pub(super) source: String,
    pub(super) hours: BusinessHours,
    /// The clock that the rule names, beside those of the recipient.
    pub(super) zone: Option<String>,
    places: Vec<String>,
    kinds: Vec<Kind>,
    holidays: Vec<Holiday>,
    observed: bool,
}

/// Why a file is no rule set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleSetError {
    /// It is not TOML of this form.
    #[error("line {line}: {why}")]
    Form {
        /// Where.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// One of the rules is not valid.
    #[error("rule {id:?}: {why}")]
    Rule {
        /// Which one.
        id: String,
        /// What is wrong.
        why: String,
    },
    /// There is no rule in it.
    #[error("it has no [[rule]]")]
    Empty,
}

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSet {
    checked: Spanned<String>,
    #[serde(default)]
    rule: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    id: String,
    places: Vec<String>,
    kinds: Vec<Kind>,
    hours: String,
    zone: Option<String>,
    #[serde(default)]
    holidays: Vec<String>,
    #[serde(default)]
    observed: bool,
    source: String,
    url: String,
    checked: String,
    seen: Seen,
    note: Option<String>,
}

/// What was read of a law. For people.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Seen {
    Statute,
    Guide,
    Unread,
}

impl RuleSet {
    /// The rules in this binary.
    ///
    /// # Panics
    /// If they are not valid, which a test would show.
    pub(super) fn builtin() -> &'static Self {
        static SET: LazyLock<RuleSet> =
            LazyLock::new(|| BUILTIN.parse().expect("a test reads the rules"));
        &SET
    }

    /// Those that hold for a text of this kind to a number from there.
    pub(super) fn of<'a>(
        &'a self,
        place: &'a str,
        kind: Kind,
    ) -> impl Iterator<Item = &'a LawfulRule> {
        let is_one = move |rule: &&LawfulRule| {
            rule.kinds.contains(&kind) && rule.places.iter().any(|scope| holds(place, scope))
        };
        self.rules.iter().filter(is_one)
    }
}

impl FromStr for RuleSet {
    type Err = RuleSetError;

    fn from_str(text: &str) -> Result<Self, RuleSetError> {
        let written: WrittenSet = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            RuleSetError::Form {
                line: before.matches('\n').count() + 1,
                why: error.message().to_owned(),
            }
        })?;
        let checked = date(written.checked.get_ref()).map_err(|why| {
            let before = &text[..written.checked.span().start];
            let line = before.matches('\n').count() + 1;
            RuleSetError::Form { line, why }
        })?;
        if written.rule.is_empty() {
            return Err(RuleSetError::Empty);
        }
        let mut ids = BTreeSet::new();
        let mut rules = Vec::with_capacity(written.rule.len());
        for rule in written.rule {
            let id = rule.id.clone();
            let read = LawfulRule::read(rule).and_then(|read| {
                let is_new = ids.insert(id.clone());
                is_new
                    .then_some(read)
                    .ok_or_else(|| "its id is used twice".to_owned())
            });
            rules.push(read.map_err(|why| RuleSetError::Rule { id, why })?);
        }
        Ok(Self { checked, rules })
    }
}

impl LawfulRule {
    fn read(written: WrittenRule) -> Result<Self, String> {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let id = written.id;
        if id.is_empty() || id.len() > ID_MAX || !id.chars().all(is_word) {
            return Err(format!(
                "its id must have small letters, digits and -, at most {ID_MAX}"
            ));
        }
        if written.kinds.is_empty() || written.places.is_empty() {
            return Err("it needs places and kinds".into());
        }
        if let Some(place) = written.places.iter().find(|place| !is_place(place)) {
            return Err(format!(
                "{place:?} is no place: write a country as ISO 3166 has it (FR; GB for the United Kingdom) or a state of \
                 one (US-FL)"
            ));
        }
        if [&written.source, &written.url]
            .iter()
            .any(|text| text.trim().is_empty())
        {
            return Err("it needs a source and its url".into());
        }
        date(&written.checked)?;
        // For people alone.
        let (Seen::Statute | Seen::Guide | Seen::Unread, _) = (written.seen, written.note);
        let hours: BusinessHours = written
            .hours
            .parse()
            .map_err(|why| format!("hours: {why}"))?;
        if let Some(zone) = written
            .zone
            .as_ref()
            .filter(|zone| Zones::bundled().get(zone).is_none())
        {
            return Err(format!("{zone:?} is not an IANA time zone"));
        }
        let holidays: Result<_, _> = written.holidays.iter().map(|day| day.parse()).collect();
        Ok(Self {
            id,
            source: written.source,
            hours,
            zone: written.zone,
            places: written.places,
            kinds: written.kinds,
            holidays: holidays?,
            observed: written.observed,
        })
    }

    /// Whether there are days on which it permits nothing.
    pub(super) const fn has_holidays(&self) -> bool {
        !self.holidays.is_empty()
    }

    fn is_holiday(&self, date: Date) -> bool {
        self.holidays.iter().any(|day| day.is(date, self.observed))
    }

    /// Whether the day at `at` is one on which it permits nothing, in `zone`.
    pub(super) fn has_holiday(&self, zone: &TimeZone, at: Moment) -> bool {
        !self.holidays.is_empty()
            && local_day(zone, at).is_some_and(|(day, ..)| self.is_holiday(day))
    }

    /// The earliest time at or after `from` that it permits, in `zone`.
    pub(super) fn next_open(&self, zone: &TimeZone, from: Moment) -> Option<Moment> {
        let mut at = from;
        for _ in 0..DAYS_MAX {
            at = self.hours.next_open(zone, at)?;
            if !self.has_holiday(zone, at) {
                return Some(at);
            }
            let (_, ends, _) = local_day(zone, at)?;
            at = ends;
        }
        None
    }

    /// Until when it goes on to permit what it permits at `at`.
    pub(super) fn closes(&self, zone: &TimeZone, at: Moment) -> Moment {
        let closes = self.hours.next_closed(zone, at).unwrap_or(Moment::MAX);
        if self.holidays.is_empty() {
            return closes;
        }
        let mut from = at;
        for _ in 0..DAYS_MAX {
            let Some((_, ends, next)) = local_day(zone, from).filter(|(_, ends, _)| *ends < closes)
            else {
                break;
            };
            if self.is_holiday(next) {
                return ends;
            }
            from = ends;
        }
        closes
    }
}

/// `FR` or `US-FL`, from which numbers can be.
fn is_place(text: &str) -> bool {
    let (country, part) = text.split_once('-').unwrap_or((text, "0"));
    let is_upper = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase());
    let is_part = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    country.len() == 2
        && is_upper(country)
        && (1..=3).contains(&part.len())
        && is_part(part)
        && is_known(text)
}

fn date(text: &str) -> Result<Date, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no date like 2026-11-30"))
}

#[cfg(test)]
mod tests;
