//! What a callback is, how a message may stand when it comes, and what may follow.

use std::time::Duration;

use crate::message::{AttemptToken, MessageId, Moment, ProviderSid, Status};

/// What a callback is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The attempt whose ids it carries.
    Attempt {
        /// The message.
        message: MessageId,
        /// The attempt.
        token: AttemptToken,
    },
    /// Whatever attempt has its sid.
    Sid,
}

/// A callback, checked and understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// What it is about.
    pub about: About,
    /// The provider's name for the message.
    pub sid: ProviderSid,
    /// How far the message has come, in the provider's word.
    pub reached: &'static str,
    /// The provider's code, if it went wrong.
    pub code: Option<i32>,
    /// For `error_message`, if it went wrong.
    pub error: Option<String>,
    /// Whether nothing more is to come after it.
    pub terminal: bool,
    /// Whether it went wrong because the recipient has opted out.
    pub opted_out: bool,
    /// The sender, as the provider has it.
    pub from: Option<String>,
    /// The recipient, as the provider has it.
    pub to: Option<String>,
}

/// Without the numbers.
impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback")
            .field("about", &self.about)
            .field("sid", &self.sid)
            .field("reached", &self.reached)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// How a message stands when a callback about it comes in. Row and attempt are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The message.
    pub message: MessageId,
    /// The row; `None`: it has been deleted, or its status is a foreign one.
    pub row: Option<Status>,
    /// Whether the row was sent by the provider's message this is about, or by none yet.
    pub row_is_of_this_sid: bool,
    /// Whether the attempt is the latest of its message.
    pub latest: bool,
    /// The attempt has another sid, or another attempt has this one.
    pub sid_conflict: bool,
    /// What earlier callbacks told, in the provider's word.
    pub reached: Option<String>,
    /// What the row allows, if there is one.
    pub room: Option<Room>,
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

/// What follows from a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It told nothing new.
    Nothing,
    /// The message has come further.
    Advance {
        /// Where the row goes, if it moves.
        row: Option<Status>,
        /// With the row `pending`: how it is tried again.
        again: Option<Again>,
        /// The status of the app's row in `messages`.
        message: &'static str,
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

/// What became of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// No attempt is known that it could be about.
    Unknown,
    /// It is recorded.
    Known {
        /// The message it is about.
        message: MessageId,
        /// What followed.
        change: Change,
    },
}
