//! How messages stand when reports about them come in, and what a report may change.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::message::{AttemptToken, MessageId, Moment, ProviderSid, Stage, Status};

/// How a message stands. Its row and the attempts that reports are about are locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The message.
    pub message: MessageId,
    /// The row; `None`: it has been deleted, or its status is a foreign one.
    pub row: Option<RowStanding>,
    /// The attempts that reports are about.
    pub attempts: BTreeMap<AttemptToken, AttemptStanding>,
}

/// How a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowStanding {
    /// Its status.
    pub status: Status,
    /// The provider's message by which it was sent, if any.
    pub sid: Option<ProviderSid>,
    /// What it allows of further attempts.
    pub room: Room,
    /// Why the table lets it not be `pending` again, if that was tried.
    pub no_retry: Option<String>,
}

/// How an attempt stands.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and none rules another out"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptStanding {
    /// Whether it is the latest of its message.
    pub latest: bool,
    /// Whether the ledger knows that the provider took it.
    pub accepted: bool,
    /// The provider's name for its message.
    pub sid: Option<ProviderSid>,
    /// What earlier reports told.
    pub stage: Option<Stage>,
    /// The database was restored after it: a later attempt of the same message may have been lost.
    pub recovered: bool,
    /// A user has set the message back to `pending` since.
    pub requeued_since: bool,
}

/// What a row allows of further attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Attempts that have counted, this one included.
    pub attempts: i32,
    /// How many may count in all.
    pub max_attempts: i32,
    /// Lateness counts from here.
    pub wanted_at: Moment,
    /// The row's own last moment.
    pub send_before: Option<Moment>,
    /// The database's clock.
    pub now: Moment,
}

/// What follows from a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It told nothing new.
    Nothing,
    /// The message has come further.
    Advance {
        /// How far.
        stage: Stage,
        /// Where the row goes, if it moves.
        row: Option<Status>,
        /// With the row `pending`: how it is tried again.
        again: Option<Again>,
    },
    /// It cannot be true together with what is recorded: kept, and otherwise without effect.
    Contradiction,
}

/// How a message that the provider took and could not deliver is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// Not before this has passed.
    pub pause: Duration,
    /// Whether the attempt that failed counts.
    pub counts: bool,
}
