//! The limits of the check of whether due messages are sent.

use std::time::Duration;

/// The check of whether due messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthLimits {
    /// How often it checks.
    pub every: Duration,
    /// After a check it waits this many times as long as it took: one that has to pass over a million paused messages
    /// takes seconds.
    pub rest: u32,
    /// It waits no longer than this between two checks.
    pub every_max: Duration,
    /// How long a due message may wait, and an outcome unrecorded: locks, retries and a slow database take less.
    pub patience: Duration,
    /// How long messages may be stuck while others of their channel are claimed.
    pub partial_patience: Duration,
    /// So many messages that are stuck beside others, or results without an effect for which no trigger is found, are
    /// remarks: what is wrong with single rows must not take an instance, and with it the callbacks of all, from behind
    /// a load balancer.
    pub few: u64,
    /// How long a check may take while the server does not work on it. If it takes longer, the database is away, which
    /// others report.
    pub check_patience: Duration,
    /// A failure this old says nothing about now. A cause that was not seen for as long is logged again.
    pub recent: Duration,
    /// Messages of each kind (stuck, paused, paced, waiting for a retry) are counted up to this.
    pub counted: u32,
    /// So many of the oldest of each channel are tried for a lock.
    pub tried: u32,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            rest: 10,
            every_max: Duration::from_secs(60),
            patience: Duration::from_secs(10),
            partial_patience: Duration::from_secs(60),
            few: 2,
            check_patience: Duration::from_secs(5),
            recent: Duration::from_secs(30),
            counted: 10_000,
            tried: 20,
        }
    }
}
