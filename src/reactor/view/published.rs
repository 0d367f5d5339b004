//! What this instance publishes for forecasts: the state of its lanes.

use crate::forecast::{PublishedLane, PublishedRules, PublishedSlowed, PublishedState, Refused};
use crate::message::Now;
use crate::reactor::Reactor;
use crate::reactor::lanes::LaneState;
use crate::reactor::report::Missing;
use crate::schedule::DENSITY_BUCKET;

/// Ten minutes of what is due.
const STRETCHES: usize = 120;

/// Lanes that are published. Only hosts of webhooks can be more, and those that are left out have nothing to report or
/// few messages.
const LANES_MAX: usize = 64;

/// Senders and pairs that are published.
const SLOWED_MAX: usize = 100;

impl<P: Clone> Reactor<P> {
    /// The state that is published, by these rules. `missing`: why nothing is sent.
    pub fn published(
        &self,
        missing: &[Missing],
        rules: &PublishedRules,
        now: Now,
    ) -> PublishedState {
        let mut lanes: Vec<_> = self.lanes.all().map(|state| lane(state, now)).collect();
        lanes.sort_by_key(|lane| {
            let is_quiet = lane.refused.is_none() && lane.permits == lane.permits_max;
            let due: u64 = lane.due.iter().map(|n| u64::from(*n)).sum();
            (is_quiet, std::cmp::Reverse(due))
        });
        lanes.truncate(LANES_MAX);
        // Without notifications changes are found later, and everything is sent all the same.
        let stops = |missing: &&Missing| **missing != Missing::Channel;
        let stopping: Vec<_> = missing.iter().filter(stops).collect();
        PublishedState {
            at: now.db,
            missing: stopping.iter().map(ToString::to_string).collect(),
            loading: stopping == [&Missing::Window],
            quarantine_before: self.quarantine_before,
            lanes,
            slowed: self
                .slowed
                .waiting(now.up)
                .take(SLOWED_MAX)
                .map(|(key, pause)| PublishedSlowed {
                    key,
                    until: now.db + pause,
                })
                .collect(),
            paused_accounts: self.lanes.paused_accounts(now.db),
            rules: rules.clone(),
            feed: None,
        }
    }
}

fn lane(state: &LaneState, now: Now) -> PublishedLane {
    let breaker = state.breaker.report(now);
    let refused = breaker.since.map(|since| Refused {
        since,
        next_probe_at: breaker.next_probe_at,
        category: breaker.category.unwrap_or_default().to_owned(),
        code: breaker.reason,
    });
    let (due_from, mut due) = state.density(now.db, STRETCHES);
    while due.last() == Some(&0) {
        due.pop();
    }
    PublishedLane {
        refused,
        unreached_until: state.unreached_for(now.up).map(|wait| now.db + wait),
        permits: state.throttle.permits(now.up) as u64,
        permits_max: state.throttle.max() as u64,
        send_us: state.send_us(),
        cleared: state.load.cleared.iter().sum::<usize>() as u64,
        in_flight: state.load.sending as u64,
        due_from,
        due_us: u64::try_from(DENSITY_BUCKET.as_micros()).unwrap_or(u64::MAX),
        due,
        ..PublishedLane::of(&state.key)
    }
}
