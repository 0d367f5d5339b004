//! The limits and pauses of the daemon around the reactor.
//!
//! Not here is what belongs to the process and not to a daemon (how log lines are summed up, signals), what an
//! interface promises (the largest response of `/debug/timers`), and how many connections the parts need.

use std::time::Duration;

pub use super::chores::ChoreLimits;
use super::health::HealthLimits;
use super::http::HttpLimits;
use super::writer::WriterLimits;
use crate::schedule::Backoff;

/// The limits and pauses of the daemon around the reactor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DaemonLimits {
    /// The event loop.
    pub event_loop: LoopLimits,
    /// The notification channel.
    pub channel: ChannelLimits,
    /// Heartbeats.
    pub heartbeat: HeartbeatLimits,
    /// The database's clock.
    pub clock: ClockLimits,
    /// The check of whether due messages are sent.
    pub health: HealthLimits,
    /// Chores.
    pub chores: ChoreLimits,
    /// Callbacks, and what look-ups find.
    pub receipts: ReceiptLimits,
    /// Look-ups.
    pub look_ups: LookUpLimits,
    /// The quarantine after a restore, and what dead instances left.
    pub recovery: RecoveryLimits,
    /// The journal.
    pub journal: JournalLimits,
    /// The writer.
    pub writer: WriterLimits,
    /// Clients of the HTTP interface.
    pub http: HttpLimits,
}

/// The event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopLimits {
    /// Inputs waiting for the reactor. If there are more, senders wait; nothing is lost.
    pub inputs: usize,
    /// Questions from HTTP waiting for the reactor.
    pub questions: usize,
    /// Inputs handled before the clock is read again and commands are started.
    pub inputs_per_turn: usize,
    /// The longest sleep. The wall clock is read this often, so that a step is noticed soon even if nothing is due.
    pub nap_max: Duration,
    /// How often the health check gets what the loop knows.
    pub facts_every: Duration,
    /// How long a shutdown may take beyond the last request's deadline (as long as a restart of the database takes)
    /// if only claims could not be released. Outcomes have no limit: only this process knows them.
    pub drain_grace: Duration,
    /// Between attempts to start while the database is away. A restarted database is back within a second or two, and
    /// messages wait for it.
    pub start_retry: Backoff,
    /// Messages beyond the window are counted up to this.
    pub backlog_max: u32,
    /// A count of this age is still used for a single request.
    pub backlog_fresh: Duration,
    /// The same for repeated requests: a million rows are not counted every second for a page that is left open.
    pub backlog_fresh_repeated: Duration,
    /// How long a request waits for its turn, and then for the count. Together less than HTTP waits for the reply.
    pub backlog_patience: Duration,
}

/// The notification channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelLimits {
    /// How often it is verified.
    pub proof_every: Duration,
    /// How long a nonce may take. After that the channel counts as deaf.
    pub proof_within: Duration,
    /// How often it is verified while a change feed is there that should have ended, and what is written for it has to
    /// be swept for.
    pub deafened_every: Duration,
    /// Between attempts to connect. One a second is a negligible load.
    pub reconnect: Backoff,
    /// How often sweeps look for changes that nothing notifies of; `None`: there is a channel.
    pub poll_every: Option<Duration>,
    /// Whether there is a change feed beside the channel.
    pub is_fed: bool,
    /// Notices of a feed that wait until others see what was committed. The server keeps what is more.
    pub written_max: usize,
    /// Between two looks whether they do.
    pub visible: Backoff,
}

impl ChannelLimits {
    /// How changes are learned of, as the settings and the instances' table have it.
    pub const fn changes(&self) -> &'static str {
        match self.poll_every {
            Some(_) => "poll",
            None if self.is_fed => "feed",
            None => "notify",
        }
    }
}

/// Heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatLimits {
    /// How often an instance writes that it is alive.
    pub every: Duration,
    /// An instance silent for this long is dead: three heartbeats and a slow database.
    pub silence: Duration,
    /// How long a heartbeat may take. Far less than [`Self::silence`]: a dead connection must not make this instance
    /// look dead. A server that is working, perhaps on a slow disk, is given longer.
    pub patience: Duration,
    /// Between two reads of the instances by notification: any role may send those, at any rate.
    pub members_pause: Duration,
    /// Between two publications of the state that are not due with a heartbeat: a lane that changes all the time must
    /// not cost a commit each time.
    pub publish_pause: Duration,
}

/// The database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockLimits {
    /// How often it is measured. Every claim measures it as well.
    pub every: Duration,
    /// How long a reading may take.
    pub patience: Duration,
    /// Readings at once; the one with the shortest round trip counts.
    pub readings: usize,
    /// Between attempts to measure a clock that was lost.
    pub lost_retry: Backoff,
    /// Between queries for the provider's date while the clock is disputed.
    pub date_pause: Duration,
}

