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

/// How often the rules are evaluated for one message: each can move the time a few times a day, for [`AHEAD_S`]. What
/// they have not settled by then is deferred to where they have come, and judged again there.
const ROUNDS_MAX: usize = 64;

/// How far ahead a time is searched in seconds: hours repeat weekly, and a holiday closes one day more.
const AHEAD_S: u64 = 8 * 24 * 3600;

/// The same where holidays close all of those days: the dates repeat yearly.
const AHEAD_OF_HOLIDAYS_S: u64 = 366 * 24 * 3600;

/// The most reasons that one sentence has.
const REASONS_MAX: usize = 5;

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

    /// The same if there were no holidays.
    fn next_weekly(&self, from: Moment) -> Option<Moment> {
        match self {
            Self::Lawful(limit) => limit.next_weekly(from),
            other => other.next_open(from),
        }
    }

    const fn has_holidays(&self) -> bool {
        matches!(self, Self::Lawful(limit) if limit.has_holidays())
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
    let weekly = search(&limits, at, AHEAD_S, Limit::next_open);
    let has_holidays = limits.iter().any(Limit::has_holidays);
    let found = match weekly {
        // Each year has the hours that it would have without holidays.
        Err(_) if has_holidays && search(&limits, at, AHEAD_S, Limit::next_weekly).is_ok() => {
            let yearly = search(&limits, at, AHEAD_OF_HOLIDAYS_S, Limit::next_open);
            yearly.map_err(|reasons| joined("no hour to send at within a year: ", &reasons))
        }
        weekly => weekly.map_err(|reasons| joined("no hour to send at within 8 days: ", &reasons)),
    };
    match found {
        Ok((until, _)) if until == at => Hour::Open,
        Ok((until, reasons)) => Hour::Closed {
            until,
            reason: judged(joined("", &reasons), claim, rules),
        },
        Err(reason) => Hour::Never {
            reason: judged(reason, claim, rules),
        },
    }
}

/// With the lawful hours that it was judged by.
fn judged(reason: Reason, claim: &Claim, rules: &Rules) -> Reason {
    let lawful = lawful::judged_by(claim, rules);
    Reason { lawful, ..reason }
}

/// The earliest time at or after `at` that each limit permits by `next`, and what forbade those before; an error: there
/// is none within so many seconds.
fn search<'a>(
    limits: &[Limit<'a>],
    at: Moment,
    ahead_s: u64,
    next: impl Fn(&Limit<'a>, Moment) -> Option<Moment>,
) -> Result<(Moment, Vec<Reason>), Vec<Reason>> {
    let mut reasons: Vec<Reason> = Vec::new();
    let mut until = at;
    for _ in 0..ROUNDS_MAX {
        let before = until;
        for limit in limits {
            let open = next(limit, until);
            if open != Some(until) {
                let why = limit.reason(until);
                if !reasons.contains(&why) {
                    reasons.push(why);
                }
            }
            match open.filter(|open| open.since(at).as_secs() <= ahead_s) {
                Some(open) => until = open,
                None => return Err(reasons),
            }
        }
        if until == before {
            break;
        }
    }
    Ok((until, reasons))
}

/// Several reasons as one, of the kind of the first.
fn joined(intro: &str, reasons: &[Reason]) -> Reason {
    let first = reasons.iter().take(REASONS_MAX);
    let mut texts: Vec<_> = first.map(|reason| reason.text.as_str()).collect();
    let more = reasons.len().saturating_sub(REASONS_MAX);
    let more = format!("and {more} more");
    if reasons.len() > REASONS_MAX {
        texts.push(&more);
    }
    let kind = reasons
        .first()
        .map_or(ReasonKind::BusinessHours, |first| first.kind);
    Reason::new(kind, format!("{intro}{}", texts.join(", ")))
}
