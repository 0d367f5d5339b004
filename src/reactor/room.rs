//! How many messages may be claimed and in flight at once, of each lane and priority.
//!
//! What is claimed can no longer be cancelled, and if the process is killed before it starts, only a
//! journal can prove that it never began. So no more is claimed ahead than keeps the requests going.

use std::cmp::Ordering;
use std::time::Duration;

use super::Reactor;
use super::lanes::{Lane, LaneState};
use crate::message::{Now, Priority};

impl<P: Clone> Reactor<P> {
    /// How many requests of a lane there may be at once now.
    pub(super) fn permits(&self, lane: Lane, now: Now) -> usize {
        self.permits_of(&self.lanes[lane], now)
    }

    /// The same of the lane with this state.
    pub(super) fn permits_of(&self, state: &LaneState, now: Now) -> usize {
        let (own, all) = (state.load.sending, self.lanes.load().sending);
        let free = self.settings.max_in_flight.saturating_sub(all);
        let permits = state.throttle.permits(now.up);
        permits.min(own + self.lanes.share(free, own))
    }

    /// How many more of a lane and a priority may be claimed now: as many as can start before the
    /// next claim has its response, after those that go before them. What is less urgent takes no room.
    fn room(&self, lane: Lane, priority: Priority, now: Now) -> usize {
        let state = &self.lanes[lane];
        let (own, all) = (state.load, self.lanes.load());
        let unrecorded = self
            .unrecorded_max(priority)
            .saturating_sub(all.unrecorded());
        if self.lanes.share(unrecorded, own.unrecorded()) == 0 {
            return 0;
        }
        // The next one is ready when a permit becomes free.
        let permits = self.permits(lane, now).max(1);
        let free = permits.saturating_sub(own.sending);
        let startable = state.startable(permits, self.claim_span()).max(1);
        // What a claim from a pace wins has a priority that is not known yet: only urgent messages go before it.
        let paced = match priority {
            Priority::Urgent => 0,
            Priority::Low | Priority::Normal | Priority::High => own.paced_asks,
        };
        let before = own.ahead_of(priority) + paced;
        let ahead = self.ahead_max(priority).saturating_sub(self.ahead());
        let has_others = own.ahead() > before + own.unused;
        let share = match self.lanes.share(ahead, before + own.unused) {
            // A lane that waits with less urgent messages leaves the last place to the others.
            share if has_others && !self.lanes.is_alone() => share.min(ahead.saturating_sub(1)),
            share => share,
        };
        (free + startable).saturating_sub(before).min(share)
    }

    /// How many messages are claimed, or may be, and not started.
    pub(super) fn ahead(&self) -> usize {
        self.lanes.load().ahead() + self.paces.beside.len()
    }

    /// The least priority that a lane has room for.
    pub(super) fn least_with_room(&self, lane: Lane, now: Now) -> Option<Priority> {
        let least = self.least_claimed()?;
        let mut priorities = Priority::ALL.into_iter();
        priorities.find(|priority| *priority >= least && self.room(lane, *priority, now) > 0)
    }

    /// The least priority that another claim may have. While there are as many claims as there may be, one more is for
    /// what is more urgent than some of theirs: it must not wait for a herd that is not.
    pub(super) fn least_claimed(&self) -> Option<Priority> {
        match self.claims.cmp(&self.claims_at_once()) {
            Ordering::Less => Some(Priority::Low),
            Ordering::Equal => {
                let least = self.lanes.load().least_claiming()?;
                Priority::ALL.into_iter().find(|other| *other > least)
            }
            Ordering::Greater => None,
        }
    }

    /// How many outcomes may wait for their record while messages of this priority and below are claimed: a herd is
    /// sent sooner than it is recorded, and what is more urgent must not wait for its records.
    fn unrecorded_max(&self, priority: Priority) -> usize {
        let eighths = match priority {
            Priority::Low => 4,
            Priority::Normal => 6,
            Priority::High => 7,
            Priority::Urgent => 8,
        };
        let all = self.settings.limits.records.unrecorded_max;
        (all * eighths).div_ceil(8)
    }

    /// How many messages of this priority and below may be claimed and not started. What will not be
    /// started counts until that is recorded, because a kill would leave it claimed. The last few
    /// are reserved for urgent ones, which a herd must not delay.
    fn ahead_max(&self, priority: Priority) -> usize {
        let others = self.ahead_max - self.settings.limits.claims.ahead_urgent.min(self.ahead_max);
        match priority {
            Priority::Urgent => self.ahead_max,
            Priority::Low | Priority::Normal | Priority::High => others.max(1),
        }
    }

    /// How far ahead of their start messages are claimed.
    fn claim_span(&self) -> Duration {
        let limits = &self.settings.limits.claims;
        let claims = self.lead.slow_claim().saturating_mul(limits.ahead_claims);
        // What waits for longer may lose its lease before it can start.
        limits.ahead_span.max(claims).min(self.settings.lease / 4)
    }

    /// Whether a lane may be in the next claim. It is in one at a time (in more where the database is far away), so
    /// that another one is always free for other lanes; a single lane may be in all.
    pub(super) fn may_be_asked(&self, lane: Lane) -> bool {
        self.lanes.is_alone()
            || !self.lanes[lane].load.is_claiming()
            || self.may_be_in_another()
            // For what is more urgent.
            || self.claims >= self.claims_at_once()
    }
}
