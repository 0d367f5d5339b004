//! Whether what is due goes. Everything else says how the parts are; here the result is looked at: what
//! has been due for ten seconds and is not claimed, what finished and cannot be recorded, and why.
//!
//! On the heartbeat's connections, since what keeps messages from going may hold all others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::dispatch::{Dispatch, Failure, Noted};
use crate::message::Uptime;
use crate::metrics::Waiting;
use crate::store::{Fault, Overdue, Store, StoreError};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(2);

/// How long what is due may stay, and what finished unrecorded: locks, retries and a slow database
/// take less.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a look may take. Longer, and the database is away, which others say.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// A failure this old says nothing about now.
const RECENT: Duration = Duration::from_secs(30);

/// What the event loop knows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// The provider refuses an account: what is due waits for it.
    pub(super) breaker_open: bool,
    /// As many requests as may be are on their way: what is due waits for a place.
    pub(super) saturated: bool,
    /// Results of requests that are not recorded.
    pub(super) unrecorded: u64,
    /// It connects, loads or ends, and is not ready for that.
    pub(super) busy_otherwise: bool,
}

/// What both know. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Health(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    facts: Facts,
    unrecorded_since: Option<Uptime>,
    reason: Option<String>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two statements: a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the event loop sees.
    pub(super) fn saw(&self, facts: Facts, now: Uptime) {
        let mut state = self.state();
        state.facts = facts;
        let since = state.unrecorded_since.unwrap_or(now);
        state.unrecorded_since = (facts.unrecorded > 0).then_some(since);
    }

    /// Why what is due does not go.
    pub(super) fn reason(&self) -> Option<String> {
        self.state().reason.clone()
    }

    /// Looks until it is dropped.
    pub(super) async fn keep(self, store: Store, dispatch: Dispatch) {
        let mut next = interval(LOOK);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            self.look(&store, &dispatch).await;
        }
    }

    async fn look(&self, store: &Store, dispatch: &Dispatch) {
        let held = dispatch.journal.as_ref().and_then(|j| j.held_before());
        let overdue = store.overdue(PATIENCE, held);
        let overdue = store.within(LOOK_PATIENCE, overdue).await;
        let faults = store.within(LOOK_PATIENCE, store.path_faults()).await;
        let now = clock::reading().up;
        let (facts, unrecorded_since) = {
            let state = self.state();
            (state.facts, state.unrecorded_since)
        };
        let seen = Seen {
            facts,
            unrecorded_for: unrecorded_since.map(|since| now.since(since)),
            noted: dispatch.notes.get(),
            overdue,
            faults: faults.unwrap_or_default(),
            now,
        };
        let (waiting, reason) = seen.judge();
        dispatch.metrics.set_waiting(waiting);
        let before = std::mem::replace(&mut self.state().reason, reason.clone());
        match (before, reason) {
            (before, Some(reason)) if before.as_ref() != Some(&reason) => {
                tracing::warn!(reason, "what is due does not go as it should");
            }
            (Some(_), None) => tracing::info!("what is due goes again"),
            _ => {}
        }
    }
}

/// What one look saw.
struct Seen {
    facts: Facts,
    unrecorded_for: Option<Duration>,
    noted: Noted,
    overdue: Result<Overdue, StoreError>,
    faults: Vec<Fault>,
    now: Uptime,
}

impl Seen {
    /// For the metrics, and why this daemon is not ready.
    fn judge(&self) -> (Waiting, Option<String>) {
        let overdue = match &self.overdue {
            Ok(overdue) => *overdue,
            // Away, which is told elsewhere.
            Err(error) if error.is_away() => return (Waiting::default(), None),
            Err(error) => {
                let reason = format!("{error}; `punctual doctor` says what to do");
                return (Waiting::default(), Some(reason));
            }
        };
        let (cause, why) = self.cause(&overdue);
        let waiting = Waiting {
            cause: (overdue.messages > 0).then_some(cause),
            messages: overdue.messages,
            oldest_s: overdue.oldest.as_secs_f64(),
        };
        (waiting, self.reason(&overdue, cause, &why))
    }

    fn reason(&self, overdue: &Overdue, cause: &str, why: &str) -> Option<String> {
        if self.facts.busy_otherwise {
            return None;
        }
        if let Some(reason) = self.unrecorded() {
            return Some(reason);
        }
        if let Some(fault) = self.faults.iter().find(|fault| fault.is_certain) {
            return Some(format!("{}: {}", fault.found, fault.remedy));
        }
        let explained = matches!(cause, "breaker" | "backlog");
        // What was claimed since shows that the path is well: then it is these rows'.
        let since = |won: Uptime| self.now.since(won) < overdue.oldest;
        if overdue.messages == 0 || explained || self.noted.won.is_some_and(since) {
            return None;
        }
        Some(format!(
            "{} messages have been due for up to {} s and are not claimed: {why}",
            overdue.messages,
            overdue.oldest.as_secs()
        ))
    }

