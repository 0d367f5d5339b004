//! Checks whether due messages are sent. Other checks observe the parts, this one observes the result: what
//! has been due for ten seconds and is not claimed, which outcomes cannot be recorded, and why.
//!
//! On the heartbeat's connections, because the cause may block all others.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::dispatch::{Dispatch, Failure, Noted};
use crate::message::Uptime;
use crate::metrics::{Waiting, WaitingCause as Cause};
use crate::reactor::limits::daemon::HealthLimits;
use crate::store::{Fault, Overdue, Store, StoreError};

/// What the event loop knows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// A breaker is open: due messages wait for the provider.
    pub(super) breaker_open: bool,
    /// As many requests as allowed are in flight: due messages wait for a permit.
    pub(super) saturated: bool,
    /// Outcomes that are not recorded.
    pub(super) unrecorded: u64,
    /// It connects, loads or shuts down, and is not ready because of that.
    pub(super) busy_otherwise: bool,
}

/// Shared by the event loop and the check. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Health(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    facts: Facts,
    unrecorded_since: Option<Uptime>,
    /// Since when nothing else keeps this daemon from claiming.
    claiming_since: Option<Uptime>,
    reason: Option<Reason>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        // It is consistent after every statement, so a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates what the event loop knows.
    pub(super) fn saw(&self, facts: Facts, now: Uptime) {
        let mut state = self.state();
        state.facts = facts;
        let since = state.unrecorded_since.unwrap_or(now);
        state.unrecorded_since = (facts.unrecorded > 0).then_some(since);
        let since = state.claiming_since.unwrap_or(now);
        state.claiming_since = (!facts.busy_otherwise).then_some(since);
    }

    /// Why due messages are not sent.
    pub(super) fn reason(&self) -> Option<String> {
        self.state().reason.as_ref().map(ToString::to_string)
    }

    /// Checks until it is dropped.
    pub(super) async fn keep(self, store: Store, dispatch: Dispatch) {
        let mut next = interval(dispatch.limits.daemon.health.every);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            self.check(&store, &dispatch).await;
        }
    }

    async fn check(&self, store: &Store, dispatch: &Dispatch) {
        let limits = dispatch.limits.daemon.health;
        let quarantined = store.quarantined_before();
        let overdue = store.overdue(limits.patience, quarantined);
        let overdue = store.within(limits.check_patience, overdue).await;
        let faults = store
            .within(limits.check_patience, store.path_faults())
            .await;
        let now = clock::reading().up;
        let (facts, unrecorded_since, claiming_since) = {
            let state = self.state();
            (state.facts, state.unrecorded_since, state.claiming_since)
        };
        let seen = Seen {
            facts,
            unrecorded_for: unrecorded_since.map(|since| now.since(since)),
            claiming_for: claiming_since.map_or(Duration::ZERO, |since| now.since(since)),
            noted: dispatch.notes.get(),
            overdue,
            faults: faults.unwrap_or_default(),
            now,
            limits,
        };
        let (waiting, reason) = seen.judge();
        dispatch.metrics.set_waiting(waiting);
        let before = std::mem::replace(&mut self.state().reason, reason.clone());
        match (before, reason) {
            (before, Some(reason))
                if before
                    .as_ref()
                    .is_none_or(|before| before.why != reason.why) =>
            {
                tracing::warn!(%reason, "due messages are not sent, or their results are not recorded");
            }
            (Some(_), None) => tracing::info!("due messages are sent and recorded again"),
            _ => {}
        }
    }
}

/// Why this daemon is not ready.
#[derive(Clone, Debug)]
struct Reason {
    /// How many messages, and for how long: other numbers with each check.
    extent: Option<String>,
    /// The cause, and what to do. It is logged when it changes.
    why: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(extent) = &self.extent {
            write!(f, "{extent}: ")?;
        }
        f.write_str(&self.why)
    }
}

/// What one check found.
struct Seen {
    facts: Facts,
    unrecorded_for: Option<Duration>,
    claiming_for: Duration,
    noted: Noted,
    overdue: Result<Overdue, StoreError>,
    faults: Vec<Fault>,
    now: Uptime,
    limits: HealthLimits,
}

