//! Connections to the provider that are opened in advance, for each lane: a handshake at the due time
//! would be lateness.

use std::collections::BTreeMap;
use std::time::Duration;

use super::lanes::{Lane, LaneState};
use super::{Command, Reactor};
use crate::limits::PrewarmLimits;
use crate::message::{LaneKey, Moment, Now, Priority};

impl<P: Clone> Reactor<P> {
    pub(super) fn prewarm(&mut self, now: Now) {
        if self.draining {
            return;
        }
        self.lanes.refresh();
        let mut due = std::mem::take(&mut self.due_lanes);
        due.extend(self.lanes.prewarm.until(now.db).map(|(_, lane)| lane));
        for lane in due.drain(..) {
            self.prewarm_lane(lane, now);
        }
        self.due_lanes = due;
        self.prewarm_paces(now);
    }

    /// Opens a connection for each of the paces whose slots begin together.
    fn prewarm_paces(&mut self, now: Now) {
        let limits = self.settings.limits.prewarm;
        let mut wanted = BTreeMap::<LaneKey, usize>::new();
        while let Some(due) = self.paces.pop_prewarm(now.db) {
            *wanted.entry(due.lane.clone()).or_default() += 1;
        }
        for (key, paces) in wanted {
            let lane = self.lanes.of(&key, &self.settings, now);
            let state = &self.lanes[lane];
            if state.prewarmed_until() > now.db || state.breaker.is_open() {
                continue;
            }
            let most = state.throttle.permits(now.up);
            let armed = state.count_due(now.db + limits.ahead, most);
            self.commands.push_back(Command::Prewarm {
                lane: state.key.clone(),
                connections: (armed + paces).min(most),
            });
            self.lanes.prewarm_after(lane, now.db + limits.every);
        }
    }

    fn prewarm_lane(&mut self, lane: Lane, now: Now) {
        let limits = self.settings.limits.prewarm;
        let state = &self.lanes[lane];
        let most = state.throttle.permits(now.up);
        let connections = connections(state, limits, most, now);
        if connections == 0 {
            // The moment was a bound: the first message is due later.
            self.lanes.prewarm_after(lane, now.db + limits.retry);
            return;
        }
        self.commands.push_back(Command::Prewarm {
            lane: state.key.clone(),
            connections,
        });
        self.lanes.prewarm_after(lane, now.db + limits.every);
    }

    pub(super) fn next_prewarm(&mut self) -> Option<Moment> {
        if self.draining {
            return None;
        }
        self.lanes.refresh();
        let lanes = self.lanes.prewarm.first();
        let paces = self.paces.next_prewarm();
        lanes.into_iter().chain(paces).min()
    }
}

/// How many connections a lane needs soon: one for each of the messages that are due together, as requests go.
fn connections(state: &LaneState, limits: PrewarmLimits, most: usize, now: Now) -> usize {
    let enough = most.saturating_mul(limits.looks);
    let mut dues = state.first_dues(enough, now.db + limits.ahead, Priority::Low);
    if dues.len() >= enough {
        return most;
    }
    dues.sort_unstable();
    let span = Duration::from_micros(state.send_us()) * limits.requests + limits.slack;
    let (mut first, mut needed) = (0, 0);
    for (n, due) in dues.iter().enumerate() {
        while dues[first] + span < *due {
            first += 1;
        }
        needed = needed.max(n + 1 - first);
    }
    needed.min(most)
}
