//! What the outcome of a request, or a verdict against one, means for its row, and what is recorded of it. The reactor
//! settles what it sends; recovery and callbacks ([`crate::proof`]) settle by the same rules.

use std::time::Duration;

use crate::message::{
    Category, LedgerOutcome, MessageId, Moment, Outcome, ProviderSid, Retry, Status,
};
use crate::policy::{Reason, ReasonKind};
use crate::schedule::Backoff;

mod budget;
mod record;

pub use budget::{AttemptBudget, NoMore};
pub use record::Record;

/// Between tries of what was certainly not sent: the provider may be back any moment, so it
/// starts at a second and stays below a minute.
const UNSENT: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// After a 429; longer, if its `Retry-After` is.
const THROTTLED: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// The longest `Retry-After` that is followed: the row's own lateness limit decides sooner.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The longest pause of a message that was refused because of its account. The account waits by
/// its breaker; the pause only makes another message the next probe, so that a refusal that was
/// the message's own after all does not delay the others.
pub const ACCOUNT_PAUSE_MAX: Duration = Duration::from_secs(300);

/// Before a message whose texts could not be kept is claimed again: its row was locked, or the database failed.
const NOT_KEPT: Duration = Duration::from_secs(1);

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

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The provider accepted it.
    Accepted {
        /// Its proof.
        sid: ProviderSid,
    },
    /// Anything else.
    Settled(Settled),
}

/// An attempt that was not accepted, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The row's next state.
    pub next: Next,
    /// How the attempt ended.
    pub outcome: LedgerOutcome,
    /// The provider's code.
    pub code: Option<i32>,
    /// The kind of refusal.
    pub category: Option<Category>,
    /// The kind of reason of a verdict against sending.
    pub verdict: Option<ReasonKind>,
    /// For people.
    pub reason: Option<String>,
    /// Which lawful hours a verdict about hours was judged by.
    pub lawful: Option<String>,
    /// Whether it uses up one of the row's attempts.
    pub counts: bool,
}

/// The next state of a row that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Back to `pending`.
    Back(Wait),
    /// It is not tried again.
    Failed,
    /// A verdict against sending.
    Cancelled,
    /// Whether it was sent is not certain.
    Unconfirmed,
}

/// The pause before a row that is `pending` again is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// None: it is tried at once.
    No,
    /// For so long, from the response on; without one, from the record on.
    Pause(Duration),
    /// Until this moment, by the policy.
    Until(Moment),
}

impl Settled {
    fn new(next: Next, outcome: LedgerOutcome, reason: String) -> Self {
        Self {
            next,
            outcome,
            code: None,
            category: None,
            verdict: None,
            reason: Some(reason),
            lawful: None,
            counts: false,
        }
    }

    /// The row's status.
    pub const fn status(&self) -> Status {
        match self.next {
            Next::Back(_) => Status::Pending,
            Next::Failed => Status::Failed,
            Next::Cancelled => Status::Cancelled,
            Next::Unconfirmed => Status::Unconfirmed,
        }
    }

    /// The kind of reason, as metrics, logs and `punctual.attempts.category` have it.
    pub fn kind(&self) -> Option<&'static str> {
        let verdict = self.verdict.map(ReasonKind::as_str);
        verdict.or(self.category.map(Category::as_str))
    }

    /// How long the row is not tried, if it waits for a time.
    pub const fn pause(&self) -> Option<Duration> {
        match self.next {
            Next::Back(Wait::Pause(pause)) => Some(pause),
            _ => None,
        }
    }

    /// Until when the policy defers the row.
    pub const fn until(&self) -> Option<Moment> {
        match self.next {
            Next::Back(Wait::Until(until)) => Some(until),
            _ => None,
        }
    }
}

impl Settlement {
    /// A released claim: there was no request, and the row is tried again at once.
    pub fn returned(reason: &str) -> Self {
        let back = Next::Back(Wait::No);
        Self::Settled(Settled::new(
            back,
            LedgerOutcome::Returned,
            reason.to_owned(),
        ))
    }

    /// A released claim, because the provider slows or refuses its sender or recipient.
    pub fn slowed(pause: Duration, category: Category, reason: &str) -> Self {
        let back = Next::Back(Wait::Pause(pause));
        Self::Settled(Settled {
            category: Some(category),
            ..Settled::new(back, LedgerOutcome::Returned, reason.to_owned())
        })
    }

    /// The same, tried again after this pause at the earliest.
    #[must_use]
    pub fn no_sooner_than(mut self, least: Duration) -> Self {
        if let Self::Settled(settled) = &mut self
            && let Next::Back(Wait::Pause(pause)) = &mut settled.next
        {
            *pause = (*pause).max(least);
        }
        self
    }

