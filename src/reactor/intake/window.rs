//! How far the agenda reaches: less far than the horizon, where more is due by then than may be armed.
//!
//! What is beyond it is found in time by near sweeps, which have no such limit: what is about to be due has to be
//! armed.

use std::time::Duration;

use super::{Intake, Reach, Sweep};
use crate::message::{MessageId, Moment, Now, Uptime};
use crate::reactor::Reactor;
use crate::reactor::events::Disarmed;

const INSTANT: Duration = Duration::from_micros(1);

impl Intake {
    /// How many rows a full sweep reads. Some room is left for what is written until the next one: without it the first
    /// row would end the window, and a sweep that fills it again would follow at once.
    pub(super) const fn full_most(&self) -> usize {
        self.limits.armed_max - self.limits.armed_max / 4
    }

    /// Ends the window earlier. The next full sweep, which makes it longer again, is earlier as well.
    pub(super) fn shorten(&mut self, until: Moment, now: Now) {
        self.window_until = self.window_until.min(until);
        let half = self.window_until.since(now.db) / 2;
        let least = if self.window_until < self.near_until(now) {
            self.limits.behind_rescan
        } else {
            self.limits.near_sweep
        };
        let earliest = self.rescan_after.max(now.up + least);
        let next = earliest.max(now.up + half);
        self.next_full = self.next_full.map(|at: Uptime| at.min(next));
    }

    /// A full sweep was complete. The next one may have been wanted before it was known how long this one takes.
    pub(super) fn next_full_after_pause(&mut self, regular: Uptime) {
        let soonest = self.rescan_after.min(regular);
        self.next_full = self.next_full.map(|at| at.max(soonest));
    }

    /// A full sweep had no room for what is planned from then on: the next one follows sooner, and a near one at once
    /// if it did not even reach what is about to be due.
    pub(super) fn had_no_room(&mut self, sweep: &mut Sweep, from: Moment, now: Now) {
        sweep.until = sweep.until.min(from - INSTANT);
        self.shorten(sweep.until, now);
        if self.window_until < self.near_until(now) {
            self.next_near = self.next_near.min(now.up);
        }
    }

    /// What is due after this is disarmed once a full sweep is compared with what is armed; `None`: it is a near one.
    pub(super) fn kept_until(&self, reach: Reach, now: Now) -> Option<Moment> {
        (reach == Reach::Full).then(|| self.window_until.max(self.near_until(now)))
    }
}

impl<P: Clone> Reactor<P> {
    /// Whether a message is armed that is due then. One for which there is no room ends the window before it, unless
    /// it is about to be due.
    pub(super) fn is_in_window(&mut self, id: MessageId, due: Moment, now: Now) -> bool {
        if due <= self.intake.near_until(now) {
            return true;
        }
        if due > self.intake.window_until {
            return false;
        }
        let has_room = self.lanes.armed() < self.intake.limits.armed_max;
        if has_room || self.lanes.get(id).is_some() {
            return true;
        }
        self.intake.shorten(due - INSTANT, now);
        false
    }

    /// Disarms what is due after the window: it was armed before that became shorter.
    pub(super) fn disarm_beyond(&mut self, ids: Vec<(MessageId, Moment)>, now: Now) {
        for (id, due) in ids {
            let former = self.lanes.remove(id);
            self.log_disarmed(id, former, Disarmed::AfterWindow(due), now);
        }
    }
}
