//! Whether quiet hours, business hours and the law permit sending at a time, and if not, from when on they do.

use std::borrow::Cow;
use std::fmt;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::lawful::{self, LawfulLimit};
use super::zones::{self, Chosen};
use super::{BusinessHours, Reason, ReasonKind, Rule, Rules, quiet};
use crate::message::facts::{Priority, QuietHours};
use crate::message::{Claim, Facts, Moment};

/// How often the rules are evaluated for one message: each can move the time a few times a day, for
/// [`AHEAD_MAX_S`].
const ROUNDS_MAX: usize = 64;

/// How far ahead a time is searched: hours repeat weekly, and a holiday closes one day more.
const AHEAD_MAX_S: u64 = 8 * 24 * 3600;

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hour {
    /// Sending is permitted.
    Open,
    /// Not before `until`.
    Closed { until: Moment, reason: Reason },
    /// No time satisfies all rules.
    Never { reason: Reason },
}

/// Business hours, and the time zone of their clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours<'a> {
    hours: Cow<'a, BusinessHours>,
    zone: Cow<'a, TimeZone>,
}

impl Hours<'_> {
    fn next_open(&self, from: Moment) -> Option<Moment> {
        self.hours.next_open(&self.zone, from)
    }
}

impl fmt::Display for Hours<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hours, zones::name_of(&self.zone))
    }
}

/// The hours that a campaign has in the database cannot be read, so none of its messages is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadableHours;

const UNREADABLE: &str =
    "the hours of its campaign cannot be read: correct them in punctual.campaigns";

/// The earliest time at or after `at` that the business hours of a message allow; `None`: there is none.
pub fn opens(claim: &Claim, rules: &Rules, at: Moment) -> Option<Moment> {
    match business_hours(claim, rules) {
        Ok(Some(hours)) => hours.next_open(at),
        Ok(None) => Some(at),
        Err(UnreadableHours) => None,
    }
}

/// The business hours that hold for a message: its campaign's, as the database has them, else as the settings do; else
/// its type's, else the installation's.
pub fn business_hours<'a>(
    claim: &Claim,
    rules: &'a Rules,
) -> Result<Option<Hours<'a>>, UnreadableHours> {
    if !Rule::BusinessHours.holds(claim.lane.channel()) {
        return Ok(None);
    }
    if let Some(own) = &claim.facts.campaign_hours {
        let hours = own.hours.parse().map_err(|_| UnreadableHours)?;
        let zone = rules.zones.get(&own.timezone).ok_or(UnreadableHours)?;
        return Ok(Some(Hours {
            hours: Cow::Owned(hours),
            zone: Cow::Owned(zone),
        }));
    }
    let campaign = claim.campaign.as_deref().and_then(|id| id.parse().ok());
    let of_campaign = campaign.and_then(|id: Uuid| rules.hours_by_campaign.of(&id));
    let message_type = claim.facts.message_type.as_deref();
    let hours = of_campaign
        .or_else(|| message_type.and_then(|of| rules.hours_by_type.of(of.trim())))
        .unwrap_or(rules.business_hours.as_ref());
    Ok(hours.map(|hours| Hours {
        hours: Cow::Borrowed(hours),
        zone: Cow::Borrowed(&rules.timezone),
    }))
}

/// Those of the recipient, and those that they have for the type of the message, each with its clock.
fn quiet_hours(facts: &Facts, rules: &Rules) -> Vec<(QuietHours, Chosen)> {
    let of_all = facts.preferences.as_ref().and_then(|p| p.quiet_hours);
    let of_type = facts.type_hours.as_ref();
    let of_all = of_all.map(|hours| (hours, zones::zone_of(facts, rules)));
    let of_type = of_type.map(|own| (own.hours, zones::zone_of_type(own, facts, rules)));
    let both = of_all.into_iter().chain(of_type);
    both.filter(|(hours, _)| hours.start != hours.end).collect()
}

/// One rule that closes some hours.
enum Limit<'a> {
    Quiet(QuietHours, Chosen),
    Business(Hours<'a>),
    Lawful(LawfulLimit<'a>),
}

impl Limit<'_> {
    /// The earliest time at or after `from` that it permits.
    fn next_open(&self, from: Moment) -> Option<Moment> {
        match self {
            Self::Quiet(hours, chosen) => quiet::end(hours, &chosen.zone, from),
            Self::Business(hours) => hours.next_open(from),
            Self::Lawful(limit) => limit.next_open(from),
        }
    }

    /// Why it permits nothing at `at`.
    fn reason(&self, at: Moment) -> Reason {
        match self {
            Self::Quiet(hours, chosen) => {
                let description = quiet::describe(hours, &chosen.zone);
                let warnings: Vec<_> = chosen.warnings.iter().map(ToString::to_string).collect();
                let text = if warnings.is_empty() {
                    description
                } else {
                    format!("{description} ({})", warnings.join(", "))
                };
                Reason::new(ReasonKind::QuietHours, text)
            }
            Self::Business(hours) => {
                Reason::new(ReasonKind::BusinessHours, format!("outside of {hours}"))
            }
            Self::Lawful(limit) => limit.reason(at),
        }
    }
}

/// All that limit the hours of a message: at a later part only the law.
fn limits<'a>(claim: &Claim, rules: &'a Rules) -> Result<Vec<Limit<'a>>, UnreadableHours> {
    let facts = &claim.facts;
    let passes = facts.priority == Priority::Urgent && rules.urgent_passes_quiet_hours;
    let mut limits = Vec::new();
    if claim.part.before == 0 {
        if !passes && Rule::QuietHours.holds(claim.lane.channel()) {
            let quiet = quiet_hours(facts, rules).into_iter();
            limits.extend(quiet.map(|(hours, chosen)| Limit::Quiet(hours, chosen)));
        }
        limits.extend(business_hours(claim, rules)?.map(Limit::Business));
    }
    limits.extend(lawful::limits(claim, rules).into_iter().map(Limit::Lawful));
    Ok(limits)
}

/// The earliest time at or after `at` that satisfies all rules.
pub(super) fn at(claim: &Claim, rules: &Rules, at: Moment) -> Hour {
    let Ok(limits) = limits(claim, rules) else {
        let reason = Reason::new(ReasonKind::BusinessHours, UNREADABLE);
        return Hour::Never { reason };
    };
    let mut reasons: Vec<Reason> = Vec::new();
    let mut until = at;
    let none = |reasons: &[Reason]| Hour::Never {
        reason: joined("no hour to send at within 8 days: ", reasons),
    };
    for _ in 0..ROUNDS_MAX {
        let before = until;
        for limit in &limits {
            match limit.next_open(until) {
                Some(open) if open > until => {
                    let why = limit.reason(until);
                    if !reasons.contains(&why) {
                        reasons.push(why);
                    }
                    until = open;
                }
                Some(_) => {}
                None => return none(&[limit.reason(until)]),
            }
        }
        if until == before {
            break;
        }
    }
    if until == at {
        return Hour::Open;
    }
    if until.since(at).as_secs() > AHEAD_MAX_S {
        return none(&reasons);
    }
    let reason = joined("", &reasons);
    Hour::Closed { until, reason }
}

/// Several reasons as one, of the kind of the first.
fn joined(intro: &str, reasons: &[Reason]) -> Reason {
    let texts: Vec<_> = reasons.iter().map(|reason| reason.text.as_str()).collect();
    let kind = reasons
        .first()
        .map_or(ReasonKind::BusinessHours, |first| first.kind);
    Reason::new(kind, format!("{intro}{}", texts.join(", ")))
}
