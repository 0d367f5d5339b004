//! The standing of messages, as read before reports are merged, and what a report may change.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::message::{AttemptToken, MessageId, Moment, Part, ProviderSid, Stage, Status};

/// The standing of a message. Its row and the attempts that reports are about are locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The message.
    pub message: MessageId,
    /// The row; `None`: it has been deleted, or has an unknown status.
    pub row: Option<RowStanding>,
    /// The attempts that reports are about.
    pub attempts: BTreeMap<AttemptToken, AttemptStanding>,
}

/// The standing of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowStanding {
    /// Its status.
    pub status: Status,
    /// The provider's id of the message by which it was sent, if any.
    pub sid: Option<ProviderSid>,
    /// Its limits on further attempts.
    pub limits: RetryLimits,
    /// How many of its parts are accepted.
    pub parts_done: i16,
    /// What is known of each of its parts; of a message that is one text there is one.
    pub parts: Vec<PartStanding>,
    /// Why the table refuses `pending` for it again, if that was tried.
    pub no_retry: Option<String>,
}

/// What reports say of a part of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartStanding {
    /// Nothing final.
    #[default]
    Open,
    /// An attempt at it arrived.
    Arrived,
    /// Every attempt at it that was accepted has ended without arrival.
    Lost,
}

/// The standing of an attempt.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and none rules another out"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptStanding {
    /// Whether it is the latest of its message.
    pub latest: bool,
    /// How many parts come before the one that it sends.
    pub part: i16,
    /// How many attempts at that part count.
    pub tries: i32,
    /// A later attempt at that part was accepted, or may have been.
    pub superseded: bool,
    /// Whether the ledger has it as accepted by the provider.
    pub accepted: bool,
    /// The provider's id of its message.
    pub sid: Option<ProviderSid>,
    /// The stage that earlier reports have reached.
    pub stage: Option<Stage>,
    /// The database was restored after it: a later attempt of the same message may have been lost.
    pub recovered: bool,
    /// A user has set the message back to `pending` since.
    pub requeued_since: bool,
}

/// A row's limits on further attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryLimits {
    /// Attempts that have counted, including this one.
    pub attempts: i32,
    /// How many may count in all.
    pub max_attempts: i32,
    /// Lateness counts from here; never, if it is [`Moment::MAX`].
    pub late_from: Moment,
    /// The row's own deadline.
    pub send_before: Option<Moment>,
    /// The database's clock.
    pub now: Moment,
}

/// What follows from a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has no new information.
    Nothing,
    /// The message has advanced.
    Advance {
        /// The new stage.
        stage: Stage,
        /// The row's new status, if it changes.
        row: Option<Status>,
        /// With the row `pending`: how it is retried.
        again: Option<RetryPlan>,
        /// How far a message of several parts has come by this, if the row changes.
        part: Option<Moved>,
    },
    /// It contradicts what is recorded: kept, without other effect.
    Contradiction,
}

impl Change {
    /// Whether the provider is now known to have the attempt's message.
    pub const fn proves(self) -> bool {
        matches!(self, Self::Advance { .. } | Self::Nothing)
    }
}

/// How far a message of several parts has come by a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// How many of its parts are accepted, or were and are not known to be lost.
    pub done: i16,
    /// Tries at the part that is next; `None`: as they were.
    pub attempts: Option<i32>,
    /// With the row `pending`: until the next part.
    pub gap: Option<Duration>,
    /// A part that did not arrive, and which is why the message fails.
    pub(super) lost: Option<Part>,
}

impl Moved {
    /// For `error_message`: which of the parts did not arrive.
    pub(super) fn why(self) -> Option<String> {
        self.lost.map(|part| format!("part {part} did not arrive"))
    }
}

/// How a message that the provider accepted and could not deliver is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// Not before this has passed.
    pub pause: Duration,
    /// Whether the attempt that failed counts.
    pub counts: bool,
}
