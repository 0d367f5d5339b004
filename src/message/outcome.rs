//! What a provider said. A provider answers; it does not fail.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The provider's own name for a message it accepted (Twilio: `SM…`). Proof of acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderSid(pub String);

/// The answer to one request, as far as it is *known*.
///
/// Only `Unsent` and `Throttled` say that nothing was accepted and may be tried again; only
/// `Refused` says that nothing was accepted and why. Whatever is not certain is `Unknown`:
/// the text may be on its way, and there is no idempotency key to ask again with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The provider took the message and named it.
    Accepted {
        /// The provider's name for it.
        sid: ProviderSid,
    },
    /// HTTP 429: certainly not processed.
    Throttled {
        /// `Retry-After`, if it was given and readable.
        retry_after: Option<Duration>,
        /// The provider's error code, if it gave one.
        code: Option<i32>,
        /// Set if it is the account that is out of messages, and not this moment: what then
        /// lies between probes, as in [`Retry::HoldAccount`].
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
        /// Whether to ask again.
        retry: Retry,
    },
    /// No byte of the request was written.
    Unsent {
        /// Which step failed.
        reason: String,
    },
    /// Anything else: time-out, reset, 5xx, an answer that makes no sense.
    Unknown {
        /// What was seen.
        reason: String,
    },
}

impl Outcome {
    /// How long to wait between probes, if this is a refusal of the account as a whole.
    pub const fn holds_account(&self) -> Option<Duration> {
        match self {
            Self::Throttled { hold, .. } => *hold,
            Self::Refused {
                retry: Retry::HoldAccount { probe },
                ..
            } => Some(*probe),
            Self::Refused { .. }
            | Self::Accepted { .. }
            | Self::Unsent { .. }
            | Self::Unknown { .. } => None,
        }
    }
}

/// What follows from a refusal. The provider knows its codes; what is done about them is
/// decided from this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It would be refused again.
    No,
    /// Worth another attempt, the first after about `base`, doubling.
    After {
        /// Before the first repetition.
        base: Duration,
    },
    /// It concerns the account, not the message: all its messages wait, the attempt does not
    /// count, and one message probes from time to time.
    HoldAccount {
        /// Between probes.
        probe: Duration,
    },
    /// It may have arrived all the same, so that another attempt is a *second* text: only
    /// where the installation asks for it.
    OnlyIfConfigured {
        /// Before the first repetition.
        base: Duration,
    },
}

/// Kinds of refusal; what follows from each is decided in one place from this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The number cannot be texted.
    InvalidNumber,
    /// The recipient said STOP.
    OptedOut,
    /// The account is suspended, out of funds, or its credentials are wrong.
    AccountIssue,
    /// This sender may not text this number.
    SenderIssue,
    /// Too much at once, or too much today.
    RateLimit,
    /// The phone is off or out of reach.
    Unreachable,
    /// The carrier lost or blocked it.
    CarrierIssue,
    /// The text itself was refused.
    Content,
    /// A code that is not in the table.
    Unknown,
}

impl Category {
    /// Every category, for tests and documentation.
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

/// How an attempt ended, as `punctual.attempts.outcome` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerOutcome {
    /// The provider took it.
    Accepted,
    /// The provider refused it.
    Refused,
    /// The provider was busy.
    Throttled,
    /// No byte of the request was written.
    Unsent,
    /// Whether the provider took it is not certain.
    Unknown,
    /// The claim was given back before its request began.
    Returned,
    /// A verdict to wait.
    Deferred,
    /// A verdict against sending.
    Cancelled,
    /// It never could be sent.
    Rejected,
}

impl LedgerOutcome {
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
