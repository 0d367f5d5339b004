//! While the provider refuses the account, and not a message: its lane waits, one message probes.
//!
//! A bad credential, a suspended account or a used-up rolling limit concerns every message of the lane alike, and each
//! would fail although nothing is wrong with it. So the first such refusal opens the lane's breaker: claims that are
//! not started are released, nothing more is claimed, and from time to time one due message is sent as the probe. Only
//! the probe's response counts; requests from before the breaker opened say nothing about the present.

use std::time::Duration;

use super::lanes::Lane;
use super::report::BreakerReport;
use super::{Phase, Reactor};
use crate::limits::ProviderLimits;
use crate::message::{AttemptToken, LaneKey, MessageId, Moment, Now, Outcome, Uptime};

/// Why claims are released while it is open.
pub(super) const ACCOUNT_REFUSED: &str = "the provider refuses the account";

/// The same while it cannot be reached, of what may go by another account.
const UNREACHED: &str = "the account could not be reached";

/// The breaker of one lane.
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

/// What a response changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turned {
    Opened,
    Closed,
    Otherwise,
}

/// A breaker that opened or closed, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerTurn {
    /// Its lane.
    pub lane: LaneKey,
    /// As it is now.
    pub is: BreakerReport,
    /// Since when it had been open.
    pub was_open_since: Option<Moment>,
}

impl Breaker {
    pub(super) const fn new(limits: ProviderLimits) -> Self {
        Self { limits, open: None }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// When it is tried again; `None`: it is closed.
    pub(super) fn next_probe(&self) -> Option<Uptime> {
        self.open.as_ref().map(|open| open.next_probe)
    }

    fn is_probe(&self, token: AttemptToken) -> bool {
        let probe = self.open.as_ref().and_then(|open| open.probe);
        probe.is_some_and(|(_, own)| own == token)
    }

    pub(super) fn report(&self, now: Now) -> BreakerReport {
        let Some(open) = &self.open else {
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
                    // Its outcome may be uncertain for the same reason every time: not one a second.
                    Outcome::Unknown { .. } => open.next_probe = now.up + open.probe_every,
                    Outcome::Unsent { .. } => {
                        open.next_probe =
                            now.up + open.probe_every.min(self.limits.unsent_probe_pause);
                    }
                    // The account was accepted, whatever the message's outcome.
                    Outcome::Accepted { .. }
                    | Outcome::Refused { .. }
                    | Outcome::Throttled { .. } => {
                        self.open = None;
                        return Turned::Closed;
                    }
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
    /// Applies the outcome of a request of a lane, as far as it concerns the account.
    pub(super) fn account_answered(
        &mut self,
        lane: Lane,
        token: AttemptToken,
        outcome: &Outcome,
        now: Now,
    ) {
        let state = &mut self.lanes[lane];
        let was_open_since = state.breaker.open.as_ref().map(|open| open.since);
        let turned = state.breaker.answered(token, outcome, now);
        if turned == Turned::Otherwise {
            return;
        }
        self.breaker_turns.push(BreakerTurn {
            lane: state.key.clone(),
            is: state.breaker.report(now),
            was_open_since,
        });
        // It opens no connections while it is refused.
        self.lanes.touch(lane);
        self.way_changed(lane);
        if turned == Turned::Opened {
            for id in self.lanes.take_cleared(lane) {
                self.release(id, ACCOUNT_REFUSED, now);
            }
        }
    }

    /// Has what may go by other accounts armed again.
    fn way_changed(&mut self, lane: Lane) {
        if self.lanes.is_on_route(lane) {
            self.intake.sweep_soon();
        }
    }

    /// Notes whether a request that had begun reached the provider. While one does not, what may go by other accounts
    /// does.
    pub(super) fn reached(&mut self, lane: Lane, outcome: &Outcome, now: Now) {
        let again_at = now.up + self.settings.limits.provider.unsent_probe_pause;
        let has = !matches!(outcome, Outcome::Unsent { .. });
        if self.lanes.is_on_route(lane) && self.lanes[lane].reached(has, again_at) {
            self.way_changed(lane);
            if !has {
                for id in self.lanes.take_cleared(lane) {
                    self.release(id, UNREACHED, now);
                }
            }
        }
    }

    /// The breakers that have opened or closed since the last call.
    pub fn take_breaker_turns(&mut self) -> Vec<BreakerTurn> {
        std::mem::take(&mut self.breaker_turns)
    }

    /// How many of a lane may be claimed by its breaker: all, one as the probe, or none.
    pub(super) fn breaker_allows(&self, lane: Lane, now: Now) -> usize {
        match &self.lanes[lane].breaker.open {
            None => usize::MAX,
            Some(open) => usize::from(open.next_probe <= now.up && !self.is_probing(open)),
        }
    }

    /// If it is open, what is claimed now is the probe.
    pub(super) fn note_probe(&mut self, lane: Lane, id: MessageId, token: AttemptToken) {
        if let Some(open) = &mut self.lanes[lane].breaker.open {
            open.probe = Some((id, token));
        }
    }

    /// Whether the latest probe may still get a response. One whose claim was lost, judged against
    /// or released is over, and another message may be the probe at once.
    fn is_probing(&self, open: &Open) -> bool {
        open.probe.is_some_and(|(id, token)| {
            let busy = self.busy.get(&id).filter(|busy| busy.token == token);
            busy.is_some_and(|busy| !matches!(busy.phase, Phase::Recording { .. }))
        })
    }

    /// Whether what was won must not be started: it was requested before the breaker opened.
    pub(super) fn is_refused(&self, lane: Lane, token: AttemptToken) -> bool {
        let breaker = &self.lanes[lane].breaker;
        breaker.is_open() && !breaker.is_probe(token)
    }

    /// Not before this is anything of a lane claimed; `None`: not before something happens.
    pub(super) fn next_allowed(&self, lane: Lane, now: Now) -> Option<Moment> {
        match &self.lanes[lane].breaker.open {
            None => Some(Moment::MIN),
            Some(open) if self.is_probing(open) => None,
            Some(open) => Some(now.db + open.next_probe.since(now.up)),
        }
    }

    /// Whether the provider refuses an account, and since when: of the lane that has been refused
    /// for longest.
    pub fn breaker(&self, now: Now) -> BreakerReport {
        let open = self.lanes.all().map(|state| state.breaker.report(now));
        let open = open.filter(|report| report.open);
        open.min_by_key(|report| report.since).unwrap_or_default()
    }
}
