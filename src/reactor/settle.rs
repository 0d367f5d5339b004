//! What an outcome means for the row. The one place for it.

use std::time::Duration;

use uuid::Uuid;

use crate::message::{AttemptToken, MessageId, Moment, Outcome, ProviderSid, Status};
use crate::schedule::Backoff;

/// Between tries of what certainly did not leave: the provider may be back any moment, so it
/// starts at a second and stays below a minute.
const UNSENT: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// After a 429 without a `Retry-After`.
const THROTTLED: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// A `Retry-After` beyond this is taken as this: the row's own lateness limit decides sooner.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How a request went and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
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
            counts: false,
        }
    }

    /// A verdict against sending.
    pub fn cancelled(reason: String) -> Self {
        Self::verdict(Status::Cancelled, "cancelled", reason)
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
            counts: false,
        }
    }

    /// What an outcome means. `number` is the attempt's, from 1.
    pub fn of(outcome: Outcome, id: MessageId, number: i32) -> Self {
        let n = u32::try_from(number).unwrap_or(1);
        match outcome {
            Outcome::Accepted { sid } => Self::Accepted { sid },
            Outcome::Throttled { retry_after, code } => {
                let pause = retry_after.unwrap_or_else(|| THROTTLED.spread(n, id.0));
                Self::again(
                    "throttled",
                    code,
                    "throttled by the provider".into(),
                    pause.min(RETRY_AFTER_MAX),
                )
            }
            Outcome::Unsent { reason } => {
                Self::again("unsent", None, reason, UNSENT.spread(n, id.0))
            }
            Outcome::Refused {
                code,
                category,
                text,
            } => Self::Settled {
                to: Status::Failed,
                outcome: "refused",
                code,
                category: Some(category.as_str()),
                reason: Some(match code {
                    Some(code) => format!("{text} (Code: {code})"),
                    None => text,
                }),
                pause: None,
                counts: true,
            },
            Outcome::Unknown { reason } => Self::Settled {
                to: Status::Unconfirmed,
                outcome: "unknown",
                code: None,
                category: None,
                reason: Some(reason),
                pause: None,
                counts: true,
            },
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
            counts: false,
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
mod tests {
    use super::*;
    use crate::message::Category;

    /// (status, ledger's word, whether it counts, whether it waits)
    fn check(outcome: Outcome, expected: (Status, &str, bool, bool)) -> Settlement {
        let id = MessageId(Uuid::from_u128(7));
        let settlement = Settlement::of(outcome, id, 1);
        let Settlement::Settled {
            to,
            outcome,
            counts,
            pause,
            ..
        } = &settlement
        else {
            panic!("{settlement:?}");
        };
        assert_eq!((*to, *outcome, *counts, pause.is_some()), expected);
        settlement
    }

    #[test]
    fn what_is_certain_to_be_unsent_costs_nothing_and_waits() {
        let unsent = Outcome::Unsent {
            reason: "connection refused".into(),
        };
        check(unsent, (Status::Pending, "unsent", false, true));
        let throttled = Outcome::Throttled {
            retry_after: Some(Duration::from_secs(7)),
            code: Some(20429),
        };
        let settled = check(throttled, (Status::Pending, "throttled", false, true));
        let Settlement::Settled { pause, .. } = settled else {
            unreachable!()
        };
        assert_eq!(pause, Some(Duration::from_secs(7)));
    }

    #[test]
    fn what_is_in_doubt_is_held() {
        let unknown = Outcome::Unknown {
            reason: "timed out".into(),
        };
        check(unknown, (Status::Unconfirmed, "unknown", true, false));
    }

    #[test]
    fn a_refusal_fails_with_its_code() {
        let refused = Outcome::Refused {
            code: Some(21211),
            category: Category::InvalidNumber,
            text: "Invalid 'To' number".into(),
        };
        let settled = check(refused, (Status::Failed, "refused", true, false));
        let Settlement::Settled { reason, .. } = settled else {
            unreachable!()
        };
        assert_eq!(reason.as_deref(), Some("Invalid 'To' number (Code: 21211)"));
    }
}
