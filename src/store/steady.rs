//! When something that is written now is due again: retries, look-ups and writes of the outbox. It is said by the
//! daemon's clock, which follows no jump of the database's; else what is written during a jump would be late or early
//! by it.

use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::session::timestamp::PgTimestamp;
use crate::clock::Clock;

impl Store {
    /// The same, with a provider that has look-ups, the first of them `first` after acceptance of a
    /// message that has no final status by then.
    #[must_use]
    pub fn with_look_ups(self, first: Option<Duration>) -> Self {
        Self {
            look_up_after: first,
            ..self
        }
    }

    /// The same, with the clock of its daemon.
    #[must_use]
    pub fn with_clock(self, clock: Arc<Clock>) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// The present by that clock, once it has been measured. `None`: the database's clock is all there is.
    pub(super) fn steady_now(&self) -> Option<PgTimestamp> {
        let clock = self.clock.as_ref()?;
        clock.estimate()?;
        Some(PgTimestamp(clock.now().db))
    }
}
