//! The limits of the reactor: intake, claims, records, and what it keeps of providers.

use std::time::Duration;

use crate::schedule::Backoff;

/// Notifications, reads and sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntakeLimits {
    /// How often what is about to be due is read again, with or without notifications. A lost
    /// notification delays its message by this at most.
    pub near_sweep: Duration,
    /// The same where transactions can be prepared, whose commits notify nothing, and where changes are polled: a
    /// message of one of them is late by this at most.
    pub unnotified_sweep: Duration,
    /// There a sweep begins so long before the next message that is known is due, if the last one began before half
    /// its distance: what was written since then and is due together with it is found in time.
    pub sweep_ahead: Duration,
    /// The least pause between full sweeps, however often one is requested.
    pub rescan_pause: Duration,
    /// The same before what is about to be due is read again because notifications had no room: what is written then
    /// and due at once is late by this at most.
    pub near_pause: Duration,
    /// And at least this many times as long as the last one took: requests, resumed pauses and a channel that comes
    /// and goes must not cause sweeps of a million rows all the time. What is about to be due is read every
    /// [`Self::near_sweep`] in any case, and at once after a pause, a quarantine or the loss of the channel. Near
    /// sweeps because a lock is gone keep the same distance from the last one: an app may lock and unlock all the time.
    pub rescan_share: u32,
    /// Messages notified and not read yet. Beyond this a sweep is cheaper than single reads.
    pub notified_max: usize,
    /// Messages armed at once. A full sweep reads three quarters of it. Where there are more, the window ends before
    /// the others, and the next one follows in half of that time; what is about to be due is armed by near sweeps in
    /// any case. Each costs some 120 bytes.
    pub armed_max: usize,
    /// Between full sweeps where more is overdue than one reads: near sweeps read all of it in any case, and these only
    /// find out whether that is over.
    pub behind_rescan: Duration,
    /// What has been overdue for longer near sweeps leave out for [`Self::rescan_share`] times as long as one took.
    pub behind: Duration,
    /// Messages in one read. A larger one delays those that are notified meanwhile.
    pub read_batch: usize,
    /// What another instance should have claimed by now is looked at together, so long after the first: each look costs
    /// a statement, and most find that it has. The first messages of an instance that has just died are late by this
    /// too.
    pub turns_gather: Duration,
    /// The same if there are many, or a look has just found one that was not claimed: an instance is away, or there are
    /// more than it can claim in time.
    pub turns_gather_helping: Duration,
    /// For how long after such a look.
    pub turns_helping: Duration,
    /// After a read or a sweep that failed: a failing database is not queried in a loop.
    pub failed_pause: Duration,
    /// Between checks of a row that another instance is sending; the first is when its lease is over.
    pub watch_pause: Duration,
    /// Timers of all lanes handled in one turn of the loop, to bring them into their order, and as many to compare
    /// them with what a sweep found, or to disarm what is in quarantine: what is due must not wait for a herd
    /// that is not. Half a millisecond's work.
    pub stretch: usize,
    /// Messages cleared from quarantine that are remembered. Fewer are cleared at a time; those that were sent since
    /// are forgotten when there is no room.
    pub quarantine_cleared_max: usize,
}

/// Claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimLimits {
    /// Messages in one claim. Larger ones cost no less for each message, and lock rows longer.
    pub batch: usize,
    /// Claims at once: the next one is sent while one waits for its response.
    pub at_once: usize,
    /// Where a round trip to the database takes so many times this, there are so many at once.
    pub each_of: Duration,
    /// The same, at most.
    pub at_once_max: usize,
    /// Messages claimed and not started, at most; released ones count until the release is
    /// recorded. If the process is killed then, nothing proves that
    /// their requests never began, so each of them may stay unconfirmed.
    pub ahead_max: usize,
    /// The same with a journal, which proves it: then the only cost is that users can no longer
    /// cancel them.
    pub ahead_max_with_journal: usize,
    /// How many of these are reserved for urgent messages.
    pub ahead_urgent: usize,
    /// Messages are claimed so long before they can start, while there are more due than can start
    /// at once: long enough for the claims after them.
    pub ahead_span: Duration,
    /// Or as long as this many slow claims take, if that is longer.
    pub ahead_claims: u32,
    /// From this many messages due together on, one claim is not enough for all, and they are
    /// claimed as early as is allowed.
    pub herd: usize,
    /// Where several instances run: messages due within one [slice](crate::schedule::SLICE) that one instance
    /// claims alone, at most. By more, groups are large anyway. It is no measure of an instance's own, by which two
    /// would count differently; what takes longer to start is divided when it is late.
    pub alone_max: usize,
    /// How long a request is assumed to take before one was made.
    pub first_request: Duration,
    /// Between tries of a row that another transaction has locked: it may roll back any moment.
    pub locked_retry: Backoff,
    /// Claims most of whose rows are locked follow each other after so many times as long as one takes, but after the
    /// longest of these pauses at the latest.
    pub locked_share: u32,
    /// Between tries to claim anything while the database fails.
    pub failed_retry: Backoff,
}

/// Results on their way into the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// Results in one transaction.
    pub batch: usize,
    /// How long an accepted message waits for others to be recorded with it: a transaction costs as much
    /// as the records in it. If the process is killed meanwhile, its message is unconfirmed until it is looked up.
    pub gather: Duration,
    /// Groups at once. A second one would take the database's time from claims.
    pub at_once: usize,
    /// The same where the database is far away: it is idle while a group is on its way.
    pub at_once_far: usize,
    /// Results that are not recorded: beyond this nothing is claimed or started. A database that
    /// is away for long must not cost memory without bound, nor more texts whose proof is only in
    /// memory.
    pub unrecorded_max: usize,
    /// Between tries of a result that could not be written because its row is locked; and
    /// between tries for all of them while the database fails.
    pub retry: Backoff,
}

/// Pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseLimits {
    /// How often they are read while something is cleared: one small statement serves all of it.
    pub reread: Duration,
    /// No request begins by a read older than this. Twice [`Self::reread`], so that nothing waits for the next read
    /// unless its response takes as long as that.
    pub max_age: Duration,
    /// Between tries to read them while the database fails.
    pub failed_retry: Backoff,
}

/// What a busy or refusing provider slows down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderLimits {
    /// "Too many requests" to two recipients within this span concerns the account.
    pub general_within: Duration,
    /// "Too many requests" within this span counts once: halving for each would stop
    /// everything.
    pub crowd: Duration,
    /// Between steps up. By time and not by successes, because what there is to send comes in
    /// herds: a quiet minute must not leave the next one to be throttled by the last.
    pub step_every: Duration,
    /// Steps from the bottom to the top: a limit of the provider in between is hit again at most
    /// this often.
    pub steps: usize,
    /// After a probe of a refused account of which not a byte was sent: it showed nothing about the
    /// account, and cost nothing.
    pub unsent_probe_pause: Duration,
}

/// Senders and recipients that a provider slows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowLimits {
    /// How many are kept. Each takes some 100 bytes.
    pub max: usize,
    /// The first wait.
    pub gap_first: Duration,
    /// The longest.
    pub gap_max: Duration,
    /// With a shorter wait it is not slowed any more.
    pub gap_least: Duration,
    /// How long one is kept after its wait: if the provider throttles it again within that, the wait goes on growing.
    pub kept: Duration,
}

/// Lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// From this many lanes on, new hosts share one for each account and channel. An empty lane takes
    /// some 25 kB.
    pub max: usize,
    /// How long what is known of a provider that refuses or throttles is kept when there is no
    /// message of its lane.
    pub kept: Duration,
}

/// Connections made ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrewarmLimits {
    /// How long before messages are due their connections are opened.
    pub ahead: Duration,
    /// A connection used this recently is warm; servers close idle ones after 5 s at the
    /// earliest.
    pub every: Duration,
    /// The wheel gives a bound, not the due time; where that was too early, the lane is checked again
    /// after this.
    pub retry: Duration,
    /// What is due within so many times as long as a request takes, and this in addition, needs connections of its own:
    /// requests vary.
    pub requests: u32,
    /// See above.
    pub slack: Duration,
    /// Messages looked at, for each request that there may be at once. Where more are due, all connections are opened.
    pub looks: usize,
}

