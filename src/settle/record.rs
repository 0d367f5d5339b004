//! A record: what is to be written of an attempt.

use uuid::Uuid;

use super::Settlement;
use crate::message::{AttemptToken, MessageId, Moment, Part};

/// What is to be written of one attempt.
#[derive(Clone, Debug)]
pub struct Record<P> {
    /// The message.
    pub id: MessageId,
    /// The attempt.
    pub token: AttemptToken,
    /// Which text of its message.
    pub part: Part,
    /// What is to be written.
    pub settlement: Settlement,
    /// When its request began, if there was one.
    pub started: Option<Moment>,
    /// When its request ended, if there was one.
    pub finished: Option<Moment>,
    /// What was sent.
    pub payload: Option<P>,
    /// How often this could not be written, in a row.
    pub tries: u32,
}

impl<P> Record<P> {
    /// Releases a claim of which only the token is known.
    pub fn release(id: MessageId, token: AttemptToken, reason: &str) -> Self {
        Self {
            id,
            token,
            part: Part::ONLY,
            settlement: Settlement::returned(reason),
            started: None,
            finished: None,
            payload: None,
            tries: 0,
        }
    }

    /// Whether the provider has accepted it, and its message goes on.
    pub const fn has_next(&self) -> bool {
        matches!(self.settlement, Settlement::Accepted { .. }) && self.part.has_next()
    }

    /// What the pause between tries is spread by.
    pub const fn key(&self) -> Uuid {
        self.token.0
    }
}
