//! The provider: takes messages, refuses, throttles, hangs, and takes them without saying so.

use std::time::Duration;

use punctual::message::{
    AttemptToken, Category, MessageId, Moment, Outcome, ProviderSid, Retry, Scope, Uptime,
};
use punctual::settle::SendResult;

use super::{Input, Payload, Process, Whose, World};
use crate::mutant::Mutant;
use crate::plan::{MS, SECOND, micros};
use crate::trouble::{Kind, Trouble};

/// A request that has left. What came of it is known to the world, whoever else knows it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: MessageId,
    pub(crate) token: AttemptToken,
    /// How many parts of its message come before what it sends.
    pub(crate) part: i16,
    /// By which account it leaves.
    pub(crate) account: String,
    /// Whether the provider says that it took it, whoever hears that.
    pub(crate) is_accepted: bool,
    /// Whether the daemon was notified, and is right to think, that nothing was accepted.
    pub(crate) known_unaccepted: bool,
    /// When the daemon heard what came of it.
    pub(crate) answered_at: Option<i64>,
}

/// A request that was decided on.
#[derive(Debug)]
pub(super) struct Departure {
    id: MessageId,
    payload: Payload,
    start_before: Uptime,
}

/// The way back.
#[derive(Debug)]
pub(super) struct Reply {
    id: MessageId,
    token: AttemptToken,
    outcome: Outcome,
    /// Whether nothing was accepted, and the provider's answer says so.
    certain: bool,
    started: Option<Moment>,
}

impl World {
    pub(super) fn depart(
        &mut self,
        whose: Whose,
        id: MessageId,
        payload: Payload,
        start_before: Uptime,
    ) {
        let stalled = self.odds.stalled;
        let dice = &mut self.chances.provider;
        let delay = if dice.chance(stalled) {
            dice.between(0, 9 * SECOND)
        } else {
            dice.between(1, 150)
        };
        let departure = Departure {
            id,
            payload,
            start_before,
        };
        self.process_at(self.t + delay, whose, Process::Leave(departure));
    }

    /// What `Dispatch::send` does.
    pub(super) fn leave(&mut self, whose: Whose, departure: Departure) {
        let Departure {
            id,
            payload,
            start_before,
        } = departure;
        let now = self.now_of(whose.slot);
        let token = payload.token();
        if now.up > start_before && self.mutant != Some(Mutant::NoLease) {
            self.feed(whose, Input::TooLate { id });
            return;
        }
        let row = id.0.as_u128();
        self.note(|| format!("daemon {} sends row {row}", whose.slot));
        self.watch_request(whose.slot, &payload);
        self.requests.push(Request {
            id,
            token,
            part: payload.part().before,
            account: payload.lane().account().to_owned(),
            is_accepted: false,
            known_unaccepted: false,
            answered_at: None,
        });
        let (outcome, takes) = self.provide(&payload);
        self.note_slowed(&payload, &outcome);
        if let Some(request) = self.requests.last_mut() {
            request.is_accepted = matches!(outcome, Outcome::Accepted { .. });
        }
        self.note(|| format!("  and after {takes} us is to hear: {outcome:?}"));
        let certain = matches!(
            outcome,
            Outcome::Throttled { .. } | Outcome::Unsent { .. } | Outcome::Refused { .. }
        );
        let outcome = match outcome {
            Outcome::Unknown { reason } if self.mutant == Some(Mutant::BlindRetry) => {
                Outcome::Unsent { reason }
            }
            other => other,
        };
        let reply = Reply {
            id,
            token,
            outcome,
            certain,
            started: Some(now.db),
        };
        self.process_at(self.t + takes, whose, Process::Answered(reply));
    }

