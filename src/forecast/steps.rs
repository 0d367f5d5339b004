//! The forecast itself: what comes first, and what follows.

use std::time::Duration;

use super::around::Crowd;
use super::obstacle::{by, expired, obstacle, paused_for_good, unknown};
use super::{Forecast, Outcome, Place, Step, Subject, Surroundings};
use crate::message::facts::{Limit, Priority};
use crate::message::{Claim, Moment};
use crate::policy::{self, ReasonKind, Verdict};
use crate::schedule::pace::slots;

/// What will happen to a message.
pub fn of(subject: &Subject, around: &Surroundings) -> Forecast {
    let mut unknown = Vec::new();
    if !around.rules_are_known {
        unknown.push(unknown::SETTINGS);
    }
    if around.has_silent() {
        unknown.push(unknown::LANES);
    }
    let start = Start::of(subject, around);
    let obstacle = obstacle(
        subject,
        around,
        start.as_ref().map(|start| start.at),
        &mut unknown,
    );
    let free = start.map(|start| start.first(subject, around));
    let (step, then) = match (obstacle, free) {
        (None, Some(free)) => free,
        (Some(step), free) => (step, free.map(|(first, _)| first)),
        (None, None) => (paused_for_good(subject, &mut unknown), None),
    };
    let is_sent = [Some(&step), then.as_ref()]
        .into_iter()
        .flatten()
        .any(|step| step.outcome == Outcome::Send);
    if subject.is_limited && is_sent {
        unknown.push(unknown::QUOTA);
    }
    if subject.pace.as_ref().is_some_and(|p| p.ahead.is_none()) {
        unknown.push(unknown::PLACE);
    }
    Forecast {
        step,
        then,
        as_of: around.now,
        unknown,
    }
}

/// When a message is judged next, and why not when it is due.
struct Start {
    at: Moment,
    /// As [`Claim::due`] will be.
    due: Moment,
    /// As [`Claim::wanted_at`] will be.
    wanted_at: Moment,
    reason: Option<&'static str>,
    /// Before "will be sent".
    intro: String,
}

impl Start {
    /// `None`: it is paused until somebody resumes.
    fn of(subject: &Subject, around: &Surroundings) -> Option<Self> {
        let claim = &subject.claim;
        let mut start = Self {
            at: claim.due.max(around.now),
            due: claim.due,
            wanted_at: claim.wanted_at,
            reason: None,
            intro: String::new(),
        };
        if let Some(until) = subject.paused_until {
            if until == Moment::MAX {
                return None;
            }
            start.wanted_at = start.wanted_at.max(until);
            if until > around.now && until > start.due {
                start.intro = format!("is paused until {until}{}; then it ", by(subject));
                start.reason = Some("paused");
                start.due = until;
            }
        }
        if let Some(place) = subject.pace.as_ref().filter(|_| claim.part.before == 0) {
            let ahead = place.ahead.unwrap_or(0);
            let slot = slot(place, around.now).map_or(start.due, |slot| slot.max(start.due));
            if slot > start.due.max(around.now) || ahead > 0 {
                let (scope, what) = (&place.scope, &place.what);
                let others = if ahead == 1 { "" } else { "s" };
                start.intro = format!(
                    "waits for the pace of {scope} {what}, behind {ahead} other{others}; then it "
                );
                start.reason = Some("pace");
            }
            start.wanted_at = start.wanted_at.max(slot);
            start.due = slot;
        }
        start.at = start.due.max(around.now);
        Some(start)
    }

    /// What happens then, and what follows.
    fn first(self, subject: &Subject, around: &Surroundings) -> (Step, Option<Step>) {
        if let Some(why) = expired(subject, around) {
            let (at, reason) = (around.now, ReasonKind::TooLate);
            return (
                decided(Outcome::Cancel, at, around.now, reason, &why, ""),
                None,
            );
        }
        let claim = Claim {
            due: self.due,
            wanted_at: self.wanted_at,
            ..subject.claim.clone()
        };
        if let Some(why) = &subject.opted_out {
            let why = why.clone();
            let cancelled = decided(
                Outcome::Cancel,
                self.at,
                around.now,
                ReasonKind::OptedOut,
                &why,
                &self.intro,
            );
            return (cancelled, None);
        }
        match policy::judge(&claim, &around.rules, &around.carriers, self.at) {
            Verdict::Send(_) => (self.sent(&claim, around), None),
            Verdict::Cancel { reason } => (
                decided(
                    Outcome::Cancel,
                    self.at,
                    around.now,
                    reason.kind,
                    &reason.text,
                    &self.intro,
                ),
                None,
            ),
            Verdict::Reject { reason } => (
                decided(
                    Outcome::Fail,
                    self.at,
                    around.now,
                    reason.kind,
                    &reason.text,
                    &self.intro,
                ),
                None,
            ),
            Verdict::Defer { until, reason } => {
                let step = Step {
                    until: Some(until),
                    text: format!("{}is deferred to {until}: {}", self.intro, reason.text),
                    outcome: Outcome::Defer,
                    at: Some(self.at),
                    reason: Some(reason.kind.as_str()),
                };
                (step, Some(after(&claim, until, around)))
            }
        }
    }

