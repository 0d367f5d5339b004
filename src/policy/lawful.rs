//! The hours in which the law permits a text, by where its number is from and what kind of text it is.
//!
//! A number shows a place and the time zones of it; what the recipient's own time zone is, the app may know. All
//! clocks must permit the text, and all rules of the place: the strictest holds.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::zones::{known_zone, name_of};
use super::{Reason, ReasonKind, Rule, Rules, Zones};
use crate::message::{Claim, Moment};
pub use rule_set::RuleSetError;
use rule_set::{LawfulRule, RuleSet};

mod holidays;
mod places;
mod rule_set;
#[cfg(test)]
mod tests;

/// The message type of what answers somebody who asks for help: they have just written.
const HELP_REPLY: &str = "help_reply";

/// What a text is for, as far as laws care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is to sell something, or that is not known.
    Marketing,
    /// It is about what the recipient has ordered or agreed.
    Transactional,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::Transactional => "transactional",
        }
    }
}

/// The rules that an installation has chosen.
#[derive(Clone, Debug)]
pub struct LawfulHours {
    set: Arc<RuleSet>,
    /// The owner's own file, as it is; `None`: the rules of this binary.
    own: Option<Arc<str>>,
    transactional: BTreeSet<String>,
}

/// The same for other processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedLawful {
    /// Of the rules of the binary, when they were checked.
    pub checked: String,
    /// Other rules than those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// The message types that are transactional.
    pub transactional: Vec<String>,
}

/// What a text was permitted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lawful {
    /// A sentence for the ledger, without the number.
    pub by: String,
    /// Until when.
    pub closes: Moment,
}

impl LawfulHours {
    /// The rules of this binary.
    pub fn builtin() -> Self {
        Self {
            set: Arc::new(RuleSet::builtin().clone()),
            own: None,
            transactional: BTreeSet::new(),
        }
    }

    /// The rules of the owner's file.
    pub fn own(text: &str) -> Result<Self, RuleSetError> {
        Ok(Self {
            set: Arc::new(text.parse()?),
            own: Some(text.into()),
            transactional: BTreeSet::new(),
        })
    }

    /// The same, where messages of these types are transactional. All others are marketing.
    #[must_use]
    pub fn with_transactional(self, types: impl IntoIterator<Item = String>) -> Self {
        Self {
            transactional: types.into_iter().collect(),
            ..self
        }
    }

    /// For other processes.
    pub fn published(&self) -> PublishedLawful {
        PublishedLawful {
            checked: self.set.checked.to_string(),
            own: self.own.as_ref().map(ToString::to_string),
            transactional: self.transactional.iter().cloned().collect(),
        }
    }

    /// From what another process has published. `None`: it has rules that this program has not.
    pub fn read(published: &PublishedLawful) -> Option<Self> {
        let set = match &published.own {
            Some(text) => Self::own(text).ok()?,
            None => Self::builtin(),
        };
        let is_same = set.set.checked.to_string() == published.checked;
        let types = published.transactional.iter().cloned();
        is_same.then(|| set.with_transactional(types))
    }

    /// What kind of text it is, by its message type.
    fn kind(&self, message_type: Option<&str>) -> Kind {
        let is_known = message_type
            .is_some_and(|of| of.trim() == HELP_REPLY || self.transactional.contains(of.trim()));
        if is_known {
            Kind::Transactional
        } else {
            Kind::Marketing
        }
    }
}

/// One rule by one clock, for one text.
pub(super) struct LawfulLimit<'a> {
    rule: &'a LawfulRule,
    kind: Kind,
    zone: TimeZone,
}

impl LawfulLimit<'_> {
    pub(super) fn next_open(&self, from: Moment) -> Option<Moment> {
        self.rule.next_open(&self.zone, from)
    }

    /// The same if there were no holidays.
    pub(super) fn next_weekly(&self, from: Moment) -> Option<Moment> {
        self.rule.hours.next_open(&self.zone, from)
    }

    /// Whether there are days on which it permits nothing.
    pub(super) const fn has_holidays(&self) -> bool {
        self.rule.has_holidays()
    }

    /// Why nothing is sent at `at`.
    pub(super) fn reason(&self, at: Moment) -> Reason {
        let holiday = if self.rule.has_holiday(&self.zone, at) {
            ", and a holiday"
        } else {
            ""
        };
        let text = format!("outside of lawful hours {self}{holiday}");
        Reason::new(ReasonKind::LawfulHours, text)
    }
}

