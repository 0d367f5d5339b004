//! Log lines that repeat are summed up: the first of a cause have a line, those that follow are counted, and the count
//! is logged within seconds. `repeats` does that for all lines of the log, `outcome_log` for the outcomes of messages.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::outcome_log::OutcomeLog;
use super::repeats;
use crate::clock;
use crate::message::Uptime;

/// How often it is checked whether a count is due.
const LOOK: Duration = Duration::from_secs(1);

/// How often the count of a cause is logged.
const WITHIN: Duration = Duration::from_secs(10);

/// The target of the lines about outcomes, which `outcome_log` sums up itself.
pub(super) const OUTCOMES: &str = "punctual::outcome";

/// How many lines about single messages a cause has before they are counted.
pub(super) const LINES: u64 = 10;

/// Logs all counts of the log when they are due.
pub(super) async fn keep(outcomes: Arc<OutcomeLog>) {
    loop {
        sleep(LOOK).await;
        let now = clock::reading().up;
        repeats::log_due(now);
        outcomes.log_due(now);
    }
}

/// How often a cause occurred.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Count {
    since: Uptime,
    lines: u64,
    times: u64,
}

impl Count {
    pub(super) const fn new(since: Uptime) -> Self {
        Self {
            since,
            lines: 0,
            times: 0,
        }
    }

    /// Counts an occurrence. Returns whether it has a line of its own, which are `most`.
    pub(super) const fn has_line(&mut self, most: u64) -> bool {
        let has_line = self.lines < most;
        *(if has_line {
            &mut self.lines
        } else {
            &mut self.times
        }) += 1;
        has_line
    }

    /// Counts an occurrence that has no line.
    pub(super) const fn add(&mut self) {
        self.times += 1;
    }

    /// Whether the count is to be logged. The next one is due as long after.
    pub(super) fn is_due(&mut self, now: Uptime) -> bool {
        let is_due = now.since(self.since) >= WITHIN;
        if is_due {
            self.since = now;
        }
        is_due
    }

    /// How many have occurred without a line since the last call; `None`: none.
    pub(super) fn take(&mut self) -> Option<u64> {
        let times = std::mem::take(&mut self.times);
        (times > 0).then_some(times)
    }
}
