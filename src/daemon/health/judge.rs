//! Decides by what one check found: how many messages wait for which cause, and which of these nothing explains.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Judged, LoopFacts, Obstruction};
use crate::dispatch::{LatestResults, StoreFailure};
use crate::limits::HealthLimits;
use crate::message::{Channel, Uptime, counted};
use crate::metrics::{Waiting, WaitingCause as Cause};
use crate::reactor::report::Held;
use crate::store::{Fault, NoEffect, Overdue, OverdueGroup, OverdueKind, StoreError};

/// What one check found.
pub(super) struct Seen {
    pub(super) facts: LoopFacts,
    pub(super) unrecorded_for: Option<Duration>,
    pub(super) claiming_for: Duration,
    pub(super) noted: LatestResults,
    pub(super) overdue: Result<Overdue, StoreError>,
    pub(super) faults: Vec<Fault>,
    /// Results that did not change their rows.
    pub(super) no_effect: Option<NoEffect>,
    pub(super) now: Uptime,
    pub(super) limits: HealthLimits,
}

/// The messages of a channel that nothing known by their rows or their lane keeps.
#[derive(Clone, Copy, Default)]
struct Stuck {
    messages: u64,
    oldest: Duration,
    is_locked: bool,
}

/// Why the messages of a channel are stuck.
struct Found {
    cause: Cause,
    /// What shows it, if there may be several of this cause.
    what: String,
    /// What is wrong, and what to do.
    why: String,
}

impl Found {
    fn new(cause: Cause, why: impl Into<String>) -> Self {
        Self {
            cause,
            what: String::new(),
            why: why.into(),
        }
    }
}

impl Seen {
    /// The state for the metrics, and what is wrong; `None`: the database is away, which is reported elsewhere.
    pub(super) fn judge(&self) -> Option<Judged> {
        let mut waiting = Waiting::default();
        let overdue = match &self.overdue {
            Ok(overdue) => overdue,
            Err(error) if error.is_away() => return None,
            Err(error) => {
                let why = format!("{error}; `punctual doctor` says what to do");
                return Some((
                    waiting,
                    vec![Obstruction::of_all("check", "the check failed", why)],
                ));
            }
        };
        let (mut stuck, mut retrying) = (BTreeMap::new(), BTreeMap::new());
        for group in &overdue.0 {
            match self.known(group) {
                Some(cause) => waiting.add(cause, group.messages, group.oldest),
                None => Self::add(stuck.entry(group.lane.channel()).or_default(), group),
            }
            if self.known(group) == Some(Cause::Provider) {
                *retrying.entry(group.lane.channel()).or_default() += group.messages;
            }
        }
        let stuck: Vec<_> = stuck
            .into_iter()
            .map(|(channel, stuck)| (channel, stuck, self.found(channel, stuck)))
            .collect();
        for (_, stuck, found) in &stuck {
            waiting.add(found.cause, stuck.messages, stuck.oldest);
        }
        if self.facts.busy_otherwise {
            return Some((waiting, Vec::new()));
        }
        let mut reasons: Vec<_> = self.unrecorded().into_iter().collect();
        reasons.extend(self.without_effect());
        if let Some(fault) = self.certain() {
            let why = format!("{}: {}", fault.found, fault.remedy);
            reasons.push(Obstruction::of_all(
                Cause::Schema.as_str(),
                &fault.what,
                why,
            ));
        } else {
            reasons.extend(
                stuck
                    .into_iter()
                    .filter_map(|stuck| self.not_claimed(stuck)),
            );
        }
        let failing = |(channel, messages)| self.not_accepted(channel, messages);
        reasons.extend(retrying.into_iter().filter_map(failing));
        Some((waiting, reasons))
    }

    fn add(stuck: &mut Stuck, group: &OverdueGroup) {
        stuck.messages += group.messages;
        stuck.oldest = stuck.oldest.max(group.oldest);
        stuck.is_locked |= group.is_locked;
    }

    /// The cause that the rows or their lane show.
    fn known(&self, group: &OverdueGroup) -> Option<Cause> {
        match (group.kind, self.facts.held.get(&group.lane)) {
            (OverdueKind::Paused, _) => Some(Cause::Paused),
            (OverdueKind::Paced, _) => Some(Cause::Paced),
            (_, Some(Held::Refused)) => Some(Cause::Breaker),
            (OverdueKind::Retry, _) => Some(Cause::Provider),
            (OverdueKind::Stuck, Some(Held::Full)) => Some(Cause::Backlog),
            (OverdueKind::Stuck, None) => None,
        }
    }

