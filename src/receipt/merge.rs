//! What a callback changes. The one place for it, and pure: how things stand goes in, what is
//! to be done comes out, and the store does it in the transaction that looked.
//!
//! A callback about a message the provider *has* is proof, whoever it overtakes; a callback
//! that says it did not arrive is the last word only on the attempt it is about.

use std::time::Duration;

use super::status::Reached;
use crate::message::{Retry, Status};
use crate::provider::twilio::codes;
use crate::reactor::Tries;
use crate::reactor::settle::HELD_MAX;
use crate::store::receipts::{Again, Change, Standing};

/// What the provider says of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// How far it has come.
    pub reached: Reached,
    /// The provider's code, if it went wrong.
    pub code: Option<i32>,
}

/// What `word` changes where things stand as `standing` says. A message later than
/// `max_lateness` is worth no further attempt.
pub fn merge(standing: &Standing, word: Word, max_lateness: Duration) -> Change {
    let Word { reached, code } = word;
    if standing.sid_conflict {
        // The provider has two messages by one attempt, or one message by two. Neither may
        // happen, and neither can be undone: it is kept and told.
        return Change::Contradiction;
    }
    let before = standing.reached.as_deref().and_then(Reached::parse);
    if let Some(before) = before {
        if before == reached {
            return Change::Nothing;
        }
        if before.is_terminal()
            && reached.is_terminal()
            && before.row_status() != reached.row_status()
        {
            return Change::Contradiction;
        }
        // Two words of one rank that lead to one state, like `failed` and `undelivered`: the
        // first stays, and that is all there is to say.
        if reached.rank() <= before.rank() {
            return Change::Nothing;
        }
    }
    let moved = standing
        .row
        .and_then(|status| row(status, standing, reached.row_status()));
    let again = match moved {
        Some(Status::Failed) => again(standing, code, max_lateness),
        _ => None,
    };
    Change::Advance {
        row: again.map(|_| Status::Pending).or(moved),
        again,
        message: reached.app_status(),
    }
}

/// Whether what did not arrive is tried again, and when: by what its code means, and within
/// what the row allows. What may have arrived all the same is not.
fn again(standing: &Standing, code: Option<i32>, max_lateness: Duration) -> Option<Again> {
    let (room, code) = (standing.room?, code?);
    let lateness = room.wanted_at + max_lateness;
    let expires = room.send_before.map_or(lateness, |own| own.min(lateness));
    match codes::retry(Some(code), codes::category(code)) {
        Retry::After { base } => {
            let tries = Tries {
                number: room.attempts,
                before: room.attempts.saturating_sub(1),
                max: room.max_attempts,
                expires,
            };
            let pause = tries.next(base, standing.message, room.now).ok()?;
            Some(Again {
                pause,
                counts: true,
            })
        }
        // It was the account's failing: the request after the pause opens the breaker if it
        // still is.
        Retry::HoldAccount { probe } => {
            let pause = probe.min(HELD_MAX);
            (room.now + pause <= expires).then_some(Again {
                pause,
                counts: false,
            })
        }
        Retry::No | Retry::OnlyIfConfigured { .. } => None,
    }
}

/// Where the row goes; `None`: it stays.
fn row(from: Status, standing: &Standing, to: Status) -> Option<Status> {
    match (from, to) {
        (Status::Delivered, _) | (Status::Sent, Status::Sent) => None,
        // Proof counts in whatever state the row is by now.
        (_, Status::Sent | Status::Delivered) => Some(to),
        // The denial of an attempt counts only where that attempt holds the row.
        (Status::Sending | Status::Unconfirmed, _) => standing.latest.then_some(to),
        (Status::Sent, _) => standing.row_is_of_this_sid.then_some(to),
        (Status::Pending | Status::Failed | Status::Cancelled, _) => None,
    }
}

#[cfg(test)]
mod tests;
