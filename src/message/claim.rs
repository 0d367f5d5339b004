//! What the database answers when a message is asked for.

use super::{AttemptToken, Facts, LaneKey, MessageId, Moment, Priority, Status};

/// A message this instance has won: the row is `sending` under `token`, and nobody else may
/// start it. Made by the store alone, from a committed claim.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// The message.
    pub id: MessageId,
    /// The attempt.
    pub token: AttemptToken,
    /// Which attempt this is, from 1, unsent ones included.
    pub number: i32,
    /// How many attempts have counted before this one.
    pub attempts_before: i32,
    /// How many may count in all.
    pub max_attempts: i32,
    /// `greatest(scheduled_at, deferred_until, next_attempt_at)` as it stood at the claim.
    pub due: Moment,
    /// `greatest(scheduled_at, deferred_until, requeued_at)`: lateness counts from here.
    pub wanted_at: Moment,
    /// The row's own last moment.
    pub send_before: Option<Moment>,
    /// The way it goes out.
    pub lane: LaneKey,
    /// The recipient as the row has it.
    pub to_number: String,
    /// The sender as the row has it.
    pub from_number: Option<String>,
    /// The text.
    pub body: String,
    /// What decides whether it may go.
    pub facts: Facts,
}

/// Ids and times only: a number or a text must not get into a log by way of `{:?}`.
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

/// What became of one id of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimAnswer<W> {
    /// Ours.
    Won(W),
    /// Not ours; this is how the row stands, read after the claim.
    Lost(RowState),
}

/// How a row stands to somebody who wants to send it.
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
        /// Its place among those that are due at the same moment.
        priority: Priority,
        /// See [`Claim::lane`].
        lane: LaneKey,
    },
    /// An instance is sending it, until its lease says otherwise.
    Sending {
        /// When to look again.
        lease_until: Moment,
        /// See [`Claim::lane`].
        lane: LaneKey,
    },
    /// It is in another state, or there is no such row.
    Gone {
        /// The state; `None`: no such row.
        status: Option<Status>,
    },
}

impl RowState {
    /// Whether this is a pending row due at `due`.
    pub fn is_due_at(&self, due: Moment) -> bool {
        matches!(self, Self::Pending { due: own, .. } if *own == due)
    }
}
