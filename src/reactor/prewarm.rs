//! Connections to the provider that are made ahead, for each lane: a handshake at the due time would
//! be lateness.

use super::lanes::Lane;
use super::{Command, Reactor};
use crate::message::{Moment, Now, Uptime};
use crate::schedule::LEAD_MAX;

/// What was made sure of for a lane.
#[derive(Debug)]
pub(super) struct Prewarm {
    /// Not looked at before this.
    after: Uptime,
}

impl Prewarm {
    pub(super) const fn new(now: Now) -> Self {
        Self { after: now.up }
    }
}

impl<P: Clone> Reactor<P> {
    pub(super) fn prewarm(&mut self, now: Now) {
        if self.draining {
            return;
        }
        self.lanes.refresh();
        let until = now.db + self.settings.limits.prewarm.ahead - LEAD_MAX;
        let mut due = std::mem::take(&mut self.due_lanes);
        due.extend(self.lanes.soonest(until).map(|(_, lane)| lane));
        for lane in due.drain(..) {
            self.prewarm_lane(lane, now);
        }
        self.due_lanes = due;
    }

    fn prewarm_lane(&mut self, lane: Lane, now: Now) {
        let limits = self.settings.limits.prewarm;
        let state = &mut self.lanes[lane];
        let later = state.first().is_none_or(|at| at > now.db + limits.ahead);
        if later || now.up < state.prewarm.after || state.breaker.is_open() {
            return;
        }
        let most = state.throttle.permits(now.up);
        let connections = state.count_due(now.db + limits.ahead, most);
        if connections == 0 {
            state.prewarm.after = now.up + limits.retry;
            return;
        }
        state.prewarm.after = now.up + limits.every;
        self.commands.push_back(Command::Prewarm {
            lane: state.key.clone(),
            connections,
        });
    }

    pub(super) fn next_prewarm(&mut self, now: Now) -> Option<Moment> {
        if self.draining {
            return None;
        }
        self.lanes.refresh();
        let mut next: Option<Moment> = None;
        for (bound, lane) in self.lanes.soonest(Moment::MAX) {
            let ahead = self.settings.limits.prewarm.ahead;
            if next.is_some_and(|next| next <= bound + LEAD_MAX - ahead) {
                break;
            }
            let state = &self.lanes[lane];
            if let Some(first) = state.first().filter(|_| !state.breaker.is_open()) {
                let at = (first - ahead).max(now.db + state.prewarm.after.since(now.up));
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }
}
