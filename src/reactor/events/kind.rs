//! One event as a value, and the kinds that there are.

use serde::Serialize;

use crate::message::{MessageId, Moment, Part};

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Event))]
pub struct MessageEvent {
    /// When, on the database's clock.
    pub at: Moment,
    /// To which message.
    pub id: MessageId,
    /// What.
    #[serde(rename = "event")]
    pub what: EventKind,
    /// When it is due, or checked next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub due_at: Option<Moment>,
    /// When it was due before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub was_due_at: Option<Moment>,
    /// How late a request started, and why.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub late: Option<Late>,
    /// Which attempt it was, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub attempt: Option<i32>,
    /// Of a message of several parts: which of them, like `2 of 3`.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::message::parts::as_text"
    )]
    #[cfg_attr(test, schema(value_type = Option<String>, nullable = false))]
    pub part: Option<Part>,
    /// The state of the row, where it is known and says more than the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub status: Option<&'static str>,
    /// The kind of refusal by the provider, or of the rule that prevented or deferred it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub category: Option<&'static str>,
    /// The provider's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub code: Option<i32>,
}

/// How late a request started, in microseconds. `policy + claim + wake = lateness`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
// For the contract: an event that is not of a request has none of these.
#[serde(default)]
pub struct Late {
    /// From the moment the message was wanted to the request's start.
    pub lateness_us: u64,
    /// The part of it that rules required: a retry's pause, the wait for a refused account.
    pub policy_us: u64,
    /// The part of it that the claim took beyond the due time.
    pub claim_us: u64,
    /// The part of it from when it was due and cleared to the start: the timer, the wait for a permit,
    /// the task.
    pub wake_us: u64,
    /// Not part of it: how long the provider took to respond.
    pub provider_us: u64,
    /// Not part of it: how long the message waited for its pace before.
    pub paced_us: u64,
}

/// Kinds of things that happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Found upcoming, and armed.
    Armed,
    /// Armed for another time.
    Moved,
    /// Edited without being moved.
    Edited,
    /// Disarmed: cancelled, deleted, moved beyond the window, or sent by another program.
    Disarmed,
    /// Another instance is sending it; it is checked again when that one's lease is over.
    Watched,
    /// Won, judged, and waiting for its instant.
    Claimed,
    /// The claim was released.
    Returned,
    /// Deferred by a rule.
    Deferred,
    /// A verdict against sending.
    Cancelled,
    /// It can never be sent.
    Rejected,
    /// The provider accepted it.
    Sent,
    /// The provider is busy; it is tried again.
    Throttled,
    /// No byte was sent; it is tried again.
    Unsent,
    /// Refused for now; it is tried again.
    Refused,
    /// Refused for good.
    Failed,
    /// Whether it was accepted is not certain.
    Unconfirmed,
    /// The provider reported a status.
    Receipt,
}

impl EventKind {
    /// All of them, in the order in which a message has them.
    pub const ALL: [Self; 17] = [
        Self::Armed,
        Self::Moved,
        Self::Edited,
        Self::Disarmed,
        Self::Watched,
        Self::Claimed,
        Self::Returned,
        Self::Deferred,
        Self::Cancelled,
        Self::Rejected,
        Self::Sent,
        Self::Throttled,
        Self::Unsent,
        Self::Refused,
        Self::Failed,
        Self::Unconfirmed,
        Self::Receipt,
    ];

    /// Its name in the feed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Armed => "armed",
            Self::Moved => "moved",
            Self::Edited => "edited",
            Self::Disarmed => "disarmed",
            Self::Watched => "watched",
            Self::Claimed => "claimed",
            Self::Returned => "returned",
            Self::Deferred => "deferred",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Sent => "sent",
            Self::Throttled => "throttled",
            Self::Unsent => "unsent",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unconfirmed => "unconfirmed",
            Self::Receipt => "receipt",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl MessageEvent {
    /// An event of this kind without details.
    pub const fn new(at: Moment, id: MessageId, what: EventKind) -> Self {
        Self {
            at,
            id,
            what,
            due_at: None,
            was_due_at: None,
            late: None,
            attempt: None,
            part: None,
            status: None,
            category: None,
            code: None,
        }
    }
}
