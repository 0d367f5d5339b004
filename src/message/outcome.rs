//! The outcomes of requests and attempts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The provider's id of a message that it accepted: proof of acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderSid(pub String);

/// The outcome of one request, as far as it is *known*.
///
/// `Throttled`, `Refused` and `Unsent` mean that the provider certainly has not accepted the message. All that
/// is not certain is `Unknown`: the message may have been sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The provider accepted the message.
    Accepted {
        /// The provider's id of it.
        sid: ProviderSid,
    },
    /// Too many requests: certainly not processed.
    Throttled {
        /// `Retry-After`, if it is given and valid.
        retry_after: Option<Duration>,
        /// The provider's error code, if it gave one.
        code: Option<i32>,
        /// Whose requests are too many.
        #[serde(default)]
        scope: Scope,
        /// The pause between probes, as in [`Retry::HoldAccount`], if the whole account is at its limit.
        hold: Option<Duration>,
    },
    /// A 4xx with the provider's own error body: certainly not accepted.
    Refused {
        /// The provider's error code, if it gave one.
        code: Option<i32>,
        /// What kind of refusal that code is.
        category: Category,
        /// The provider's sentence, with phone numbers masked.
        text: String,
        /// Whether to retry.
        retry: Retry,
    },
    /// No byte of the request was written.
    Unsent {
        /// Which step failed.
        reason: String,
    },
    /// Anything else: a time-out, a reset, a 5xx, a response that cannot be parsed.
    Unknown {
        /// What was seen.
        reason: String,
    },
}

impl Outcome {
    /// The pause between probes, if the provider refuses the whole account.
    pub const fn holds_account(&self) -> Option<Duration> {
        match self {
            Self::Throttled { hold, .. } => *hold,
            Self::Refused { retry, .. } => retry.holds_account(),
            Self::Accepted { .. } | Self::Unsent { .. } | Self::Unknown { .. } => None,
        }
    }

    /// Whether another account may send it: it is known that this one has not accepted it, for a reason that is not the
    /// message's own.
    pub const fn may_go_on(&self) -> bool {
        matches!(self, Self::Unsent { .. }) || self.holds_account().is_some()
    }

    /// Whose requests the provider wants fewer of.
    pub const fn slows(&self) -> Option<Scope> {
        match self {
            Self::Throttled {
                scope, hold: None, ..
            } => Some(*scope),
            Self::Refused { retry, .. } => retry.slows(),
            Self::Throttled { .. }
            | Self::Accepted { .. }
            | Self::Unsent { .. }
            | Self::Unknown { .. } => None,
        }
    }
}

/// What a provider's limit, or a refusal, applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The account, or the provider did not say what.
    #[default]
    Account,
    /// The messages from one sender.
    Sender,
    /// The messages from one sender to one recipient.
    Recipient,
}

/// Whether to retry after a refusal. A provider maps its codes to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It would be refused again.
    No,
    /// Retry, the first time after about `base`, doubling.
    After {
        /// The pause before the first retry.
        base: Duration,
        /// Whose messages were too many, so that the others of it are to be slower; `None`: it concerns this message
        /// alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slows: Option<Scope>,
    },
    /// The account is refused, not the message: all its messages wait, the attempt does not count, and one message
    /// at a time probes.
    HoldAccount {
        /// The pause between probes.
        probe: Duration,
    },
    /// The sender is refused for every recipient: this message waits for `pause`, all of the sender's once two
    /// recipients have shown it, and the attempt does not count. Other senders are not affected.
    HoldSender {
        /// The pause before the next attempt.
        pause: Duration,
    },
    /// It may have arrived, so it is not retried: that could be a second text.
    MayHaveArrived,
}

impl Retry {
    /// A retry that concerns this message alone.
    pub const fn after(base: Duration) -> Self {
        Self::After { base, slows: None }
    }