/// Callbacks, and what look-ups find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptLimits {
    /// Reports in one transaction.
    pub group: usize,
    /// How long a report waits for its turn. Together with the time-out of the database this is well below the 15 s
    /// after which a provider may give up, so that the provider receives the response to repeat the callback.
    pub patience: Duration,
}

/// Look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookUpLimits {
    /// Between two rounds: what is due waits at most this long, and an idle database gets one small query in this time.
    pub pause: Duration,
    /// After a round that an error of the database ended.
    pub failed_pause: Duration,
    /// Unconfirmed attempts in one round, and also accepted ones without a receipt. Separate limits, so that many of
    /// the latter do not delay the former. Such a round takes a few seconds if the provider responds.
    pub round: usize,
    /// How long the look-ups of a round are reserved for it: longer than a round takes if the provider responds. If
    /// the process dies in a round, its look-ups wait this long. A look-up that is made twice does no harm.
    pub reservation: Duration,
    /// When a look-up that the provider throttled is repeated.
    pub throttled_retry: Duration,
    /// Requests at once for a few look-ups. Sends have priority, and a provider limits the requests of an account.
    pub at_once: usize,
    /// Requests at once for a backlog: with responses in 0.2 s, a thousand in 12 s.
    pub at_once_max: usize,
}

/// The quarantine after a restore, and what dead instances left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryLimits {
    /// Between attempts at what the database or the disk refused, and between checks of what a dead instance left.
    pub retry: Duration,
    /// After this time a statement of a dead session has ended: the server's `statement_timeout`, and a margin.
    pub settled_after: Duration,
    /// Between checks of whether the requests that had begun have ended.
    pub look: Duration,
    /// Between two comparisons with the provider's list, increasing: what was not decided within an hour, only a
    /// person can decide.
    pub comparisons: Backoff,
    /// After a comparison that the database interrupted.
    pub comparison_retry: Duration,
    /// How often messages are read that another instance has cleared. The provider is not queried for that.
    pub cleared_every: Duration,
    /// Rows of a comparison read in one statement.
    pub page: usize,
    /// Queries at once: the provider limits concurrency, and sends come first.
    pub queries: usize,
}

/// The journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// How often it is checked.
    pub every: Duration,
    /// After this many checks, unrecorded responses are synced.
    pub sync_at: u32,
}

pub(super) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) const fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl Default for LoopLimits {
    fn default() -> Self {
        Self {
            inputs: 1_024,
            questions: 64,
            inputs_per_turn: 64,
            nap_max: seconds(1),
            facts_every: milliseconds(500),
            drain_grace: seconds(15),
            start_retry: Backoff::new(milliseconds(100), seconds(1)),
            backlog_max: 1_000_000,
            backlog_fresh: seconds(1),
            backlog_fresh_repeated: seconds(15),
            backlog_patience: milliseconds(800),
        }
    }
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self {
            proof_every: seconds(5),
            proof_within: seconds(3),
            deafened_every: seconds(1),
            reconnect: Backoff::new(milliseconds(100), seconds(1)),
            poll_every: None,
            is_fed: false,
            written_max: 1_024,
            visible: Backoff::new(milliseconds(1), milliseconds(100)),
        }
    }
}

impl Default for HeartbeatLimits {
    fn default() -> Self {
        Self {
            every: seconds(5),
            silence: seconds(20),
            patience: seconds(5),
            members_pause: milliseconds(500),
            publish_pause: milliseconds(500),
        }
    }
}

impl Default for ClockLimits {
    fn default() -> Self {
        Self {
            every: seconds(5),
            patience: seconds(5),
            readings: 5,
            lost_retry: Backoff::new(milliseconds(10), seconds(1)),
            date_pause: seconds(10),
        }
    }
}

impl Default for ReceiptLimits {
    fn default() -> Self {
        Self {
            group: 500,
            patience: seconds(5),
        }
    }
}

impl Default for LookUpLimits {
    fn default() -> Self {
        Self {
            pause: seconds(1),
            failed_pause: seconds(5),
            round: 250,
            reservation: seconds(60),
            throttled_retry: seconds(2),
            at_once: 4,
            at_once_max: 16,
        }
    }
}

impl Default for RecoveryLimits {
    fn default() -> Self {
        Self {
            retry: seconds(2),
            settled_after: seconds(20),
            look: milliseconds(50),
            comparisons: Backoff::new(seconds(30), seconds(3_600)),
            comparison_retry: seconds(5),
            cleared_every: seconds(5),
            page: 5_000,
            queries: 4,
        }
    }
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self {
            every: seconds(1),
            sync_at: 5,
        }
    }
}