    /// What comes of a request, and after how long.
    fn provide(&mut self, payload: &Payload) -> (Outcome, i64) {
        let on = |trouble: &&Trouble| self.is_troubled(payload, trouble) && trouble.is_on(self.t);
        if let Some(trouble) = self.plan.troubles.iter().find(on).copied() {
            return self.provide_in(trouble.kind);
        }
        let odds = self.odds;
        let timeout = i64::try_from(self.plan.settings.send_timeout.as_micros()).unwrap_or(0);
        let sid = ProviderSid(format!("SM{}", self.requests.len()));
        let dice = &mut self.chances.provider;
        let quick = dice.between(5 * MS, 30 * MS);
        let slow = dice.between(5 * MS, timeout);
        let slow = if self.t < self.plan.calm_at {
            slow
        } else {
            quick
        };
        if dice.chance(odds.hangs) {
            let reason = "no answer in time".to_owned();
            return (Outcome::Unknown { reason }, timeout);
        }
        if dice.chance(odds.proof_lost) {
            let reason = "the connection was reset".to_owned();
            return (Outcome::Unknown { reason }, slow);
        }
        if dice.chance(odds.throttled) {
            let retry_after = dice
                .chance(500)
                .then(|| Duration::from_millis(dice.next() % 20_000));
            let code = Some(20429);
            let hold = None;
            let throttled = Outcome::Throttled {
                retry_after,
                code,
                scope: Scope::Account,
                hold,
            };
            return (throttled, quick);
        }
        if dice.chance(odds.unsent) {
            let reason = "connection refused".to_owned();
            return (Outcome::Unsent { reason }, quick);
        }
        if dice.chance(odds.rejected) {
            let refused = Outcome::Refused {
                code: Some(21211),
                category: Category::InvalidNumber,
                text: "not a number".to_owned(),
                retry: Retry::No,
            };
            return (refused, quick);
        }
        let takes = if dice.chance(odds.slow) { slow } else { quick };
        (Outcome::Accepted { sid }, takes)
    }

    /// The same, of a lane in trouble.
    fn provide_in(&mut self, kind: Kind) -> (Outcome, i64) {
        let timeout = i64::try_from(self.plan.settings.send_timeout.as_micros()).unwrap_or(0);
        let quick = self.chances.provider.between(5 * MS, 30 * MS);
        match kind {
            Kind::Refused { probe } => {
                let refused = Outcome::Refused {
                    code: Some(20003),
                    category: Category::AccountIssue,
                    text: "not your account".to_owned(),
                    retry: Retry::HoldAccount {
                        probe: micros(probe),
                    },
                };
                (refused, quick)
            }
            Kind::Throttled => {
                let throttled = Outcome::Throttled {
                    retry_after: None,
                    code: Some(20429),
                    scope: Scope::Account,
                    hold: None,
                };
                (throttled, quick)
            }
            Kind::Slow => {
                let sid = ProviderSid(format!("SM{}", self.requests.len()));
                (Outcome::Accepted { sid }, timeout - quick)
            }
            Kind::Slowed { scope } => {
                let throttled = Outcome::Throttled {
                    retry_after: None,
                    code: None,
                    scope,
                    hold: None,
                };
                (throttled, quick)
            }
            Kind::SenderRefused { pause } => {
                let refused = Outcome::Refused {
                    code: Some(21660),
                    category: Category::SenderIssue,
                    text: "not your sender".to_owned(),
                    retry: Retry::HoldSender {
                        pause: micros(pause),
                    },
                };
                (refused, quick)
            }
            Kind::Unreached => {
                let reason = "connection refused".to_owned();
                (Outcome::Unsent { reason }, quick)
            }
            Kind::Mute => {
                let reason = "no answer in time".to_owned();
                (Outcome::Unknown { reason }, timeout)
            }
        }
    }

    pub(super) fn answered(&mut self, whose: Whose, mut reply: Reply) {
        if let Outcome::Throttled { scope, .. } = &mut reply.outcome
            && self.mutant == Some(Mutant::WidensLimits)
            && *scope == Scope::Recipient
        {
            *scope = Scope::Sender;
        }
        self.hears_slowed(whose.slot, reply.token, &reply.outcome);
        if let Some(request) = self.requests.iter_mut().find(|r| r.token == reply.token) {
            request.known_unaccepted = reply.certain;
            request.answered_at = Some(self.t);
        }
        let answer = SendResult {
            outcome: reply.outcome,
            started: reply.started,
            finished: self.now_of(whose.slot).db,
        };
        let input = Input::Sent {
            id: reply.id,
            answer,
        };
        self.feed(whose, input);
    }
}