    /// What it concerns beside this message.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::HoldAccount { .. } => Some(Scope::Account),
            Self::HoldSender { .. } => Some(Scope::Sender),
            Self::After { slows, .. } => slows,
            Self::No | Self::MayHaveArrived => None,
        }
    }

    /// Whose requests the provider wants fewer of.
    pub const fn slows(self) -> Option<Scope> {
        match self {
            Self::After { slows, .. } => slows,
            Self::No
            | Self::HoldAccount { .. }
            | Self::HoldSender { .. }
            | Self::MayHaveArrived => None,
        }
    }

    /// How long to wait between probes, if it concerns the account as a whole.
    pub const fn holds_account(self) -> Option<Duration> {
        match self {
            Self::HoldAccount { probe } => Some(probe),
            Self::No | Self::After { .. } | Self::HoldSender { .. } | Self::MayHaveArrived => None,
        }
    }
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The recipient cannot receive messages: a number that is no phone's, an endpoint that is gone.
    InvalidNumber,
    /// The recipient has opted out (STOP).
    OptedOut,
    /// The account is suspended, out of funds, or its credentials are wrong.
    AccountIssue,
    /// This sender may not send to this number.
    SenderIssue,
    /// Too many at once, or too many today.
    RateLimit,
    /// The phone is off or out of reach, or an endpoint does not accept it now.
    Unreachable,
    /// The carrier lost or blocked it.
    CarrierIssue,
    /// The text itself was refused.
    Content,
    /// An unknown code.
    Unknown,
}

impl Category {
    /// All categories.
    pub const ALL: [Self; 9] = [
        Self::InvalidNumber,
        Self::OptedOut,
        Self::AccountIssue,
        Self::SenderIssue,
        Self::RateLimit,
        Self::Unreachable,
        Self::CarrierIssue,
        Self::Content,
        Self::Unknown,
    ];

    /// How bad it is for whoever runs the installation.
    pub const fn severity(self) -> Severity {
        match self {
            Self::AccountIssue => Severity::Critical,
            Self::InvalidNumber | Self::SenderIssue => Severity::High,
            Self::CarrierIssue | Self::Unreachable | Self::Content | Self::Unknown => {
                Severity::Medium
            }
            Self::RateLimit | Self::OptedOut => Severity::Low,
        }
    }

    /// From the column's value, which may also be the kind of a verdict.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// As `punctual.attempts.category` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidNumber => "invalid_number",
            Self::OptedOut => "opted_out",
            Self::AccountIssue => "account_issue",
            Self::SenderIssue => "sender_issue",
            Self::RateLimit => "rate_limit",
            Self::Unreachable => "unreachable",
            Self::CarrierIssue => "carrier_issue",
            Self::Content => "content",
            Self::Unknown => "unknown",
        }
    }
}

/// How bad a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It passes by itself, or is as the recipient wants it.
    Low,
    /// One message did not arrive.
    Medium,
    /// What is recorded of a recipient or a sender is wrong.
    High,
    /// Nothing is sent.
    Critical,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// As people and metrics have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// The outcome of an attempt: `punctual.attempts.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerOutcome {
    /// The provider accepted it.
    Accepted,
    /// The provider refused it.
    Refused,
    /// The provider had too many requests.
    Throttled,
    /// No byte of the request was written.
    Unsent,
    /// It is not certain whether the provider accepted it.
    Unknown,
    /// The claim was released before its request began.
    Returned,
    /// The policy deferred it.
    Deferred,
    /// The policy cancelled it.
    Cancelled,
    /// The policy rejected it: it can never be sent.
    Rejected,
}

impl LedgerOutcome {
    /// The outcomes after which the provider certainly does not have the message.
    pub const SENT_NOTHING: [Self; 7] = [
        Self::Refused,
        Self::Throttled,
        Self::Unsent,
        Self::Returned,
        Self::Deferred,
        Self::Cancelled,
        Self::Rejected,
    ];

    /// As the column has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Unsent => "unsent",
            Self::Unknown => "unknown",
            Self::Returned => "returned",
            Self::Deferred => "deferred",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
        }
    }
}
