//! Whether messages are sent, in one sentence: what the live page begins with.

use std::fmt::Write as _;

use serde::Serialize;

use crate::forecast::Surroundings;
use crate::message::Moment;
use crate::reactor::report::{BreakerReport, LaneReport, Overview, PauseReport};

/// Pauses that the sentence names; the others are counted.
const NAMED: usize = 3;

/// The sentence at the top of the live page, and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct Status {
    /// How much is sent.
    pub(super) is: Sending,
    /// The sentence, without a full stop. Times are in UTC, in the form of [`Moment`].
    pub(super) text: String,
}

/// How much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Sending {
    /// Everything.
    All,
    /// Some messages are paused, or a provider refuses some accounts.
    Part,
    /// Nothing, because people have paused everything.
    Paused,
    /// Nothing.
    Nothing,
}

impl Sending {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Part => "part",
            Self::Paused => "paused",
            Self::Nothing => "nothing",
        }
    }
}

impl Status {
    /// Of all instances: by this one's state, and by what the others have published.
    pub(super) fn of(overview: &Overview, around: Option<&Surroundings>) -> Self {
        let report = &overview.timers;
        let own = report.instance;
        let reasons: Vec<_> = overview.missing.iter().map(ToString::to_string).collect();
        let is_sent_by_others = around.is_some_and(|around| around.another_sends(own));
        if !reasons.is_empty() && !is_sent_by_others {
            return Self {
                is: Sending::Nothing,
                text: format!("Not sending: {}", reasons.join("; ")),
            };
        }
        if let Some(all) = report
            .pauses
            .iter()
            .find(|pause| pause.scope == "everything")
        {
            let refused = if report.breaker.open {
                // What is paused is not tried.
                let breaker = BreakerReport {
                    next_probe_at: None,
                    ..report.breaker
                };
                format!("; the provider refuses the account{}", why(&breaker))
            } else {
                String::new()
            };
            return Self {
                is: Sending::Paused,
                text: format!(
                    "Paused: nothing is sent until {}{refused}",
                    until(all.until)
                ),
            };
        }
        let refused: Vec<&LaneReport> = report
            .lanes
            .iter()
            .filter(|lane| lane.breaker.open)
            .filter(|lane| {
                around.is_none_or(|all| !all.another_sends_by(own, &lane.account, lane.channel))
            })
            .collect();
        let is_all = refused.len() == report.lanes.len()
            && refused.iter().all(|lane| lane.refused == lane.lanes);
        if report.breaker.open && is_all {
            return Self {
                is: Sending::Nothing,
                text: format!(
                    "Not sending: the provider refuses the account{}",
                    why(&report.breaker)
                ),
            };
        }
        let mut text = if reasons.is_empty() {
            "Sending".to_owned()
        } else {
            let why = reasons.join("; ");
            format!("Sending by other instances, and not by this one ({why})")
        };
        // Writing to a String cannot fail.
        for lane in &refused {
            let _ = write!(
                text,
                "; the provider refuses account {} for {}{}",
                lane.account,
                lane.channel,
                why(&lane.breaker)
            );
        }
        if !report.pauses.is_empty() {
            let _ = write!(text, "; paused: {}", paused(&report.pauses));
        }
        let is = if refused.is_empty() && report.pauses.is_empty() && reasons.is_empty() {
            Sending::All
        } else {
            Sending::Part
        };
        Self { is, text }
    }
}

fn until(at: Moment) -> String {
    if at == Moment::MAX {
        "somebody resumes".to_owned()
    } else {
        at.to_string()
    }
}

/// Since when, why, and when it is tried again.
fn why(breaker: &BreakerReport) -> String {
    let mut words = breaker
        .since
        .map_or_else(String::new, |at| format!(" since {at}"));
    let category = breaker.category.map(|word| word.replace('_', " "));
    let code = breaker.reason.map(|code| format!("code {code}"));
    let reasons: Vec<_> = category.into_iter().chain(code).collect();
    if !reasons.is_empty() {
        let _ = write!(words, " ({})", reasons.join(", "));
    }
    if let Some(at) = breaker.next_probe_at {
        let _ = write!(words, ", next try {at}");
    }
    words
}

fn paused(pauses: &[PauseReport]) -> String {
    let mut words: Vec<String> = pauses.iter().take(NAMED).map(one).collect();
    if pauses.len() > NAMED {
        words.push(format!("{} more", pauses.len() - NAMED));
    }
    words.join(", ")
}

fn one(pause: &PauseReport) -> String {
    let kind = pause.scope.replace('_', " ");
    match &pause.what {
        Some(what) => format!("{kind} {what} until {}", until(pause.until)),
        None => format!("a {kind} until {}", until(pause.until)),
    }
}

#[cfg(test)]
mod tests;
