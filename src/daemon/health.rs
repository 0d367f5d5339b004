//! Checks whether due messages are sent. Other checks observe the parts, this one observes the result: what
//! has been due for ten seconds and is not claimed, which outcomes cannot be recorded, and why.
//!
//! On the heartbeat's connections, because the cause may block all others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::dispatch::{Dispatch, Failure, Noted};
use crate::message::Uptime;
use crate::metrics::Waiting;
use crate::store::{Fault, Overdue, Store, StoreError};

/// How often it checks.
const EVERY: Duration = Duration::from_secs(2);

/// How long a due message may wait, and an outcome unrecorded: locks, retries and a slow database take
/// less.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a check may take. If it takes longer, the database is away, which others report.
const CHECK_PATIENCE: Duration = Duration::from_secs(5);

/// A failure this old says nothing about now.
const RECENT: Duration = Duration::from_secs(30);

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
    reason: Option<String>,
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
    }

    /// Why due messages are not sent.
    pub(super) fn reason(&self) -> Option<String> {
        self.state().reason.clone()
    }

    /// Checks until it is dropped.
    pub(super) async fn keep(self, store: Store, dispatch: Dispatch) {
        let mut next = interval(EVERY);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            self.check(&store, &dispatch).await;
        }
    }

    async fn check(&self, store: &Store, dispatch: &Dispatch) {
        let quarantined = store.quarantined_before();
        let overdue = store.overdue(PATIENCE, quarantined);
        let overdue = store.within(CHECK_PATIENCE, overdue).await;
        let faults = store.within(CHECK_PATIENCE, store.path_faults()).await;
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
            (Some(_), None) => tracing::info!("what is due is sent again"),
            _ => {}
        }
    }
}

/// What one check found.
struct Seen {
    facts: Facts,
    unrecorded_for: Option<Duration>,
    noted: Noted,
    overdue: Result<Overdue, StoreError>,
    faults: Vec<Fault>,
    now: Uptime,
}

impl Seen {
    /// The state for the metrics, and the reason why this daemon is not ready.
    fn judge(&self) -> (Waiting, Option<String>) {
        let overdue = match &self.overdue {
            Ok(overdue) => *overdue,
            // The database is away, which is reported elsewhere.
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
        // A claim since then shows that the path works: the fault is in these rows alone.
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

    /// Why overdue messages are not claimed: a label, and a sentence with what to do.
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
        let (waiting, given) = seen.judge();
        assert_eq!(waiting.cause, cause, "{given:?}");
        match (&given, reason) {
            (None, None) => {}
            (Some(given), Some(reason)) => assert!(given.contains(reason), "{given}"),
            _ => panic!("{given:?}, not {reason:?}"),
        }
    }

    #[test]
    fn what_is_explained_is_no_reason_and_what_is_not_is_one() {
        check(&seen(0, 0), None, None);
        let open = Facts {
            breaker_open: true,
            ..Facts::default()
        };
        let paused = Seen {
            facts: open,
            ..seen(5, 40)
        };
        check(&paused, Some("breaker"), None);
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
            // Another was claimed since these became due: the path works.
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
