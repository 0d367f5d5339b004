//! What messages wait for beside their time.

use serde::Serialize;

use crate::message::Moment;

/// Why a lane cannot send more at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The provider refuses it.
    Refused,
    /// As many requests as allowed are in flight.
    Full,
}

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct PauseReport {
    /// As `punctual.pauses` has it.
    pub scope: &'static str,
    /// Which lane, campaign, user, type or text; `null` for everything, and for senders, which are numbers.
    pub what: Option<String>,
    /// When it ends; `infinity`: when somebody resumes.
    pub until: Moment,
}

/// A pace that has a message to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct PaceReport {
    /// As `punctual.paces` has it.
    pub scope: String,
    /// Which campaign.
    pub what: String,
    /// When its next message may start.
    pub next_at: Moment,
    /// The channel of that message.
    pub channel: &'static str,
    /// Whether the provider refuses its account here: it waits for that, and what comes after it in the order too.
    pub refused: bool,
}

/// Senders and recipients whose messages wait because of the provider, while all others are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct SlowedReport {
    /// Senders of whose messages there were too many.
    pub senders: u64,
    /// Pairs of a sender and a recipient of which there were too many.
    pub recipients: u64,
    /// Senders that it refuses for every recipient.
    pub senders_refused: u64,
}
