//! How often a message may be tried, and until when.

use std::time::Duration;

use crate::message::{MessageId, Moment};
use crate::schedule::Backoff;

/// The longest pause before a retry, whatever the row's `max_attempts`: a day later the message
/// is a different one.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(24 * 3600);

/// Which attempt a request was, and what the row allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptBudget {
    /// Which attempt it is, from 1, unsent ones included.
    pub number: i32,
    /// How many attempts have counted before it.
    pub before: i32,
    /// How many may count in all.
    pub max: i32,
    /// When the message expires.
    pub expires: Moment,
}

impl AttemptBudget {
    /// How long until the next attempt, after this one was refused at `at`; or why there is none.
    pub fn next(&self, base: Duration, whose: MessageId, at: Moment) -> Result<Duration, NoMore> {
        let counted = self.before.saturating_add(1);
        if counted >= self.max {
            return Err(NoMore::UsedUp);
        }
        let n = u32::try_from(counted).unwrap_or(1);
        let pause = Backoff::new(base, RETRY_MAX).spread(n, whose.0);
        if at + pause > self.expires {
            return Err(NoMore::TooLate);
        }
        Ok(pause)
    }
}

/// What is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMore {
    /// The attempts.
    UsedUp,
    /// The time.
    TooLate,
}