    fn certain(&self) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.is_certain)
    }

    /// What was overdue before this daemon could claim is given the same time as what is due now.
    pub(super) fn is_early(&self) -> bool {
        self.facts.busy_otherwise || self.claiming_for < self.limits.patience
    }

    fn not_claimed(&self, (channel, stuck, found): (Channel, Stuck, Found)) -> Option<Obstruction> {
        if self.is_early() {
            return None;
        }
        // A claim since then shows that the path works for some, and a minute is given to the others.
        let won = self.noted.won.get(&channel);
        let is_partial = won.is_some_and(|won| self.now.since(*won) < stuck.oldest);
        let extent = format!(
            "{} been due for up to {} s and {} not claimed{}",
            counted_on(stuck.messages, channel, ["has", "have"]),
            stuck.oldest.as_secs(),
            if stuck.messages == 1 { "is" } else { "are" },
            if is_partial { ", while others are" } else { "" }
        );
        Some(Obstruction {
            kind: found.cause.as_str(),
            cause: format!(
                "{} {} {}",
                channel.as_str(),
                found.cause.as_str(),
                found.what
            ),
            extent: Some(extent),
            why: found.why,
            is_serious: !is_partial
                || (stuck.oldest >= self.limits.partial_patience
                    && stuck.messages > self.limits.few),
        })
    }

    fn not_accepted(&self, channel: Channel, messages: u64) -> Option<Obstruction> {
        let failing = self.noted.failing.get(&channel)?;
        let failing_for = self.now.since(failing.since);
        if failing_for < self.limits.patience {
            return None;
        }
        let extent = format!(
            "{} for a retry, and no request has been accepted for {} s",
            counted_on(messages, channel, ["waits", "wait"]),
            failing_for.as_secs()
        );
        Some(Obstruction {
            kind: Cause::Provider.as_str(),
            cause: format!("{} provider", channel.as_str()),
            extent: Some(extent),
            why: format!(
                "{}: look at the network, DNS and firewall between here and the provider, and at the provider's status",
                failing.reason
            ),
            is_serious: failing.is_general,
        })
    }

    fn unrecorded(&self) -> Option<Obstruction> {
        if let Some(failure) = self.recent(self.noted.record.as_ref()) {
            let patience = self.limits.patience;
            let waited = self.unrecorded_for.filter(|waited| *waited >= patience)?;
            let extent = format!(
                "{} not been recorded for {} s",
                counted(self.facts.unrecorded, "result has", "results have"),
                waited.as_secs()
            );
            return Some(Obstruction {
                extent: Some(extent),
                ..Obstruction::of_all(RESULTS, RESULTS, failure.error.clone())
            });
        }
        let (delayed, waited) = (self.facts.delayed, self.facts.delayed_for);
        (delayed > 0 && waited >= self.limits.patience).then(|| Obstruction {
            kind: RESULTS,
            cause: "locked results".into(),
            extent: Some(format!(
                "{} for locked rows, the first for {} s",
                counted(delayed, "result waits", "results wait"),
                waited.as_secs()
            )),
            why: HELD_LOCK.into(),
            is_serious: false,
        })
    }

    /// Results that are in the ledger only. Without further ones it is over once no trigger is suspected any more.
    fn without_effect(&self) -> Option<Obstruction> {
        let NoEffect {
            results,
            last,
            is_partial,
        } = self.no_effect?;
        let (age, suspect) = (self.now.since(last), self.faults.first());
        let lasts = !is_partial && suspect.is_some();
        (lasts || age < self.limits.recent).then(|| Obstruction {
            kind: Cause::NoEffect.as_str(),
            cause: format!("results {}", suspect.map_or("", |suspect| &suspect.found)),
            extent: Some(format!(
                "{}{}",
                counted(
                    results,
                    "result is in the ledger and did not change its row",
                    "results are in the ledger and did not change their rows"
                ),
                if is_partial {
                    ", while others are changed"
                } else {
                    ""
                }
            )),
            why: no_effect(suspect),
            is_serious: !is_partial
                && (suspect.is_some() || (results > self.limits.few && age < self.limits.patience)),
        })
    }

    fn recent<'a>(&self, failure: Option<&'a StoreFailure>) -> Option<&'a StoreFailure> {
        failure.filter(|failure| self.now.since(failure.at) < self.limits.recent)
    }

    /// Why messages of a channel are not claimed, and what to do.
    fn found(&self, channel: Channel, stuck: Stuck) -> Found {
        if self.is_early() {
            return Found::new(Cause::NotReady, "");
        }
        if let Some(fault) = self.certain() {
            let why = format!("{}: {}", fault.found, fault.remedy);
            return Found::new(Cause::Schema, why);
        }
        let failure = self.recent(self.noted.claim.as_ref());
        let won = self.noted.won.get(&channel);
        // Without a claim since then the failure explains all; otherwise perhaps these.
        let is_latest = |failure: &&StoreFailure| won.is_none_or(|won| *won < failure.at);
        if let Some(failure) = failure.filter(is_latest) {
            return Self::failed(failure);
        }
        if stuck.is_locked {
            return Found::new(Cause::Locked, HELD_LOCK);
        }
        if let Some(failure) = failure {
            return Self::failed(failure);
        }
        let suspect = self.faults.first();
        let why = format!("claims take no effect; {}", no_effect(suspect));
        match suspect {
            Some(suspect) => Found {
                what: suspect.found.clone(),
                ..Found::new(Cause::NoEffect, why)
            },
            None => Found::new(Cause::Unknown, why),
        }
    }

    fn failed(failure: &StoreFailure) -> Found {
        if failure.is_refusal {
            let why = format!("{}; `punctual doctor` says what to do", failure.error);
            return Found::new(Cause::Refused, why);
        }
        let why = format!("{}: look at the server's disk and locks", failure.error);
        Found::new(Cause::Unanswered, why)
    }
}

/// So many messages of a channel, and what they have or do.
fn counted_on(messages: u64, channel: Channel, [has, have]: [&str; 2]) -> String {
    let channel = channel.as_str();
    let (one, many) = (
        format!("message ({channel}) {has}"),
        format!("messages ({channel}) {have}"),
    );
    counted(messages, &one, &many)
}

/// What may prevent a change of a row.
fn no_effect(suspect: Option<&Fault>) -> String {
    match suspect {
        Some(suspect) => format!("{}: {}", suspect.found, suspect.remedy),
        None => "look for triggers and rules on scheduled_messages".to_owned(),
    }
}

/// The kind of a reason that concerns results.
const RESULTS: &str = "results";

const HELD_LOCK: &str =
    "another transaction has locked them: find it in pg_stat_activity and end it";

impl Obstruction {
    /// One that concerns every message.
    fn of_all(kind: &'static str, cause: &str, why: String) -> Self {
        Self {
            kind,
            cause: cause.into(),
            extent: None,
            why,
            is_serious: true,
        }
    }
}
