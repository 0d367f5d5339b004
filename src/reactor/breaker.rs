//! When the provider refuses the account, and not a message: all wait, one asks.
//!
//! A bad credential, a suspended account or a used-up rolling limit would be answered to every
//! message alike, and each would fail for what is not its fault. So the first such refusal
//! opens the breaker: what is claimed and not started is given back, nothing more is claimed,
//! and from time to time one due message is sent as the probe. Only the probe's answer counts;
//! what was on its way when the breaker opened says nothing of the present.

use std::time::Duration;

use super::limits::ProviderLimits;
use super::report::BreakerReport;
use super::{Phase, Reactor};
use crate::message::{AttemptToken, MessageId, Moment, Now, Outcome, Uptime};

/// Why claims are given back while it is open.
const HELD: &str = "the provider refuses the account";

/// See the module.
#[derive(Debug)]
pub(super) struct Breaker {
    limits: ProviderLimits,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Moment,
    code: Option<i32>,
    category: &'static str,
    probe_every: Duration,
    next_probe: Uptime,
    /// The latest probe. Whether it is still under way is seen at its message.
    probe: Option<(MessageId, AttemptToken)>,
}

/// What an answer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turned {
    Opened,
    Otherwise,
}

impl Breaker {
    pub(super) const fn new(limits: ProviderLimits) -> Self {
        Self { limits, open: None }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn is_probe(&self, token: AttemptToken) -> bool {
        let probe = self.open.as_ref().and_then(|open| open.probe);
        probe.is_some_and(|(_, own)| own == token)
    }

    fn answered(&mut self, token: AttemptToken, outcome: &Outcome, now: Now) -> Turned {
        let is_probe = self.is_probe(token);
        let refused = outcome.holds_account();
        match (&mut self.open, refused) {
            (None, None) => Turned::Otherwise,
            (None, Some(probe_every)) => {
                let (code, category) = cause(outcome);
                self.open = Some(Open {
                    since: now.db,
                    code,
                    category,
                    probe_every,
                    next_probe: now.up + probe_every,
                    probe: None,
                });
                Turned::Opened
            }
            (Some(_), _) if !is_probe => Turned::Otherwise,
            (Some(open), Some(probe_every)) => {
                (open.code, open.category) = cause(outcome);
                open.probe_every = probe_every;
                open.next_probe = now.up + probe_every;
                Turned::Otherwise
            }
            (Some(open), None) => {
                match outcome {
                    // It may be in doubt for the same reason every time: not one in doubt a second.
                    Outcome::Unknown { .. } => open.next_probe = now.up + open.probe_every,
                    Outcome::Unsent { .. } => {
                        open.next_probe =
                            now.up + open.probe_every.min(self.limits.unsent_probe_pause);
                    }
                    // The account was let in, whatever became of the message.
                    Outcome::Accepted { .. }
                    | Outcome::Refused { .. }
                    | Outcome::Throttled { .. } => self.open = None,
                }
                Turned::Otherwise
            }
        }
    }
}

const fn cause(outcome: &Outcome) -> (Option<i32>, &'static str) {
    match outcome {
        Outcome::Refused { code, category, .. } => (*code, category.as_str()),
        Outcome::Throttled { code, .. } => (*code, "rate_limit"),
        Outcome::Accepted { .. } | Outcome::Unsent { .. } | Outcome::Unknown { .. } => (None, ""),
    }
}

impl<P: Clone> Reactor<P> {
    /// Takes in how a request went, as far as it is the account's.
    pub(super) fn account_answered(&mut self, token: AttemptToken, outcome: &Outcome, now: Now) {
        if self.breaker.answered(token, outcome, now) == Turned::Opened {
            let cleared = std::mem::take(&mut self.cleared);
            for (.., id) in cleared {
                self.give_back(id, HELD, now);
            }
        }
    }

    /// How many the breaker lets be claimed: all, one as the probe, or none.
    pub(super) fn breaker_allows(&self, now: Now) -> usize {
        match &self.breaker.open {
            None => usize::MAX,
            Some(open) => usize::from(open.next_probe <= now.up && !self.is_probing()),
        }
    }

    /// If it is open, what is claimed now is the probe.
    pub(super) fn note_probe(&mut self, id: MessageId, token: AttemptToken) {
        if let Some(open) = &mut self.breaker.open {
            open.probe = Some((id, token));
        }
    }

    /// Whether the latest probe may yet be answered. One whose claim was lost, judged against
    /// or given back is over, and another message may take its place at once.
    fn is_probing(&self) -> bool {
        let probe = self.breaker.open.as_ref().and_then(|open| open.probe);
        probe.is_some_and(|(id, token)| {
            let busy = self.busy.get(&id).filter(|busy| busy.token == token);
            busy.is_some_and(|busy| !matches!(busy.phase, Phase::Recording))
        })
    }

    /// Gives back what was won and must not be started: asked for before the breaker opened.
    pub(super) fn give_back_if_held(&mut self, id: MessageId, token: AttemptToken, now: Now) {
        if self.breaker.is_open() && !self.breaker.is_probe(token) {
            self.cleared.retain(|(.., cleared)| *cleared != id);
            self.give_back(id, HELD, now);
        }
    }

    /// Not before this is anything claimed; `None`: not before something happens.
    pub(super) fn next_allowed(&self, now: Now) -> Option<Moment> {
        match &self.breaker.open {
            None => Some(Moment::MIN),
            Some(_) if self.is_probing() => None,
            Some(open) => Some(now.db + open.next_probe.since(now.up)),
        }
    }

    /// Whether the provider refuses the account, and since when.
    pub fn breaker(&self, now: Now) -> BreakerReport {
        let Some(open) = &self.breaker.open else {
            return BreakerReport::default();
        };
        BreakerReport {
            open: true,
            since: Some(open.since),
            next_probe_at: Some(now.db + open.next_probe.since(now.up)),
            category: Some(open.category),
            reason: open.code,
        }
    }
}