    /// The same, tried again without a pause: another account takes it.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        if let Self::Settled(settled) = &mut self
            && let Next::Back(wait) = &mut settled.next
        {
            *wait = Wait::No;
        }
        self
    }

    /// The texts of its parts could not be kept, so none was sent: the row is tried again a little later.
    pub fn not_kept() -> Self {
        let back = Next::Back(Wait::Pause(NOT_KEPT));
        let reason = "the texts of its parts could not be kept";
        Self::Settled(Settled::new(back, LedgerOutcome::Returned, reason.into()))
    }

    /// Whether a request was accepted is not certain.
    pub fn uncertain(reason: String) -> Self {
        Self::Settled(Settled {
            counts: true,
            ..Settled::new(Next::Unconfirmed, LedgerOutcome::Unknown, reason)
        })
    }

    /// A verdict against sending.
    pub fn cancelled(reason: Reason) -> Self {
        Self::verdict(Next::Cancelled, LedgerOutcome::Cancelled, reason)
    }

    /// A deferral: the claim is released.
    pub fn deferred(until: Moment, reason: Reason) -> Self {
        let back = Next::Back(Wait::Until(until));
        Self::verdict(back, LedgerOutcome::Deferred, reason)
    }

    /// A released claim of what waits for something else: a pause has it when this is recorded.
    pub fn kept_back(reason: Reason) -> Self {
        Self::verdict(Next::Back(Wait::No), LedgerOutcome::Returned, reason)
    }

    /// A released claim of what is not due until a person lets it go.
    pub fn held(reason: Reason) -> Self {
        let back = Next::Back(Wait::Until(Moment::MAX));
        Self::verdict(back, LedgerOutcome::Returned, reason)
    }

    /// A row that can never be sent.
    pub fn rejected(reason: Reason) -> Self {
        Self::verdict(Next::Failed, LedgerOutcome::Rejected, reason)
    }

    fn verdict(next: Next, outcome: LedgerOutcome, reason: Reason) -> Self {
        Self::Settled(Settled {
            verdict: Some(reason.kind),
            lawful: reason.lawful,
            ..Settled::new(next, outcome, reason.text)
        })
    }

    /// What a response means for a row that allows `tries`.
    pub fn of(answer: SendResult, id: MessageId, tries: AttemptBudget) -> Self {
        let n = u32::try_from(tries.number).unwrap_or(1);
        let probe_after = answer.outcome.holds_account();
        match answer.outcome {
            Outcome::Accepted { sid } => Self::Accepted { sid },
            Outcome::Throttled {
                retry_after, code, ..
            } => {
                let pause = THROTTLED
                    .spread(n, id.0)
                    .max(retry_after.unwrap_or_default());
                let pause = probe_after.map_or(pause.min(RETRY_AFTER_MAX), |probe| {
                    probe.min(ACCOUNT_PAUSE_MAX)
                });
                let reason = with_code("throttled by the provider".into(), code);
                Self::again(LedgerOutcome::Throttled, code, reason, pause)
            }
            Outcome::Unsent { reason } => {
                Self::again(LedgerOutcome::Unsent, None, reason, UNSENT.spread(n, id.0))
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
            // Whether it is ever tried again: `proof::matching::resolve`.
            Outcome::Unknown { reason } => Self::uncertain(reason),
        }
    }

    fn again(outcome: LedgerOutcome, code: Option<i32>, reason: String, pause: Duration) -> Self {
        Self::Settled(Settled {
            code,
            ..Settled::new(Next::Back(Wait::Pause(pause)), outcome, reason)
        })
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
            Retry::HoldAccount { probe: pause } | Retry::HoldSender { pause } => {
                return self.settled(Next::Back(Wait::Pause(pause.min(ACCOUNT_PAUSE_MAX))), false);
            }
            Retry::After { base, .. } => base,
            // Refused for good, or it may have arrived: `in_doubt` is about uncertain outcomes alone.
            Retry::No | Retry::MayHaveArrived => {
                return self.settled(Next::Failed, true);
            }
        };
        match tries.next(base, id, at) {
            Ok(pause) => self.settled(Next::Back(Wait::Pause(pause)), true),
            Err(NoMore::UsedUp) => self.settled(Next::Failed, true),
            Err(NoMore::TooLate) => {
                let reason = format!("{}; another attempt would come too late", self.reason);
                Self { reason, ..self }.settled(Next::Failed, true)
            }
        }
    }

    fn settled(self, next: Next, counts: bool) -> Settlement {
        Settlement::Settled(Settled {
            code: self.code,
            category: Some(self.category),
            counts,
            ..Settled::new(next, LedgerOutcome::Refused, self.reason)
        })
    }
}

#[cfg(test)]
mod tests;
