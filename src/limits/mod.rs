//! Every limit and pause of the daemon and its reactor, in one place: a simulation uses small
//! ones, so that a world of a dozen rows reaches each of them.
//!
//! Not here is what several parties must agree on: the cut-off that users are promised
//! ([`LEAD_MAX`](crate::schedule::LEAD_MAX), which the database checks too), the order among
//! instances ([`STAGGER`](crate::schedule::STAGGER)), and what an outcome means for its row
//! (`src/settle/`).

use std::time::Duration;

mod chores;
pub mod daemon;
mod health;
mod http;
mod reactor;
mod writer;

pub use daemon::DaemonLimits;
pub use health::HealthLimits;
pub use http::HttpLimits;
pub use reactor::{
    ClaimLimits, EventLimits, IntakeLimits, LaneLimits, PauseLimits, PrewarmLimits, ProviderLimits,
    RecordLimits, SlowLimits,
};
pub use writer::WriterLimits;

/// All limits and pauses of the reactor and the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Notifications, reads and sweeps.
    pub intake: IntakeLimits,
    /// Claims.
    pub claims: ClaimLimits,
    /// Results on their way into the database.
    pub records: RecordLimits,
    /// Pauses.
    pub pauses: PauseLimits,
    /// What a busy or refusing provider slows down.
    pub provider: ProviderLimits,
    /// Senders and recipients that it slows.
    pub slowed: SlowLimits,
    /// Lanes.
    pub lanes: LaneLimits,
    /// Connections made ahead.
    pub prewarm: PrewarmLimits,
    /// Events for those who watch.
    pub events: EventLimits,
    /// The daemon around the reactor.
    pub daemon: DaemonLimits,
}

impl Limits {
    /// Those of a daemon that is not notified, and looks for changes so often.
    pub fn polling(every: Duration) -> Self {
        let mut limits = Self::default();
        limits.intake.unnotified_sweep = every;
        limits.daemon.channel.poll_every = Some(every);
        limits
    }

    /// Those of a daemon with a change feed.
    pub fn fed() -> Self {
        let mut limits = Self::default();
        limits.daemon.channel.is_fed = true;
        limits
    }
}
