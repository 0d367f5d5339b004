//! What is kept of one sender, or one pair of a sender and a recipient.

use std::time::Duration;

use crate::limits::SlowLimits;
use crate::message::{AttemptToken, Category, PartyKey, Scope, Uptime};
use crate::settle::Settlement;

/// Why claims are released.
const SENDER_SLOWED: &str = "the provider throttles its sender";
const SENDER_REFUSED: &str = "the provider refuses its sender";
const RECIPIENT_SLOWED: &str = "the provider throttles its recipient";

/// Why a sender, or a pair, is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Throttled,
    /// One recipient, by its pair, had the sender refused.
    Suspected(PartyKey),
    Refused,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slow {
    pub(super) cause: Cause,
    pub(super) scope: Scope,
    /// From one of its messages to the next.
    pub(super) gap: Duration,
    /// The next one does not start before.
    pub(super) until: Uptime,
    /// When the provider last throttled or refused it.
    pub(super) latest: Uptime,
    /// The request that is to show whether it still does.
    pub(super) probe: Option<AttemptToken>,
    /// Messages released since the latest probe began.
    pub(super) released: u32,
}

/// How long a message waits, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reactor) struct SlowWait {
    pub(in crate::reactor) pause: Duration,
    pub(super) key: PartyKey,
    pub(super) reason: &'static str,
    pub(super) is_refusal: bool,
}

impl SlowWait {
    /// How its claim is released.
    pub(in crate::reactor) fn settlement(&self) -> Settlement {
        let category = if self.is_refusal {
            Category::SenderIssue
        } else {
            Category::RateLimit
        };
        Settlement::slowed(self.pause, category, self.reason)
    }
}

impl Slow {
    /// How far apart its messages may start. A refusal says nothing about that.
    pub(super) fn step(&self, limits: &SlowLimits) -> Duration {
        match self.cause {
            Cause::Refused => limits.gap_first,
            Cause::Throttled | Cause::Suspected(_) => self.gap,
        }
    }

    pub(super) fn wait(&self, key: PartyKey, limits: &SlowLimits, now: Uptime) -> Option<SlowWait> {
        let is_refusal = self.cause == Cause::Refused;
        let reason = match (self.cause, self.scope) {
            (Cause::Suspected(_), _) => return None,
            (Cause::Refused, _) => SENDER_REFUSED,
            (Cause::Throttled, Scope::Sender) => SENDER_SLOWED,
            (Cause::Throttled, _) => RECIPIENT_SLOWED,
        };
        let pause = if now < self.until {
            self.until.since(now)
        } else {
            self.probe.map(|_| self.step(limits))?
        };
        Some(SlowWait {
            pause,
            key,
            reason,
            is_refusal,
        })
    }
}