/// `mon-sun 08:00-20:00 America/New_York (us-fl, marketing: Fla. Stat. 501.616(6)(a))`
impl fmt::Display for LawfulLimit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rule, zone) = (self.rule, name_of(&self.zone));
        let (id, kind, source) = (&rule.id, self.kind.as_str(), &rule.source);
        write!(f, "{} {zone} ({id}, {kind}: {source})", rule.hours)
    }
}

/// The place of the number of a text, and its kind; `None`: no rule holds.
fn subject<'a>(claim: &Claim, rules: &'a Rules) -> Option<(&'a LawfulHours, &'static str, Kind)> {
    let lawful = rules.lawful.as_ref()?;
    if !Rule::LawfulHours.holds(claim.lane.channel()) {
        return None;
    }
    let place = places::of(&claim.to_number).map_or(UNKNOWN_PLACE, |place| place.name);
    let kind = lawful.kind(claim.facts.message_type.as_deref());
    Some((lawful, place, kind))
}

const UNKNOWN_PLACE: &str = "an unknown place";

/// What the law sets for a text.
pub(super) fn limits<'a>(claim: &Claim, rules: &'a Rules) -> Vec<LawfulLimit<'a>> {
    let Some((lawful, place, kind)) = subject(claim, rules) else {
        return Vec::new();
    };
    let named = |name: &str| {
        let zone = rules.zones.get(name);
        zone.or_else(|| Zones::bundled().get(name))
    };
    let of_number = places::of(&claim.to_number).map_or(&[][..], |place| &place.zones);
    let mut zones: Vec<TimeZone> = of_number.iter().filter_map(|name| named(name)).collect();
    zones.extend(known_zone(&claim.facts, rules).filter(|own| !zones.contains(own)));
    let mut limits = Vec::new();
    for rule in lawful.set.of(place, kind) {
        let own = rule.zone.as_deref().and_then(named);
        let own = own.filter(|own| !zones.contains(own));
        for zone in zones.iter().cloned().chain(own) {
            limits.push(LawfulLimit { rule, kind, zone });
        }
    }
    limits
}

/// What a text was permitted by at `at`; `None`: the installation has no such rules, or they are not about it.
pub(super) fn permitted(claim: &Claim, rules: &Rules, at: Moment) -> Option<Lawful> {
    let (lawful, place, kind) = subject(claim, rules)?;
    let limits = limits(claim, rules);
    let closes = limits.iter().map(|of| of.rule.closes(&of.zone, at));
    let closes = closes.min().unwrap_or(Moment::MAX);
    let by = sentence(lawful, place, kind, &limits);
    Some(Lawful { by, closes })
}

/// By which rules a text is judged; `None`: the installation has none, or they are not about it.
pub(super) fn judged_by(claim: &Claim, rules: &Rules) -> Option<String> {
    let (lawful, place, kind) = subject(claim, rules)?;
    Some(sentence(lawful, place, kind, &limits(claim, rules)))
}

/// `marketing to US-FL: us-tcpa, us-fl by America/New_York; rules of 2026-11-30`
fn sentence(lawful: &LawfulHours, place: &str, kind: Kind, limits: &[LawfulLimit<'_>]) -> String {
    let mut ids: Vec<&str> = limits.iter().map(|of| of.rule.id.as_str()).collect();
    ids.dedup();
    let mut zones: Vec<&str> = Vec::new();
    for limit in limits {
        let name = name_of(&limit.zone);
        if !zones.contains(&name) {
            zones.push(name);
        }
    }
    let by = if ids.is_empty() {
        "no rule".to_owned()
    } else {
        format!("{} by {}", ids.join(", "), zones.join(", "))
    };
    let (kind, checked) = (kind.as_str(), lawful.set.checked);
    format!("{kind} to {place}: {by}; rules of {checked}")
}
