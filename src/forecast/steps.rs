//! The forecast itself: what comes first, and what follows.

use super::around::Crowd;
use super::obstacle::{by, expired, obstacle, paused_for_good, unknown};
use super::slots::{Slot, slot_after};
use super::{Forecast, Outcome, Place, Step, Subject, Surroundings};
use crate::message::facts::{Limit, Priority};
use crate::message::{Address, Channel, Claim, Moment, NumberFault, Parties, Sender, counted};
use crate::policy::{self, ReasonKind, Verdict};

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
    let claim = &subject.claim;
    let own = around.rules.sender(&claim.lane).map(Sender::as_str);
    let sender = claim
        .from_number
        .as_deref()
        .filter(|own| !own.trim().is_empty())
        .or(own);
    let parties = Parties::of(&claim.lane, sender, &claim.to_number);
    if around.slows(&parties, start.as_ref().map_or(claim.due, |start| start.at)) {
        unknown.push(unknown::SLOWED);
    }
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
    let costs = around.rules.costs.as_ref();
    if costs.is_some_and(|costs| costs.caps.is_some())
        && is_sent
        && subject.claim.lane.channel() == Channel::Sms
    {
        unknown.push(unknown::COSTS);
    }
    let is_text = subject.claim.lane.channel() == Channel::Sms;
    if around.rules.burst.is_some() && is_sent && is_text && subject.claim.part.before == 0 {
        unknown.push(unknown::BURST);
    }
    let of_rate = subject.rate.as_ref().filter(|_| subject.pace.is_none());
    let is_counted = |place: &Place| place.queue.counts(subject.claim.id);
    if subject
        .pace
        .as_ref()
        .is_some_and(|place| !is_counted(place))
        || of_rate.is_some_and(|room| room.ahead.is_none())
    {
        unknown.push(unknown::PLACE);
    }
    // Its sender's other messages are in other queues.
    if subject.pace.is_some() && subject.rate.is_some() {
        unknown.push(unknown::RATE);
    }
    let claim = &subject.claim;
    let number_fault = is_sent
        .then(|| Address::parse(claim.lane.channel(), &claim.to_number).ok())
        .flatten()
        .and_then(|to| policy::number_fault(&to));
    Forecast {
        step,
        then,
        number_fault: number_fault.map(NumberFault::text),
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
        if let Some(slot) = Slot::first(subject, start.due, around.now) {
            if slot.at > start.due.max(around.now) || slot.ahead > 0 {
                start.intro.push_str(&slot.intro());
                start.reason = Some("pace");
            }
            start.wanted_at = start.wanted_at.max(slot.late_from);
            start.due = slot.at;
        }
        start.at = start.due.max(around.now);
        Some(start)
    }

    /// What a message that was deferred is judged to be then.
    fn then(self, claim: &Claim, around: &Surroundings) -> Step {
        let mut later = Claim {
            due: self.due,
            wanted_at: self.wanted_at,
            ..claim.clone()
        };
        // The quota of the day that was looked at may be another's; a limit of none holds on every day.
        if !matches!(later.facts.limit, Limit::Over { limit } if limit <= 0) {
            later.facts.limit = Limit::NotCounted;
        }
        let (outcome, reason) =
            match policy::judge(&later, &around.rules, &around.capabilities, self.at) {
                Verdict::Cancel { reason } => (Outcome::Cancel, reason),
                Verdict::Reject { reason } => (Outcome::Fail, reason),
                Verdict::Send(_) | Verdict::Defer { .. } => return self.sent(&later, around),
            };
        decided(outcome, self.at, around.now, reason.kind, &reason.text, "")
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
        match policy::judge(&claim, &around.rules, &around.capabilities, self.at) {
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
                let is_closed = reason.kind == ReasonKind::BusinessHours;
                let due = slot_after(subject, &claim, until, is_closed, &around.rules);
                let later = Self {
                    at: due,
                    due,
                    wanted_at: claim.wanted_at.max(due),
                    reason: (due > until).then_some("pace"),
                    intro: String::new(),
                };
                (step, Some(later.then(&claim, around)))
            }
        }
    }

    fn sent(self, claim: &Claim, around: &Surroundings) -> Step {
        let at = self.at;
        let what = what(claim, around);
        // What is urgent starts before the others.
        let waits = self.reason.is_none() && claim.facts.priority <= Priority::Normal;
        let crowd = around.crowd(&claim.lane, at).filter(|_| waits);
        let (until, reason, text) = match crowd {
            Some(Crowd { messages, ends, .. }) if at <= around.now => (
                Some(ends),
                crowd.map(Crowd::reason),
                format!(
                    "will be sent by {ends}{what}: {}",
                    counted(messages, "message waits", "messages wait")
                ),
            ),
            Some(Crowd { messages, ends, .. }) => (
                Some(ends),
                crowd.map(Crowd::reason),
                format!(
                    "will be sent between {at} and {ends}{what}: {} due together",
                    counted(messages, "message is", "messages are")
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

/// Which part or attempt it is, and by which account it goes if a route decides; empty for the first attempt at the
/// only text.
fn what(claim: &Claim, around: &Surroundings) -> String {
    let part = (!claim.part.is_only()).then(|| format!("part {}", claim.part));
    let attempt = claim.attempts_before + 1;
    let attempt = (attempt > 1).then(|| format!("attempt {attempt} of {}", claim.max_attempts));
    let by = claim.route.as_ref().map(|route| {
        let (first, own) = (around.rules.routes.first(route), claim.lane.account());
        if first.account() == own {
            format!("by the account {own}")
        } else {
            format!("by the account {own}, because {}", around.why_not(&first))
        }
    });
    let all: Vec<String> = part.into_iter().chain(attempt).chain(by).collect();
    if all.is_empty() {
        return String::new();
    }
    format!(" ({})", all.join(", "))
}
