//! Whether quiet hours and business hours permit sending at a time, and if not, from when on they do.

use super::{Rule, Rules, quiet, zones};
use crate::message::facts::Priority;
use crate::message::{Claim, Moment};

/// How often the rules are evaluated for one message: each can move the time a few times a day, for
/// [`AHEAD_MAX_S`].
const ROUNDS_MAX: usize = 64;

/// How far ahead a time is searched: both rules repeat weekly, so after a week and a day there is none.
const AHEAD_MAX_S: u64 = 8 * 24 * 3600;

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hour {
    /// Sending is permitted.
    Open,
    /// Not before `until`.
    Closed { until: Moment, reason: String },
    /// No time satisfies both rules.
    Never { reason: String },
}

/// The earliest time at or after `at` that satisfies both rules.
pub(super) fn at(claim: &Claim, rules: &Rules, at: Moment) -> Hour {
    let facts = &claim.facts;
    let channel = claim.lane.channel();
    let passes = facts.priority == Priority::Urgent && rules.urgent_passes_quiet_hours;
    let own = facts.preferences.as_ref().and_then(|p| p.quiet_hours);
    let holds = !passes && Rule::QuietHours.holds(channel);
    let quiet = own.filter(|hours| holds && hours.start != hours.end);
    let zone = quiet.map(|_| zones::zone_of(facts, rules));
    let quiet = quiet.as_ref().zip(zone.as_ref());
    let business = rules.business_hours_of(facts.hours_key());
    let business = business.filter(|_| Rule::BusinessHours.holds(channel));

    let mut reasons: Vec<String> = Vec::new();
    let mut until = at;
    let none = |reasons: &[String]| Hour::Never {
        reason: format!("no hour to send at within 8 days: {}", reasons.join(", ")),
    };
    for _ in 0..ROUNDS_MAX {
        let before = until;
        if let Some((hours, chosen)) = quiet {
            let why = || {
                let description = quiet::describe(hours, &chosen.zone);
                let warnings: Vec<_> = chosen.warnings.iter().map(ToString::to_string).collect();
                if warnings.is_empty() {
                    description
                } else {
                    format!("{description} ({})", warnings.join(", "))
                }
            };
            match quiet::end(hours, &chosen.zone, until) {
                Some(end) => note(&mut until, end, &mut reasons, why),
                None => return none(&[why()]),
            }
        }
        if let Some(hours) = business {
            let why = || format!("outside of {hours} {}", zones::name_of(&rules.timezone));
            match hours.next_open(&rules.timezone, until) {
                Some(open) => note(&mut until, open, &mut reasons, why),
                None => return none(&[why()]),
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
    let reason = reasons.join(", ");
    Hour::Closed { until, reason }
}

/// Moves the time to `next` and notes the reason once.
fn note(until: &mut Moment, next: Moment, reasons: &mut Vec<String>, why: impl FnOnce() -> String) {
    if next > *until {
        let why = why();
        if !reasons.contains(&why) {
            reasons.push(why);
        }
        *until = next;
    }
}