impl Seen {
    /// The state for the metrics, and the reason why this daemon is not ready.
    fn judge(&self) -> (Waiting, Option<Reason>) {
        let overdue = match &self.overdue {
            Ok(overdue) => *overdue,
            // The database is away, which is reported elsewhere.
            Err(error) if error.is_away() => return (Waiting::default(), None),
            Err(error) => {
                let why = format!("{error}; `punctual doctor` says what to do");
                return (Waiting::default(), Some(Reason { extent: None, why }));
            }
        };
        let (cause, why) = self.cause(&overdue);
        let at_will = [
            (Cause::Paused, overdue.paused),
            (Cause::Paced, overdue.paced),
        ];
        let at_will = at_will.into_iter().find(|(_, messages)| *messages > 0);
        if let Some((kept_by, messages)) = at_will.filter(|_| overdue.messages == 0) {
            let waiting = Waiting {
                cause: Some(kept_by),
                messages,
                oldest_s: 0.0,
            };
            return (waiting, self.reason(&overdue, cause, why));
        }
        let waiting = Waiting {
            cause: (overdue.messages > 0).then_some(cause),
            messages: overdue.messages,
            oldest_s: overdue.oldest.as_secs_f64(),
        };
        (waiting, self.reason(&overdue, cause, why))
    }

    fn reason(&self, overdue: &Overdue, cause: Cause, why: String) -> Option<Reason> {
        if self.facts.busy_otherwise {
            return None;
        }
        if let Some(reason) = self.unrecorded() {
            return Some(reason);
        }
        if let Some(fault) = self.faults.iter().find(|fault| fault.is_certain) {
            let why = format!("{}: {}", fault.found, fault.remedy);
            return Some(Reason { extent: None, why });
        }
        // What was overdue before this daemon could claim is given the same time as what is due now.
        let is_early = self.claiming_for < self.limits.patience;
        let explained = is_early || matches!(cause, Cause::Breaker | Cause::Backlog);
        // A claim since then shows that the path works: the fault is in these rows alone.
        let since = |won: Uptime| self.now.since(won) < overdue.oldest;
        if overdue.messages == 0 || explained || self.noted.won.is_some_and(since) {
            return None;
        }
        let extent = format!(
            "{} messages have been due for up to {} s and are not claimed",
            overdue.messages,
            overdue.oldest.as_secs()
        );
        Some(Reason {
            extent: Some(extent),
            why,
        })
    }

    fn unrecorded(&self) -> Option<Reason> {
        let failure = self.recent(self.noted.record.as_ref())?;
        let waited = self
            .unrecorded_for
            .filter(|waited| *waited >= self.limits.patience)?;
        let extent = format!(
            "{} results have not been recorded for {} s",
            self.facts.unrecorded,
            waited.as_secs()
        );
        Some(Reason {
            extent: Some(extent),
            why: failure.error.clone(),
        })
    }

    fn recent<'a>(&self, failure: Option<&'a Failure>) -> Option<&'a Failure> {
        failure.filter(|failure| self.now.since(failure.at) < self.limits.recent)
    }

    /// Why overdue messages are not claimed, and what to do.
    fn cause(&self, overdue: &Overdue) -> (Cause, String) {
        if self.facts.breaker_open {
            return (Cause::Breaker, String::new());
        }
        if self.facts.saturated {
            return (Cause::Backlog, String::new());
        }
        if let Some(fault) = self.faults.iter().find(|fault| fault.is_certain) {
            return (Cause::Schema, format!("{}: {}", fault.found, fault.remedy));
        }
        match self.recent(self.noted.claim.as_ref()) {
            Some(failure) if failure.is_refusal => {
                let why = format!("{}; `punctual doctor` says what to do", failure.error);
                return (Cause::Refused, why);
            }
            Some(failure) => {
                let why = format!("{}: look at the server's disk and locks", failure.error);
                return (Cause::Unanswered, why);
            }
            None => {}
        }
        if overdue.is_locked {
            let why = "another transaction holds them: find it in pg_stat_activity and end it";
            return (Cause::Locked, why.to_owned());
        }
        if let Some(suspect) = self.faults.first() {
            let why = format!(
                "claims take no effect; {}: {}",
                suspect.found, suspect.remedy
            );
            return (Cause::NoEffect, why);
        }
        let why = "claims take no effect; look for triggers and rules on scheduled_messages";
        (Cause::Unknown, why.to_owned())
    }
}

#[cfg(test)]
mod tests;
