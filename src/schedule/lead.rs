//! How long before its due time a message is claimed.
//!
//! A claim takes a commit. Made before the due time, it makes the message no later; made too early, it
//! prevents a user from cancelling. So the lead follows how long claims take at present, and is at most
//! [`LEAD_MAX`].

use std::time::Duration;

/// The cut-off that users are promised: up to this long before its due time a message can be
/// cancelled or edited.
pub const LEAD_MAX: Duration = Duration::from_millis(50);

/// With a longer round trip messages are late: it, what a claim takes on the server, and the wait for its turn are
/// together longer than [`LEAD_MAX`].
pub const ROUND_TRIP_MAX: Duration = Duration::from_millis(40);

/// Reads remembered: the shortest of a few seconds was delayed by nothing but its way.
const ROUND_TRIPS: usize = 64;

/// The shortest lead: a disk that is idle most of the time takes ten milliseconds and more for one commit in a hundred.
const LEAD_MIN: Duration = Duration::from_millis(15);

/// Where only some claims take longer than this, the machine or the disk is busy, and still more claims would make it
/// busier. Where most of them do, the database is far away, and the lead goes beyond it.
const LEAD_BUSY: Duration = Duration::from_millis(30);

/// On top of what slow claims take. A claim takes along what is due between the lead and [`REACH`]: a longer lead
/// leaves it less of that, and more claims keep disk and processors busy, which makes them slower.
const MARGIN: Duration = Duration::from_millis(5);

/// What is claimed along with another is due within this, a little less than [`LEAD_MAX`]: at the very cut-off the
/// database might find it too early, and another claim would be needed.
const REACH: Duration = Duration::from_millis(45);

/// What is assumed before anything was measured.
const LEAD_FIRST: Duration = Duration::from_millis(25);

/// Claims remembered: enough for a 99th percentile, few enough to follow a change.
const MEMORY: usize = 256;

/// So many claims show what most take. The first ones of a process also open connections and plan statements.
const ENOUGH: usize = 16;

/// The operator's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadSetting {
    /// Follow the measured latency of claims.
    Auto,
    /// Always this, at most [`LEAD_MAX`].
    Fixed(Duration),
}

/// Measures claims and says how far ahead the next ones are made.
#[derive(Debug)]
pub struct Lead {
    setting: LeadSetting,
    herd: usize,
    latencies_us: std::collections::VecDeque<u32>,
    /// The median of these.
    usual: Duration,
    /// The 99th percentile of them.
    slow: Duration,
    /// Of the latest reads that a claim's disk, locks and triggers do not delay.
    round_trips: std::collections::VecDeque<Duration>,
    /// The shortest of these.
    round_trip: Duration,
    current: Duration,
}

impl Lead {
    /// A lead that has measured nothing yet. `herd`: so many due together are claimed from
    /// [`LEAD_MAX`] on.
    pub fn new(setting: LeadSetting, herd: usize) -> Self {
        let current = match setting {
            LeadSetting::Auto => LEAD_FIRST,
            LeadSetting::Fixed(lead) => lead.min(LEAD_MAX),
        };
        Self {
            setting,
            herd,
            latencies_us: std::collections::VecDeque::with_capacity(MEMORY),
            usual: Duration::ZERO,
            slow: Duration::ZERO,
            round_trips: std::collections::VecDeque::with_capacity(ROUND_TRIPS),
            round_trip: Duration::ZERO,
            current,
        }
    }

    /// Records how long a claim took from its request to its response.
    pub fn measured(&mut self, took: Duration) {
        if self.latencies_us.len() == MEMORY {
            self.latencies_us.pop_front();
        }
        let us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.latencies_us.push_back(us);
        let mut sorted: Vec<u32> = self.latencies_us.iter().copied().collect();
        let mut of_hundred = |n: usize| {
            let rank = (sorted.len() - 1) * n / 100;
            let (_, at, _) = sorted.select_nth_unstable(rank);
            Duration::from_micros(u64::from(*at))
        };
        self.usual = of_hundred(50);
        self.slow = of_hundred(99);
        if self.setting == LeadSetting::Auto {
            // A quarter more: the next slow claim may be slower than the last.
            let lead = self.slow * 5 / 4 + MARGIN;
            let most = (self.usual * 2 + 2 * MARGIN).max(LEAD_BUSY);
            self.current = lead.min(most).clamp(LEAD_MIN, LEAD_MAX);
        }
    }

