//! Senders and recipients that the provider slows: their messages wait, and no others.
//!
//! "Too many" from a sender concerns all messages from it; "too many" to a recipient, or without a name, those from
//! the same sender to it. Such a sender or pair waits: what is claimed of it and due is not started, but released,
//! to be due again after the wait. Then one of its messages is the probe. If the provider still throttles it, the wait
//! doubles; with each request that it does not throttle the wait halves, until the pair is forgotten. A sender that is
//! refused for every recipient waits too, for as long as the refusal says, once two recipients have shown it.
//!
//! What is kept is bounded: if there is too much, or nothing happened for a while, what may go on first is
//! forgotten. Then the next request that is throttled adds it again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::Reactor;
use super::lanes::Lane;
use super::report::SlowedReport;
use crate::limits::SlowLimits;
use crate::message::{
    AttemptToken, MessageId, Now, Outcome, Parties, PartyKey, Retry, Scope, Uptime,
};

mod slow;
#[cfg(test)]
mod tests;

pub(super) use slow::SlowWait;
use slow::{Cause, Slow};

/// The senders and recipients that the provider slows.
#[derive(Debug)]
pub(super) struct Slowed {
    limits: SlowLimits,
    known: HashMap<PartyKey, Slow>,
    /// By the end of their waits.
    order: BTreeSet<(Uptime, PartyKey)>,
}

