//! A claim, and the state of a row that could not be claimed.

use super::{AttemptToken, Facts, LaneKey, MessageId, Moment, PaceDue, Part, Priority, Status};

/// A message that this instance has claimed: the row is `sending` under `token`, and no other instance may
/// send it. Created by the store only, from a committed claim.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// The message.
    pub id: MessageId,
    /// The attempt.
    pub token: AttemptToken,
    /// The number of this attempt, from 1, attempts that did not count included.
    pub number: i32,
    /// How many earlier attempts at this part count.
    pub attempts_before: i32,
    /// The most attempts that may count.
    pub max_attempts: i32,
    /// `greatest(scheduled_at, deferred_until, next_attempt_at)` at the time of the claim.
    pub due: Moment,
    /// `greatest(scheduled_at, deferred_until, requeued_at)`, or the end of a pause that stopped it: lateness counts
    /// from here.
    pub wanted_at: Moment,
    /// Whether a request for this text began since then.
    pub is_retry: bool,
    /// The row's `send_before`.
    pub send_before: Option<Moment>,
    /// Its lane.
    pub lane: LaneKey,
    /// The route by which its account was chosen, as a lane that names it; `None`: its row names its account or its
    /// sender, or no route leads anywhere.
    pub route: Option<LaneKey>,
    /// The recipient as the row has it.
    pub to_number: String,
    /// The sender as the row has it.
    pub from_number: Option<String>,
    /// The row's text.
    pub body: String,
    /// Which part is the next, of how many: by what was kept when the first was sent. Before that the number is of an
    /// earlier attempt, and [`Part::ONLY`] says that there was none.
    pub part: Part,
    /// The text of the next part, as it was kept then.
    pub part_text: Option<String>,
    /// Its campaign.
    pub campaign: Option<String>,
    /// What the policy decides by.
    pub facts: Facts,
}

/// Ids and times only, so that `{:?}` puts no number and no text into a log.
impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim")
            .field("id", &self.id)
            .field("token", &self.token)
            .field("number", &self.number)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

/// The result of a claim for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimResponse<W> {
    /// It was claimed.
    Won(W),
    /// It was not claimed; the state of the row was read after that.
    Lost(RowState),
    /// The same, because it is paused: it is due when the pause ends.
    Paused(RowState),
    /// The same, because it has a pace: it is claimed by that.
    Paced(RowState),
    /// It was cancelled in place of the claim: its recipient has opted out.
    OptedOut,
}

/// The state of a row, as far as it matters for sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowState {
    /// It is pending and this is its due time.
    Pending {
        /// See [`Claim::due`].
        due: Moment,
        /// Counts the user's edits.
        version: i64,
        /// Attempts that have counted.
        attempts: i32,
        /// Its order among messages that are due at the same time.
        priority: Priority,
        /// See [`Claim::lane`].
        lane: LaneKey,
        /// When it was inserted or put back last; `None`: not read.
        written: Option<Moment>,
        /// Its pace; `None`: it has none, or that was not read.
        pace: Option<Box<PaceDue>>,
    },
    /// An instance is sending it, at most until its lease ends.
    Sending {
        /// When to read it again.
        lease_until: Moment,
        /// See [`Claim::lane`].
        lane: LaneKey,
    },
    /// It has another status, or there is no such row.
    Gone {
        /// The status; `None` if there is no such row.
        status: Option<Status>,
    },
}

impl RowState {
    /// Whether this is a pending row due at `due`.
    pub fn is_due_at(&self, due: Moment) -> bool {
        matches!(self, Self::Pending { due: own, .. } if *own == due)
    }
}