    fn sent(self, claim: &Claim, around: &Surroundings) -> Step {
        let at = self.at;
        let what = what(claim);
        // What is urgent starts before the others.
        let waits = self.reason.is_none() && claim.facts.priority <= Priority::Normal;
        let crowd = around.crowd(&claim.lane, at).filter(|_| waits);
        let (until, reason, text) = match crowd {
            Some(Crowd { messages, ends, .. }) if at <= around.now => (
                Some(ends),
                crowd.map(Crowd::reason),
                format!("will be sent by {ends}{what}: {messages} messages wait"),
            ),
            Some(Crowd { messages, ends, .. }) => (
                Some(ends),
                crowd.map(Crowd::reason),
                format!(
                    "will be sent between {at} and {ends}{what}: {messages} messages are due together"
                ),
            ),
            None if at <= around.now => (None, self.reason, format!("will be sent at once{what}")),
            None => (None, self.reason, format!("will be sent at {at}{what}")),
        };
        Step {
            outcome: Outcome::Send,
            at: Some(at),
            until,
            reason,
            text: format!("{}{text}", self.intro),
        }
    }
}

/// What a message that was deferred until then is judged to be.
fn after(claim: &Claim, until: Moment, around: &Surroundings) -> Step {
    let mut later = Claim {
        due: until,
        wanted_at: claim.wanted_at.max(until),
        ..claim.clone()
    };
    // The quota of the day that was looked at may be another's.
    later.facts.limit = Limit::NotCounted;
    match policy::judge(&later, &around.rules, &around.carriers, until) {
        Verdict::Cancel { reason } => decided(
            Outcome::Cancel,
            until,
            around.now,
            reason.kind,
            &reason.text,
            "",
        ),
        Verdict::Reject { reason } => decided(
            Outcome::Fail,
            until,
            around.now,
            reason.kind,
            &reason.text,
            "",
        ),
        Verdict::Send(_) | Verdict::Defer { .. } => Step {
            outcome: Outcome::Send,
            at: Some(until),
            until: None,
            reason: None,
            text: format!("will be sent at {until}{}", what(&later)),
        },
    }
}

/// A cancel, or a failure without a request.
fn decided(
    outcome: Outcome,
    at: Moment,
    now: Moment,
    reason: ReasonKind,
    why: &str,
    intro: &str,
) -> Step {
    let verb = if outcome == Outcome::Cancel {
        "be cancelled"
    } else {
        "fail"
    };
    let when = if at <= now {
        "at once".to_owned()
    } else {
        format!("at {at}")
    };
    Step {
        outcome,
        at: Some(at),
        until: None,
        reason: Some(reason.as_str()),
        text: format!("{intro}will {verb} {when}: {why}"),
    }
}

/// Which part or attempt it is; empty for the first attempt at the only text.
fn what(claim: &Claim) -> String {
    let part = (!claim.part.is_only()).then(|| format!("part {}", claim.part));
    let attempt = claim.attempts_before + 1;
    let attempt = (attempt > 1).then(|| format!("attempt {attempt} of {}", claim.max_attempts));
    let all: Vec<String> = part.into_iter().chain(attempt).collect();
    if all.is_empty() {
        return String::new();
    }
    format!(" ({})", all.join(", "))
}

/// When the message's turn comes.
fn slot(place: &Place, now: Moment) -> Option<Moment> {
    let ahead = usize::try_from(place.ahead?).ok()?;
    let gaps: (Duration, Duration) = place.gaps;
    slots(place.seed, place.position, gaps, place.next_at.max(now)).nth(ahead)
}
