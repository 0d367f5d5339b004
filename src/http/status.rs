//! Whether messages are sent, in one sentence: what the live page begins with.

use std::fmt::Write as _;

use serde::Serialize;

use crate::message::Moment;
use crate::reactor::report::{BreakerReport, LaneReport, Overview, PauseReport};

/// Pauses that the sentence names; the others are counted.
const NAMED: usize = 3;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Status {
    /// How much is sent.
    pub(super) is: Sending,
    /// The sentence, without a full stop. Times are in UTC, in the form of [`Moment`].
    pub(super) text: String,
}

/// How much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
    pub(super) fn of(overview: &Overview) -> Self {
        let report = &overview.timers;
        if !overview.missing.is_empty() {
            let reasons: Vec<_> = overview.missing.iter().map(ToString::to_string).collect();
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
            return Self {
                is: Sending::Paused,
                text: format!("Paused: nothing is sent until {}", until(all.until)),
            };
        }
        let refused: Vec<&LaneReport> = report
            .lanes
            .iter()
            .filter(|lane| lane.breaker.open)
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
        let mut text = "Sending".to_owned();
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
        let is = if refused.is_empty() && report.pauses.is_empty() {
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
