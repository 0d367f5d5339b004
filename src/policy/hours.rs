//! Whether this is an hour at which the recipient, and the installation, want messages to go;
//! and if not, when the next one is.

use super::{Rules, quiet, zones};
use crate::message::facts::Priority;
use crate::message::{Claim, Moment};

/// Rules that wait for each other are asked again at most this often: a few times a day, for
/// [`AHEAD_MAX_S`].
const ROUNDS_MAX: usize = 64;

/// Nobody's hours are all closed for longer than a week; beyond that and a day there is no hour
/// that suits both, and looking further finds none.
const AHEAD_MAX_S: u64 = 8 * 24 * 3600;

/// What the hours say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hour {
    /// It may go at that moment.
    Open,
    /// Not before `until`.
    Closed { until: Moment, reason: String },
    /// There is no hour that suits everybody.
    Never { reason: String },
}

/// The earliest moment from `at` on that suits everybody.
pub(super) fn at(claim: &Claim, rules: &Rules, at: Moment) -> Hour {
    let facts = &claim.facts;
    let passes = facts.priority == Priority::Urgent && rules.urgent_passes_quiet_hours;
    let own = facts.preferences.as_ref().and_then(|p| p.quiet_hours);
    let quiet = own.filter(|hours| !passes && hours.start != hours.end);
    let zone = quiet.map(|_| zones::zone_of(facts, rules));
    let quiet = quiet.as_ref().zip(zone.as_ref());
    let business = rules.business_hours.as_ref();

    let mut reasons: Vec<String> = Vec::new();
    let mut until = at;
    let none = |reasons: &[String]| Hour::Never {
        reason: format!("no hour to send at within 8 days: {}", reasons.join(", ")),
    };
    for _ in 0..ROUNDS_MAX {
        let before = until;
        if let Some((hours, chosen)) = quiet {
            let why = || {
                let told = quiet::told(hours, &chosen.zone);
                let warnings: Vec<_> = chosen.warnings.iter().map(ToString::to_string).collect();
                if warnings.is_empty() {
                    told
                } else {
                    format!("{told} ({})", warnings.join(", "))
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

/// Moves on to `next`, and says once why.
fn note(until: &mut Moment, next: Moment, reasons: &mut Vec<String>, why: impl FnOnce() -> String) {
    if next > *until {
        let why = why();
        if !reasons.contains(&why) {
            reasons.push(why);
        }
        *until = next;
    }
}