impl Slowed {
    pub(super) fn new(limits: SlowLimits) -> Self {
        Self {
            limits,
            known: HashMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Whether a message of these parties has to wait.
    pub(super) fn wait(&self, parties: &Parties, now: Uptime) -> Option<SlowWait> {
        if self.known.is_empty() {
            return None;
        }
        let of = |key| self.known.get(&key)?.wait(key, &self.limits, now);
        let waits = [of(parties.sender), of(parties.pair)];
        waits.into_iter().flatten().max_by_key(|wait| wait.pause)
    }

    /// The wait of a message that is released for it: one after the other, so that no more of them come back at a time
    /// than may start.
    pub(super) fn wait_in_turn(&mut self, wait: SlowWait, id: MessageId) -> SlowWait {
        let Some(slow) = self.known.get_mut(&wait.key) else {
            return wait;
        };
        slow.released = slow.released.saturating_add(1);
        let micros = |of: Duration| u64::try_from(of.as_micros()).unwrap_or(u64::MAX);
        let step = micros(slow.step(&self.limits)).max(1);
        let turns = (micros(self.limits.gap_max) / step).max(1);
        let (high, low) = id.0.as_u64_pair();
        let place = (high ^ low).wrapping_mul(0x9E37_79B9_7F4A_7C15) % step;
        // Each has a place of its own in its turn, also where one turn is as long as the longest wait.
        let turn = match u64::from(slow.released) % turns {
            0 => place,
            n => step.saturating_mul(n) - place / 4,
        };
        SlowWait {
            pause: wait.pause + Duration::from_micros(turn),
            ..wait
        }
    }

    /// A request begins: the next ones of its parties wait for its response.
    pub(super) fn started(&mut self, parties: &Parties, token: AttemptToken) {
        if self.known.is_empty() {
            return;
        }
        for key in [parties.sender, parties.pair] {
            if let Some(slow) = self.known.get_mut(&key) {
                slow.probe = Some(token);
                slow.released = 0;
            }
        }
    }

    /// Whether the provider throttled this pair before, and nothing since `accepted`, when it last accepted a request
    /// of the lane: then it is the pair's limit, and not the account's.
    pub(super) fn is_its_own(&self, pair: PartyKey, accepted: Uptime) -> bool {
        let known = self.known.get(&pair);
        known.is_some_and(|slow| accepted > slow.latest)
    }

    fn throttled(
        &mut self,
        (key, scope): (PartyKey, Scope),
        token: Option<AttemptToken>,
        retry_after: Option<Duration>,
        now: Uptime,
    ) {
        let was = self.known.get(&key).copied();
        // Refused for every recipient, it waits longer than that.
        if was.is_some_and(|slow| slow.cause == Cause::Refused && now < slow.until) {
            return;
        }
        let was = was.filter(|slow| slow.cause == Cause::Throttled);
        let gap = match was {
            // The response to a request from before the wait says nothing new, and neither does a report within it.
            Some(slow) if token.is_some() && slow.probe != token => slow.gap,
            Some(slow) if token.is_none() && now < slow.until => slow.gap,
            Some(slow) => (slow.gap * 2).min(self.limits.gap_max),
            None => self.limits.gap_first,
        };
        let wait = gap.max(retry_after.unwrap_or_default());
        self.keep(
            key,
            Slow {
                cause: Cause::Throttled,
                scope,
                gap,
                until: (now + wait).max(was.map_or(Uptime::MIN, |slow| slow.until)),
                latest: now,
                probe: was
                    .and_then(|slow| slow.probe)
                    .filter(|own| Some(*own) != token),
                released: was.map_or(0, |slow| slow.released),
            },
        );
    }

    /// The sender is refused, whatever the recipient, as far as this one response shows.
    fn refused(&mut self, parties: &Parties, pause: Duration, now: Uptime) {
        let was = self.known.get(&parties.sender);
        // Throttled, it waits already. If it is refused, that shows again after the wait.
        if was.is_some_and(|slow| slow.cause == Cause::Throttled && now < slow.until) {
            return;
        }
        let cause = match was.map(|slow| slow.cause) {
            Some(Cause::Refused) => Cause::Refused,
            Some(Cause::Suspected(first)) if first != parties.pair => Cause::Refused,
            _ => Cause::Suspected(parties.pair),
        };
        self.keep(
            parties.sender,
            Slow {
                cause,
                scope: Scope::Sender,
                gap: pause,
                until: now + pause,
                latest: now,
                probe: None,
                released: 0,
            },
        );
    }

    /// A request has its response, which is not about these of its parties. `is_known`: the provider would accept
    /// others of them.
    fn passed(
        &mut self,
        keys: impl IntoIterator<Item = PartyKey>,
        token: AttemptToken,
        is_known: bool,
        now: Uptime,
    ) {
        for key in keys {
            let Some(slow) = self.known.get(&key).copied() else {
                continue;
            };
            let is_probe = slow.probe == Some(token);
            let gap = slow.gap / 2;
            match slow.cause {
                Cause::Suspected(_) | Cause::Refused if is_known && is_probe => self.forget(key),
                Cause::Throttled if is_known && is_probe && gap < self.limits.gap_least => {
                    self.forget(key);
                }
                Cause::Throttled if is_known && is_probe => self.keep(
                    key,
                    Slow {
                        gap,
                        until: now + gap,
                        probe: None,
                        ..slow
                    },
                ),
                // It showed nothing, so another one does.
                _ if is_probe => self.keep(
                    key,
                    Slow {
                        until: now + slow.gap,
                        probe: None,
                        ..slow
                    },
                ),
                _ => {}
            }
        }
    }

    fn keep(&mut self, key: PartyKey, slow: Slow) {
        if let Some(was) = self.known.insert(key, slow) {
            self.order.remove(&(was.until, key));
        }
        self.order.insert((slow.until, key));
        while self.known.len() > self.limits.max {
            let Some((_, first)) = self.order.first().copied() else {
                return;
            };
            self.forget(first);
        }
    }

    fn forget(&mut self, key: PartyKey) {
        if let Some(was) = self.known.remove(&key) {
            self.order.remove(&(was.until, key));
        }
    }

    /// Forgets those whose wait has been over for a while.
    pub(super) fn forget_old(&mut self, now: Uptime) {
        while let Some((until, key)) = self.order.first().copied() {
            if now.since(until) < self.limits.kept {
                return;
            }
            self.forget(key);
        }
    }

    /// Those that wait, for how long, and the longest first.
    pub(super) fn waiting(&self, now: Uptime) -> impl Iterator<Item = (PartyKey, Duration)> {
        let order = self.order.iter().rev();
        let waiting = order.take_while(move |(until, _)| *until > now);
        let is_sure = |key: &PartyKey| {
            let slow = self.known.get(key);
            slow.is_some_and(|slow| !matches!(slow.cause, Cause::Suspected(_)))
        };
        waiting
            .filter(move |(_, key)| is_sure(key))
            .map(move |(until, key)| (*key, until.since(now)))
    }

    fn report(&self) -> SlowedReport {
        let mut report = SlowedReport::default();
        for slow in self.known.values() {
            match (slow.cause, slow.scope) {
                (Cause::Suspected(_), _) => {}
                (Cause::Refused, _) => report.senders_refused += 1,
                (Cause::Throttled, Scope::Sender) => report.senders += 1,
                (Cause::Throttled, _) => report.recipients += 1,
            }
        }
        report
    }
}

impl<P: Clone> Reactor<P> {
    /// Applies the outcome of a request to the others of its sender, its recipient or its lane.
    pub(super) fn slow_down(
        &mut self,
        (lane, parties, token): (Lane, &Parties, AttemptToken),
        outcome: &Outcome,
        now: Now,
    ) {
        let retry_after = match outcome {
            Outcome::Throttled { retry_after, .. } => *retry_after,
            _ => None,
        };
        let (sender, pair) = (parties.sender, parties.pair);
        match (outcome.slows(), outcome) {
            (Some(Scope::Sender), _) => {
                let key = (sender, Scope::Sender);
                self.slowed.throttled(key, Some(token), retry_after, now.up);
                self.slowed.passed([pair], token, false, now.up);
            }
            (Some(scope), _) => {
                let state = &mut self.lanes[lane];
                let is_its_own = self.slowed.is_its_own(pair, state.accepted_at);
                if scope == Scope::Account && !is_its_own {
                    let at_once = state.load.sending;
                    state.throttle.throttled(pair, at_once, now.up);
                }
                let key = (pair, Scope::Recipient);
                self.slowed.throttled(key, Some(token), retry_after, now.up);
                self.slowed.passed([sender], token, false, now.up);
            }
            (
                None,
                Outcome::Refused {
                    retry: Retry::HoldSender { pause },
                    ..
                },
            ) => {
                self.slowed.refused(parties, *pause, now.up);
                self.slowed.passed([pair], token, false, now.up);
            }
            (None, Outcome::Accepted { .. } | Outcome::Refused { .. })
                if outcome.holds_account().is_none() =>
            {
                self.lanes[lane].accepted_at = now.up;
                self.slowed.passed([sender, pair], token, true, now.up);
            }
            (None, _) => self.slowed.passed([sender, pair], token, false, now.up),
        }
    }

    /// The provider reports later that a message did not arrive, and what follows for the others.
    pub(super) fn reported(&mut self, parties: &Parties, retry: Retry, now: Now) {
        let key = match retry.slows() {
            Some(Scope::Sender) => (parties.sender, Scope::Sender),
            Some(Scope::Recipient) => (parties.pair, Scope::Recipient),
            Some(Scope::Account) | None => {
                if let Retry::HoldSender { pause } = retry {
                    self.slowed.refused(parties, pause, now.up);
                }
                return;
            }
        };
        self.slowed.throttled(key, None, None, now.up);
    }

    /// The senders and recipients that wait.
    pub fn slowed(&self) -> SlowedReport {
        self.slowed.report()
    }
}
