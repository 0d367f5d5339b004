//! Paces: what keeps the messages of a campaign apart.

use std::time::Duration;

use super::{LaneKey, MessageId, Moment, PaceId, Priority};

/// A pace that has a message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaceDue {
    /// Which one.
    pub id: PaceId,
    /// The kind of thing that has it, as `punctual.paces.scope` says it.
    pub scope: String,
    /// Which one of that kind.
    pub what: String,
    /// When its next message may start: its next slot, or when its first message is due if that is later.
    pub at: Moment,
    /// The lane of that message.
    pub lane: LaneKey,
}

/// A message that was claimed for a slot of its pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacedClaim<W> {
    /// The message.
    pub id: MessageId,
    /// Its place among those that are due at the same moment.
    pub priority: Priority,
    /// The claim; it is due at its slot.
    pub claim: W,
    /// The message may start until then; the slot is over after that.
    pub latest: Moment,
    /// How long it has waited for its slot: that is no lateness.
    pub waited: Duration,
    /// When the next slot begins.
    pub next: Moment,
}

impl<W> PacedClaim<W> {
    /// The same for the same slot, with what was made of the claim.
    pub fn with<V>(self, claim: V) -> PacedClaim<V> {
        PacedClaim {
            id: self.id,
            priority: self.priority,
            claim,
            latest: self.latest,
            waited: self.waited,
            next: self.next,
        }
    }
}

/// The result of a claim for one pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacedAnswer<W> {
    /// Its first message was claimed.
    Won(Box<PacedClaim<W>>),
    /// None was, because none is due yet, another instance was faster, or its row is locked; when the next may start.
    Wait(PaceDue),
    /// It has no message in the window.
    Idle,
}
