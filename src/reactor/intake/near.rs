//! Near sweeps: when they begin, and what they read.

use super::{Commits, Intake};
use crate::message::{Moment, Now, Uptime};

impl Intake {
    /// What is due by then is about to be due: the next near sweep reads it, if this one did not.
    pub(super) fn near_until(&self, now: Now) -> Moment {
        now.db + self.near_sweep * 2
    }

    /// From when on a near sweep that begins now reads what is due; `None`: all. What has been overdue for long is read
    /// as seldom as anything that takes as long, unless something is to be armed again: it waits for something else
    /// than a sweep, and there may be a million of it.
    pub(super) fn near_from(&self, now: Now) -> Option<Moment> {
        let is_left_out = now.up < self.behind_after && !self.unlock_wanted;
        is_left_out.then(|| now.db - self.limits.behind)
    }

    /// A near sweep of all that is due begins by then.
    pub(super) fn near_by(&mut self, at: Uptime) {
        self.next_near = self.next_near.min(at);
        self.behind_after = self.behind_after.min(at);
    }

    /// What is about to be due is read and armed again, as soon as [`IntakeLimits::rescan_share`] permits: it may go by
    /// another lane.
    pub(in crate::reactor) fn sweep_soon(&mut self) {
        self.near_by(self.near_after);
    }

    /// The next near sweep comes before what is due after this; `None`: it does not follow that. What is due sooner
    /// was known to the last one.
    pub(super) fn follows_dues_after(&self, now: Now) -> Option<Moment> {
        let began = now.db - now.up.since(self.near_began);
        let after = now.db.max(began + self.limits.sweep_ahead);
        matches!(self.commits, Commits::Unnotified).then_some(after)
    }

    /// When the next near sweep is to begin. `first`: when the next message is due that it comes before, where that
    /// matters.
    pub(super) fn near_at(&self, first: Option<Moment>, now: Now) -> Uptime {
        let regular = if self.unlock_wanted {
            self.next_near.min(self.unlock_after)
        } else {
            self.next_near
        };
        let soonest = (self.near_began + self.near_sweep / 2).max(self.failed_until);
        let before = |first: Moment| now.up + first.since(now.db) - self.limits.sweep_ahead;
        first.map_or(regular, |first| regular.min(before(first).max(soonest)))
    }
}
