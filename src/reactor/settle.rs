//! What an outcome means for the row. The one place for it.

use std::time::Duration;

use uuid::Uuid;

use crate::message::{
    AttemptToken, Category, MessageId, Moment, Outcome, ProviderSid, Retry, Status,
};
use crate::schedule::Backoff;

/// Between tries of what certainly did not leave: the provider may be back any moment, so it
/// starts at a second and stays below a minute.
const UNSENT: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// After a 429 without a `Retry-After`.
const THROTTLED: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// A `Retry-After` beyond this is taken as this: the row's own lateness limit decides sooner.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The longest pause before a retry, whatever the row's `max_attempts`: a day later the message
/// is a different one.
const RETRY_MAX: Duration = Duration::from_secs(24 * 3600);

/// The longest a message that was refused for the account's sake stays behind the others. It is
/// the account that is held; the pause only makes the next probe somebody else's, so that a
/// refusal that was the message's own after all does not hold everybody up.
pub const HELD_MAX: Duration = Duration::from_secs(300);

/// Which attempt a request was, and what the row allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptBudget {
    /// Which attempt it is, from 1, unsent ones included.
    pub number: i32,
    /// How many attempts have counted before it.
    pub before: i32,
    /// How many may count in all.
    pub max: i32,
    /// The message is worth nothing after this.
    pub expires: Moment,
}

impl AttemptBudget {
    /// How long until the next attempt, after this one was refused at `at`; or why there is none.
    pub fn next(&self, base: Duration, whose: MessageId, at: Moment) -> Result<Duration, NoMore> {
        let counted = self.before.saturating_add(1);
        if counted >= self.max {
            return Err(NoMore::UsedUp);
        }
        let n = u32::try_from(counted).unwrap_or(1);
        let pause = Backoff::new(base, RETRY_MAX).spread(n, whose.0);
        if at + pause > self.expires {
            return Err(NoMore::TooLate);
        }
        Ok(pause)
    }
}

/// What there is no more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMore {
    /// The attempts.
    UsedUp,
    /// The time.
    TooLate,
}

/// How a request went and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendResult {
    /// How.
    pub outcome: Outcome,
    /// When the request was handed to the provider's client. `None`: it never was.
    pub started: Option<Moment>,
    /// When it was over.
    pub finished: Moment,
}

/// What is to stand in the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The provider took it.
    Accepted {
        /// Its proof.
        sid: ProviderSid,
    },
    /// Anything else.
    Settled {
        /// Where the row goes.
        to: Status,
        /// The ledger's word for what happened.
        outcome: &'static str,
        /// The provider's code.
        code: Option<i32>,
        /// The kind of refusal.
        category: Option<&'static str>,
        /// For people.
        reason: Option<String>,
        /// With `to` pending: how long not to try.
        pause: Option<Duration>,
        /// With `to` pending: not before this moment, because the policy said so.
        until: Option<Moment>,
        /// Whether it uses up one of the row's attempts.
        counts: bool,
    },
}

impl Settlement {
    /// A claim given back unused: nothing happened, and nothing is to wait for.
    pub fn returned(reason: &str) -> Self {
        Self::Settled {
            to: Status::Pending,
            outcome: "returned",
            code: None,
            category: None,
            reason: Some(reason.to_owned()),
            pause: None,
            until: None,
            counts: false,
        }
    }

    /// Nobody knows what became of a request.
    pub fn in_doubt(reason: String) -> Self {
        Self::Settled {
            to: Status::Unconfirmed,
            outcome: "unknown",
            code: None,
            category: None,
            reason: Some(reason),
            pause: None,
            until: None,
            counts: true,
        }
    }

    /// A verdict against sending.
    pub fn cancelled(reason: String) -> Self {
        Self::verdict(Status::Cancelled, "cancelled", reason)
    }

    /// A verdict to wait: the claim is given back, and nothing was tried.
    pub fn deferred(until: Moment, reason: String) -> Self {
        Self::Settled {
            to: Status::Pending,
            outcome: "deferred",
            code: None,
            category: None,
            reason: Some(reason),
            pause: None,
            until: Some(until),
            counts: false,
        }
    }

    /// A row that never could be sent.
    pub fn rejected(reason: String) -> Self {
        Self::verdict(Status::Failed, "rejected", reason)
    }

