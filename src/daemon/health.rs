//! Checks whether due messages are sent. Other checks observe the parts, this one observes the result: what
//! has been due for ten seconds and is not claimed or not accepted, which outcomes cannot be recorded, and why.
//!
//! On the heartbeat's connections, because the cause may block all others.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::clock;
use crate::dispatch::Dispatch;
use crate::message::{LaneKey, Uptime};
use crate::metrics::Waiting;
use crate::reactor::report::{Held, Remark};
use crate::store::{PATIENCE, Store};

mod judge;

use judge::Seen;

/// What the event loop knows.
#[derive(Clone, Debug, Default)]
pub(super) struct LoopFacts {
    /// The lanes whose due messages wait, because the provider refuses them or as many requests as allowed are in
    /// flight.
    pub(super) held: HashMap<LaneKey, Held>,
    /// Outcomes that are not recorded.
    pub(super) unrecorded: u64,
    /// Of these, outcomes of requests that could not be recorded at the first try.
    pub(super) delayed: u64,
    /// How long ago the first of these requests ended.
    pub(super) delayed_for: Duration,
    /// It connects, loads or shuts down, or its clock is not known, and it is not ready because of that.
    pub(super) busy_otherwise: bool,
}

/// Shared by the event loop and the check. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Health(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    facts: LoopFacts,
    unrecorded_since: Option<Uptime>,
    /// Since when nothing else keeps this daemon from claiming.
    claiming_since: Option<Uptime>,
    reasons: Vec<Obstruction>,
    /// The causes that were logged, and when each was last seen.
    logged: HashMap<String, Uptime>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        // It is consistent after every statement, so a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates what the event loop knows.
    pub(super) fn saw(&self, facts: LoopFacts, now: Uptime) {
        let mut state = self.state();
        let since = state.unrecorded_since.unwrap_or(now);
        state.unrecorded_since = (facts.unrecorded > 0).then_some(since);
        let since = state.claiming_since.unwrap_or(now);
        state.claiming_since = (!facts.busy_otherwise).then_some(since);
        state.facts = facts;
    }

    /// Why due messages are not sent: what makes this daemon not ready, and what it is ready in spite of.
    pub(super) fn reasons(&self) -> (Vec<Remark>, Vec<Remark>) {
        let state = self.state();
        let of = |serious: bool| {
            let reasons = state.reasons.iter();
            let reasons = reasons.filter(|reason| reason.is_serious == serious);
            reasons.map(Obstruction::remark).collect()
        };
        (of(true), of(false))
    }

    /// Checks until it is dropped.
    pub(super) async fn keep(self, store: Store, dispatch: Dispatch) {
        let limits = dispatch.limits.daemon.health;
        loop {
            let took = self.check(&store, &dispatch).await;
            let rest = took.saturating_mul(limits.rest).min(limits.every_max);
            sleep(rest.max(limits.every)).await;
        }
    }

    /// Returns how long the statement that counts took, if it did not fail.
    async fn check(&self, store: &Store, dispatch: &Dispatch) -> Duration {
        let limits = dispatch.limits.daemon.health;
        let facts = self.state().facts.clone();
        let by_lane = !facts.held.is_empty();
        let began = clock::reading().up;
        let overdue = store.overdue(&limits, store.quarantined_before(), by_lane);
        let overdue = store.within_at_work(limits.check_patience, PATIENCE, overdue);
        let overdue = overdue.await;
        let took = clock::reading().up.since(began);
        let took = if overdue.is_ok() {
            took
        } else {
            Duration::ZERO
        };
        let faults = store
            .within(limits.check_patience, store.path_faults())
            .await;
        let now = clock::reading().up;
        let (unrecorded_since, claiming_since) = {
            let state = self.state();
            (state.unrecorded_since, state.claiming_since)
        };
        let seen = Seen {
            facts,
            unrecorded_for: unrecorded_since.map(|since| now.since(since)),
            claiming_for: claiming_since.map_or(Duration::ZERO, |since| now.since(since)),
            noted: dispatch.notes.get(),
            overdue,
            faults: faults.unwrap_or_default(),
            no_effect: store.results_without_effect(),
            now,
            limits,
        };
        let judged = seen.judge();
        let is_known = judged.is_some() && !seen.is_early();
        let (waiting, reasons) = judged.unwrap_or_default();
        dispatch.metrics.set_waiting(waiting);
        self.state().note(reasons, is_known, now, limits.recent);
        took
    }
}

/// The gauge, and the reasons.
type Judged = (Waiting, Vec<Obstruction>);

impl State {
    /// Keeps the reasons of a check, and logs those that are new. `is_known`: the database responded, and this daemon
    /// has been able to claim for long enough.
    fn note(&mut self, reasons: Vec<Obstruction>, is_known: bool, now: Uptime, recent: Duration) {
        for reason in self.news(&reasons, now, recent) {
            tracing::warn!(%reason, "due messages are not sent, or their results are not recorded");
        }
        if is_known && self.are_over(now, recent) {
            tracing::info!("due messages are sent and recorded again");
        }
        self.reasons = reasons;
    }

    /// The reasons that were not seen recently: each is logged once, also if several take turns.
    fn news<'a>(
        &mut self,
        reasons: &'a [Obstruction],
        now: Uptime,
        recent: Duration,
    ) -> Vec<&'a Obstruction> {
        let is_new = |reason: &&Obstruction| {
            let seen = self.logged.insert(reason.cause.clone(), now);
            seen.is_none_or(|seen| now.since(seen) >= recent)
        };
        reasons.iter().filter(is_new).collect()
    }

    /// Forgets the causes that were not seen recently. Whether these were the last ones: not as soon as a check finds
    /// none, because those about a limit come and go.
    fn are_over(&mut self, now: Uptime, recent: Duration) -> bool {
        let was_empty = self.logged.is_empty();
        self.logged.retain(|_, seen| now.since(*seen) < recent);
        self.logged.is_empty() && !was_empty
    }
}

/// Why messages are not sent.
#[derive(Clone, Debug)]
struct Obstruction {
    /// One word, without a name.
    kind: &'static str,
    /// The cause, without what is different at each check. It is logged when it is new.
    cause: String,
    /// How many messages, and for how long: other numbers with each check.
    extent: Option<String>,
    /// What is wrong, and what to do.
    why: String,
    /// Because of it this daemon is not ready.
    is_serious: bool,
}

impl Obstruction {
    fn remark(&self) -> Remark {
        Remark {
            kind: self.kind,
            text: self.to_string(),
        }
    }
}

impl fmt::Display for Obstruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(extent) = &self.extent {
            write!(f, "{extent}: ")?;
        }
        f.write_str(&self.why)
    }
}

#[cfg(test)]
mod tests;
