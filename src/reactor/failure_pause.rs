//! One pause for all that waits while the database fails: each failure in a row makes it longer, but not the failure of
//! a statement that had begun before the pause.

use crate::message::{Now, Uptime};
use crate::schedule::Backoff;

/// The pause while the database fails.
#[derive(Debug)]
pub(super) struct FailurePause {
    backoff: Backoff,
    /// Failures in a row.
    failures: u32,
    /// Nothing is tried before this.
    until: Uptime,
}

impl FailurePause {
    pub(super) const fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            failures: 0,
            until: Uptime::MIN,
        }
    }

    /// Nothing is tried before this.
    pub(super) const fn until(&self) -> Uptime {
        self.until
    }

    pub(super) fn is_over(&self, now: Now) -> bool {
        self.until <= now.up
    }

    pub(super) const fn succeeded(&mut self) {
        self.failures = 0;
    }

    pub(super) fn failed(&mut self, now: Now) {
        if self.is_over(now) {
            self.failures = self.failures.saturating_add(1);
            self.until = now.up + self.backoff.pause(self.failures);
        }
    }
}