    fn verdict(to: Status, outcome: &'static str, reason: String) -> Self {
        Self::Settled {
            to,
            outcome,
            code: None,
            category: None,
            reason: Some(reason),
            pause: None,
            until: None,
            counts: false,
        }
    }

    /// What an answer means for a row that allows `tries`.
    pub fn of(answer: SendResult, id: MessageId, tries: AttemptBudget) -> Self {
        let n = u32::try_from(tries.number).unwrap_or(1);
        let held = answer.outcome.holds_account();
        match answer.outcome {
            Outcome::Accepted { sid } => Self::Accepted { sid },
            Outcome::Throttled {
                retry_after, code, ..
            } => {
                let pause = retry_after.unwrap_or_else(|| THROTTLED.spread(n, id.0));
                let pause = held.map_or(pause.min(RETRY_AFTER_MAX), |probe| probe.min(HELD_MAX));
                let reason = with_code("throttled by the provider".into(), code);
                Self::again("throttled", code, reason, pause)
            }
            Outcome::Unsent { reason } => {
                Self::again("unsent", None, reason, UNSENT.spread(n, id.0))
            }
            Outcome::Refused {
                code,
                category,
                text,
                retry,
            } => {
                let refusal = Refusal {
                    code,
                    category,
                    reason: with_code(text, code),
                };
                refusal.settle(retry, id, tries, answer.finished)
            }
            Outcome::Unknown { reason } => Self::in_doubt(reason),
        }
    }

    fn again(outcome: &'static str, code: Option<i32>, reason: String, pause: Duration) -> Self {
        Self::Settled {
            to: Status::Pending,
            outcome,
            code,
            category: None,
            reason: Some(reason),
            pause: Some(pause),
            until: None,
            counts: false,
        }
    }
}

fn with_code(text: String, code: Option<i32>) -> String {
    match code {
        Some(code) => format!("{text} (Code: {code})"),
        None => text,
    }
}

struct Refusal {
    code: Option<i32>,
    category: Category,
    reason: String,
}

impl Refusal {
    fn settle(self, retry: Retry, id: MessageId, tries: AttemptBudget, at: Moment) -> Settlement {
        let base = match retry {
            Retry::HoldAccount { probe } => {
                return self.settled(Status::Pending, Some(probe.min(HELD_MAX)), false);
            }
            Retry::After { base } => base,
            // There is no setting for it: a second text is worse than none.
            Retry::No | Retry::OnlyIfConfigured { .. } => {
                return self.settled(Status::Failed, None, true);
            }
        };
        match tries.next(base, id, at) {
            Ok(pause) => self.settled(Status::Pending, Some(pause), true),
            Err(NoMore::UsedUp) => self.settled(Status::Failed, None, true),
            Err(NoMore::TooLate) => {
                let reason = format!("{}; another attempt would come too late", self.reason);
                Self { reason, ..self }.settled(Status::Failed, None, true)
            }
        }
    }

    fn settled(self, to: Status, pause: Option<Duration>, counts: bool) -> Settlement {
        Settlement::Settled {
            to,
            outcome: "refused",
            code: self.code,
            category: Some(self.category.as_str()),
            reason: Some(self.reason),
            pause,
            until: None,
            counts,
        }
    }
}

/// One thing to be recorded.
#[derive(Clone, Debug)]
pub struct Record<P> {
    /// The message.
    pub id: MessageId,
    /// The attempt.
    pub token: AttemptToken,
    /// What is to stand.
    pub settlement: Settlement,
    /// When the request began and ended, if there was one.
    pub started: Option<Moment>,
    /// See `started`.
    pub finished: Option<Moment>,
    /// What was sent.
    pub payload: Option<P>,
    /// How often this could not be written, in a row.
    pub tries: u32,
}

impl<P> Record<P> {
    /// Gives a claim back of which nothing but its token is known.
    pub(super) fn give_back(id: MessageId, token: AttemptToken, reason: &str) -> Self {
        Self {
            id,
            token,
            settlement: Settlement::returned(reason),
            started: None,
            finished: None,
            payload: None,
            tries: 0,
        }
    }

    /// What the pause between tries is spread by.
    pub(super) const fn key(&self) -> Uuid {
        self.token.0
    }
}

#[cfg(test)]
mod tests;