    fn unrecorded(&self) -> Option<String> {
        let failure = self.recent(self.noted.record.as_ref())?;
        let waited = self.unrecorded_for.filter(|waited| *waited >= PATIENCE)?;
        Some(format!(
            "{} results have not been recorded for {} s: {}",
            self.facts.unrecorded,
            waited.as_secs(),
            failure.error
        ))
    }

    fn recent<'a>(&self, failure: Option<&'a Failure>) -> Option<&'a Failure> {
        failure.filter(|failure| self.now.since(failure.at) < RECENT)
    }

    /// Why what is overdue has not gone: a label, and a sentence with what to do.
    fn cause(&self, overdue: &Overdue) -> (&'static str, String) {
        if self.facts.breaker_open {
            return ("breaker", String::new());
        }
        if self.facts.saturated {
            return ("backlog", String::new());
        }
        if let Some(fault) = self.faults.iter().find(|fault| fault.is_certain) {
            return ("schema", format!("{}: {}", fault.found, fault.remedy));
        }
        match self.recent(self.noted.claim.as_ref()) {
            Some(failure) if failure.is_refusal => {
                let why = format!("{}; `punctual doctor` says what to do", failure.error);
                return ("refused", why);
            }
            Some(failure) => {
                let why = format!("{}: look at the server's disk and locks", failure.error);
                return ("unanswered", why);
            }
            None => {}
        }
        if overdue.is_locked {
            let why = "another transaction holds them: find it in pg_stat_activity and end it";
            return ("locked", why.to_owned());
        }
        if let Some(suspect) = self.faults.first() {
            let why = format!(
                "claims take no effect; {}: {}",
                suspect.found, suspect.remedy
            );
            return ("no_effect", why);
        }
        let why = "claims take no effect; look for triggers and rules on scheduled_messages";
        ("unknown", why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(messages: u64, oldest_s: u64) -> Seen {
        Seen {
            facts: Facts::default(),
            unrecorded_for: None,
            noted: Noted::default(),
            overdue: Ok(Overdue {
                messages,
                oldest: Duration::from_secs(oldest_s),
                is_locked: false,
            }),
            faults: Vec::new(),
            now: Uptime::from_micros(1_000_000_000),
        }
    }

    fn check(seen: &Seen, cause: Option<&str>, reason: Option<&str>) {
        let (waiting, told) = seen.judge();
        assert_eq!(waiting.cause, cause, "{told:?}");
        match (&told, reason) {
            (None, None) => {}
            (Some(told), Some(reason)) => assert!(told.contains(reason), "{told}"),
            _ => panic!("{told:?}, not {reason:?}"),
        }
    }

    #[test]
    fn what_is_explained_is_no_reason_and_what_is_not_is_one() {
        check(&seen(0, 0), None, None);
        let open = Facts {
            breaker_open: true,
            ..Facts::default()
        };
        let held = Seen {
            facts: open,
            ..seen(5, 40)
        };
        check(&held, Some("breaker"), None);
        let full = Facts {
            saturated: true,
            ..Facts::default()
        };
        let backlog = Seen {
            facts: full,
            ..seen(5, 40)
        };
        check(&backlog, Some("backlog"), None);
        check(&seen(5, 40), Some("unknown"), Some("5 messages"));
        let failure = |is_refusal| Failure {
            at: Uptime::from_micros(995_000_000),
            error: "claiming messages failed: no".into(),
            is_refusal,
        };
        for (is_refusal, cause) in [(true, "refused"), (false, "unanswered")] {
            let mut failed = seen(5, 40);
            failed.noted.claim = Some(failure(is_refusal));
            check(&failed, Some(cause), Some("claiming messages failed: no"));
            // Another was claimed since these became due: the path is well.
            failed.noted.won = Some(Uptime::from_micros(990_000_000));
            check(&failed, Some(cause), None);
        }
        let mut unrecorded = seen(0, 0);
        unrecorded.noted.record = Some(failure(true));
        unrecorded.unrecorded_for = Some(Duration::from_secs(9));
        check(&unrecorded, None, None);
        unrecorded.unrecorded_for = Some(Duration::from_secs(11));
        check(
            &unrecorded,
            None,
            Some("results have not been recorded for 11 s"),
        );
    }

    #[test]
    fn a_fault_that_is_certain_is_a_reason_though_nothing_is_due() {
        let fault = |is_certain| Fault {
            what: "rules".into(),
            is_certain,
            found: "rule r rewrites changes".into(),
            remedy: "drop it".into(),
        };
        let mut certain = seen(0, 0);
        certain.faults = vec![fault(true)];
        check(&certain, None, Some("rule r rewrites changes: drop it"));
        let mut perhaps = seen(0, 0);
        perhaps.faults = vec![fault(false)];
        check(&perhaps, None, None);
        perhaps.overdue = seen(3, 11).overdue;
        check(&perhaps, Some("no_effect"), Some("rule r rewrites changes"));
    }
}
