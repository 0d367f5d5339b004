//! Paces: what keeps the messages of a campaign apart, and the rate of a sender.

use std::time::Duration;

use super::{LaneKey, MessageId, Moment, PaceId, Priority};

/// The kinds of paces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PaceScope {
    /// Its messages are sent one after the other, a gap apart.
    Campaign,
    /// It sends so many segments a second.
    Sender,
}

impl PaceScope {
    /// As `punctual.paces.scope` says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Sender => "sender",
        }
    }
}

/// What has a pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaceKey {
    /// The kind of thing.
    pub scope: PaceScope,
    /// Which one: the campaign's id, or the sender as rows name it.
    pub what: String,
}

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
    /// How long it had waited when there was a slot for it: that is no lateness.
    pub waited: Duration,
    /// When the next slot begins.
    pub next: Moment,
    /// The rate of its sender, if that has one: it took a slot of that too.
    pub rate: Option<PaceId>,
    /// The segments that were charged to it.
    pub charged: Option<i32>,
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
            rate: self.rate,
            charged: self.charged,
        }
    }
}

/// The result of a claim for one pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacedResponse<W> {
    /// Its first message was claimed.
    Won(Box<PacedClaim<W>>),
    /// It was cancelled in place of its claim, because its recipient has opted out. That takes no slot.
    OptedOut(MessageId),
    /// None was, because none is due yet, another instance was faster, or its row is locked; when the next may start.
    Wait(PaceDue),
    /// It has no message in the window.
    Idle,
}
