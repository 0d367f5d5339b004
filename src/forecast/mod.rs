//! What will happen to a pending message, when, and why not, by what is known now.
//!
//! The rules are applied once more, without a claim: the same [`judge`](crate::policy::judge) decides, and what delays
//! it (a pause, a pace, a breaker, a quarantine, no daemon at all) is checked in the order in which it takes effect.
//! Pure: the message's facts and what the instances publish in, a [`Forecast`] out. The store reads both
//! (`store/operator/forecast.rs`), for any number of messages in a constant number of statements.

use std::sync::Arc;

use serde::Serialize;

use crate::message::{Claim, LaneKey, Moment};
use crate::schedule::queue::{Queue, Queued, Turn};

mod around;
mod obstacle;
mod published;
mod slots;
mod steps;
#[cfg(test)]
mod tests;

pub use around::{Instance, Surroundings};
pub use published::{
    Feeds, InstanceFeed, PublishedEvent, PublishedFeed, PublishedLane, PublishedLateness,
    PublishedProvider, PublishedRules, PublishedSlowed, PublishedState, Refused,
};
pub use steps::of;

/// A pending message, as far as its future depends on it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// As a claim would return it now. Its due time and lateness are those of the row, without pauses and paces. Its
    /// quota is [`Limit::Over`](crate::message::facts::Limit::Over) if none is left, and is not taken.
    pub claim: Claim,
    /// The end of the latest pause that stops or stopped it.
    pub paused_until: Option<Moment>,
    /// What the pauses in force stop, who made them, and why.
    pub paused_by: Option<String>,
    /// Its campaign's pace.
    pub pace: Option<Place>,
    /// The rate of its sender.
    pub rate: Option<Room>,
    /// The messages of the queue that it waits in whose lane every instance is refused: whatever comes after the first
    /// of them waits with it.
    pub refused_beside: Arc<[(LaneKey, Queued)]>,
    /// Why its recipient is on the list of those who want no messages from its sender.
    pub opted_out: Option<String>,
    /// It is in quarantine after a restore.
    pub is_quarantined: bool,
    /// An attempt at an earlier part is open, at most until then.
    pub open_until: Option<Moment>,
    /// It counts towards a daily limit.
    pub is_limited: bool,
}

/// The place of a message among those of its pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The kind of thing that has the pace.
    pub scope: String,
    /// Which one.
    pub what: String,
    /// Its turn; `None`: it takes no slot, or more messages are before it than are counted.
    pub turn: Option<Turn>,
    /// Since when there is a slot for the first of the queue, or when there will be.
    pub open_from: Moment,
    /// The messages that wait for the pace, this one among them.
    pub queue: Arc<Queue>,
}

/// The place of a message at its sender, which has a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The sender, masked.
    pub sender: String,
    /// How many messages that wait for nothing but this rate are due before this one; `None`: more than are counted.
    pub ahead: Option<u64>,
    /// The segments that those are charged together.
    pub before: u32,
    /// The segments that this message is charged.
    pub own: i32,
    /// Since when the sender could not keep up, less the segments that it has sent since; `None`: nothing is before it.
    pub busy_since: Option<Moment>,
    /// When there is room for one segment.
    pub next_at: Moment,
    /// The time of a segment.
    pub each: std::time::Duration,
    /// Segments at once after a quiet time.
    pub burst: i32,
}

/// What will happen, by what is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Forecast {
    /// What happens first.
    #[serde(flatten)]
    pub step: Step,
    /// What follows a deferral; of what waits, what would happen now.
    pub then: Option<Step>,
    /// When this was known, on the database's clock.
    pub as_of: Moment,
    /// Of what is sent: what is wrong with its number, so that the provider may refuse it.
    pub number_fault: Option<&'static str>,
    /// What cannot be known, and may change it; edits and changes of settings aside.
    pub unknown: Vec<&'static str>,
}

/// One thing that happens to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = ForecastStep))]
pub struct Step {
    /// What it is.
    pub outcome: Outcome,
    /// When it happens; of what waits, the earliest moment at which it may go on. `None`: that is not known.
    pub at: Option<Moment>,
    /// Of a deferral: until when. Of many messages due together: when the last of them is sent. Of what waits: when it
    /// is cancelled if it still waits then.
    pub until: Option<Moment>,
    /// A kind of [`Reason`](crate::policy::ReasonKind), or what it waits for (`docs/http.md`).
    pub reason: Option<&'static str>,
    /// A sentence for people, without its subject and without a full stop. Times are in UTC, in the form of
    /// [`Moment`].
    pub text: String,
}

/// What happens to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = ForecastOutcome))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is sent.
    Send,
    /// It is moved to a later time.
    Defer,
    /// It is cancelled.
    Cancel,
    /// It fails without a request.
    Fail,
    /// Nothing, before something else happens.
    Wait,
}

impl Outcome {
    /// As in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Defer => "defer",
            Self::Cancel => "cancel",
            Self::Fail => "fail",
            Self::Wait => "wait",
        }
    }
}

/// As a sentence for people.
impl std::fmt::Display for Forecast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.step.text)?;
        match &self.then {
            Some(then) if self.step.outcome == Outcome::Wait => {
                write!(f, "; once it does not wait any more, it {}", then.text)?;
            }
            Some(then) => write!(f, "; then it {}", then.text)?,
            None => {}
        }
        match self.number_fault {
            Some(why) => write!(f, "; the provider may refuse its number: {why}"),
            None => Ok(()),
        }
    }
}