/// Events for those who watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLimits {
    /// Changes of the agenda kept until they are taken: a first load arms a million, too many for
    /// anybody to read.
    pub agenda_max: usize,
    /// Events kept in all. The events of claims and requests are never more than one turn of the
    /// loop handles (some 65 inputs, a claim of 250 the largest of them), so none of them is left
    /// out.
    pub max: usize,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            near_sweep: Duration::from_secs(10),
            // Each reads what is due before the next two, so ten of these read as many rows as one of the others.
            unnotified_sweep: Duration::from_secs(1),
            sweep_ahead: Duration::from_millis(100),
            rescan_pause: Duration::from_secs(1),
            near_pause: Duration::from_millis(200),
            rescan_share: 10,
            notified_max: 10_000,
            armed_max: 500_000,
            behind_rescan: Duration::from_secs(60),
            behind: Duration::from_secs(60),
            read_batch: 1_000,
            turns_gather: Duration::from_millis(500),
            turns_gather_helping: Duration::from_millis(100),
            // Some slices of each of a few instances.
            turns_helping: Duration::from_secs(10),
            failed_pause: Duration::from_millis(500),
            watch_pause: Duration::from_secs(1),
            stretch: 4_096,
            quarantine_cleared_max: 10_000,
        }
    }
}

impl ClaimLimits {
    /// From this round trip on the database is far away: one more claim is made at once, and more connections are open.
    pub fn far_from(&self) -> Duration {
        let more = u32::try_from(self.at_once).unwrap_or(u32::MAX);
        self.each_of.saturating_mul(more.saturating_add(1))
    }
}

impl Default for ClaimLimits {
    fn default() -> Self {
        Self {
            batch: 250,
            at_once: 2,
            each_of: Duration::from_millis(7),
            at_once_max: 6,
            ahead_max: 300,
            ahead_max_with_journal: 4_000,
            ahead_urgent: 16,
            ahead_span: Duration::from_millis(200),
            ahead_claims: 3,
            herd: 32,
            alone_max: 1_000,
            first_request: Duration::from_millis(250),
            locked_retry: Backoff::new(Duration::from_millis(5), Duration::from_secs(1)),
            locked_share: 10,
            failed_retry: Backoff::new(Duration::from_millis(5), Duration::from_secs(1)),
        }
    }
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self {
            batch: 500,
            gather: Duration::from_millis(100),
            at_once: 1,
            at_once_far: 2,
            unrecorded_max: 20_000,
            retry: Backoff::new(Duration::from_millis(5), Duration::from_secs(1)),
        }
    }
}

impl Default for PauseLimits {
    fn default() -> Self {
        Self {
            reread: Duration::from_millis(50),
            max_age: Duration::from_millis(100),
            failed_retry: Backoff::new(Duration::from_millis(5), Duration::from_secs(1)),
        }
    }
}

impl Default for ProviderLimits {
    fn default() -> Self {
        Self {
            general_within: Duration::from_secs(10),
            crowd: Duration::from_secs(1),
            step_every: Duration::from_secs(1),
            steps: 60,
            unsent_probe_pause: Duration::from_secs(10),
        }
    }
}

impl Default for SlowLimits {
    fn default() -> Self {
        Self {
            max: 10_000,
            gap_first: Duration::from_secs(1),
            gap_max: Duration::from_secs(60),
            gap_least: Duration::from_millis(100),
            kept: Duration::from_secs(60),
        }
    }
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self {
            max: 1_000,
            kept: Duration::from_secs(600),
        }
    }
}

impl Default for PrewarmLimits {
    fn default() -> Self {
        Self {
            ahead: Duration::from_secs(2),
            every: Duration::from_secs(4),
            retry: Duration::from_millis(500),
            requests: 4,
            slack: Duration::from_millis(10),
            looks: 8,
        }
    }
}

impl Default for EventLimits {
    fn default() -> Self {
        Self {
            agenda_max: 1_000,
            max: 20_000,
        }
    }
}