    /// What a slow claim takes: the 99th percentile of the latest; nothing before there was one.
    pub const fn slow_claim(&self) -> Duration {
        self.slow
    }

    /// Records how long a read of a few rows took.
    pub fn read(&mut self, took: Duration) {
        if self.round_trips.len() == ROUND_TRIPS {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(took);
        self.round_trip = self.round_trips.iter().copied().min().unwrap_or_default();
        if self.setting == LeadSetting::Auto && self.latencies_us.is_empty() {
            self.current = (LEAD_FIRST + self.round_trip).min(LEAD_MAX);
        }
    }

    /// What nothing takes less than: the way to the database and back.
    pub const fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// What most claims take, if that is longer than a message may be asked for ahead: messages are late by the rest.
    pub fn claims_too_slow(&self) -> Option<Duration> {
        let is_known = self.latencies_us.len() >= ENOUGH;
        (is_known && self.usual > LEAD_MAX).then_some(self.usual)
    }

    /// The lead for a single message.
    pub const fn single(&self) -> Duration {
        self.current
    }

    /// From how many messages due together on they are claimed as early as is allowed; `None`:
    /// the operator has decided otherwise.
    pub const fn herd(&self) -> Option<usize> {
        match self.setting {
            LeadSetting::Auto => Some(self.herd),
            LeadSetting::Fixed(_) => None,
        }
    }

    /// How far a claim reaches: it takes along whatever may be claimed by now, because each claim costs a commit.
    pub fn reach(&self, is_herd: bool) -> Duration {
        match self.setting {
            _ if is_herd => LEAD_MAX,
            LeadSetting::Auto => self.current.max(REACH),
            LeadSetting::Fixed(_) => self.current,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn follows_the_slow_claims_and_forgets_them() {
        let mut lead = Lead::new(LeadSetting::Auto, 32);
        for _ in 0..MEMORY {
            lead.measured(ms(1));
        }
        let calm = lead.single();
        assert!(calm > ms(1) && calm < ms(20), "{calm:?}");
        for _ in 0..8 {
            lead.measured(ms(20));
        }
        assert!(lead.single() > ms(20), "{:?}", lead.single());
        for _ in 0..8 {
            lead.measured(ms(200));
        }
        assert_eq!(lead.single(), LEAD_BUSY, "a few that are slow");
        for _ in 0..MEMORY {
            lead.measured(ms(21));
        }
        assert!(lead.single() > LEAD_BUSY, "{:?}", lead.single());
        for _ in 0..MEMORY {
            lead.measured(ms(1));
        }
        assert_eq!(lead.single(), calm);
    }

    #[test]
    fn never_passes_what_users_are_promised() {
        let mut lead = Lead::new(LeadSetting::Auto, 32);
        lead.measured(Duration::from_secs(3600 * 24));
        assert_eq!(lead.single(), LEAD_MAX);
        assert_eq!(lead.reach(false), LEAD_MAX);
        assert_eq!(lead.reach(true), LEAD_MAX);
        assert_eq!(Lead::new(LeadSetting::Fixed(ms(80)), 32).single(), LEAD_MAX);
    }

    #[test]
    fn the_first_claim_is_made_earlier_by_the_way_to_the_database() {
        let mut lead = Lead::new(LeadSetting::Auto, 32);
        for took in [34, 20, 60] {
            lead.read(ms(took));
        }
        assert_eq!(lead.round_trip(), ms(20));
        assert_eq!(lead.single(), LEAD_FIRST + ms(20));
        lead.measured(ms(22));
        lead.measured(ms(70));
        lead.measured(ms(70));
        assert_eq!(lead.single(), LEAD_MAX);
    }

    #[test]
    fn a_few_claims_do_not_show_what_most_take() {
        let mut lead = Lead::new(LeadSetting::Auto, 32);
        for _ in 1..ENOUGH {
            lead.measured(ms(70));
            assert_eq!(lead.claims_too_slow(), None);
        }
        lead.measured(ms(70));
        assert_eq!(lead.claims_too_slow(), Some(ms(70)));
        for _ in 0..ENOUGH {
            lead.measured(ms(20));
        }
        assert_eq!(lead.claims_too_slow(), None);
    }

    #[test]
    fn a_fixed_lead_is_the_users_word() {
        let mut lead = Lead::new(LeadSetting::Fixed(ms(7)), 32);
        lead.measured(ms(40));
        assert_eq!(lead.single(), ms(7));
        assert_eq!(lead.reach(false), ms(7));
        assert_eq!(lead.herd(), None);
    }
}
