//! Keeps the way to the provider warm: a handshake at the due time would be lateness.

use super::{Command, Reactor};
use crate::message::{Moment, Now, Uptime};

/// When to look next.
#[derive(Debug)]
pub(super) struct Warmth {
    after: Uptime,
}

impl Warmth {
    pub(super) const fn new(now: Now) -> Self {
        Self { after: now.up }
    }
}

impl<P: Clone> Reactor<P> {
    pub(super) fn warm_up(&mut self, now: Now) {
        let held = self.draining || self.breaker.is_open();
        if now.up < self.warmth.after || held || self.agenda.is_empty() {
            return;
        }
        let limits = self.settings.limits.prewarm;
        if self.soonest().is_none_or(|at| at > now.db + limits.ahead) {
            return;
        }
        let most = self.pressure.permits();
        let connections = self
            .agenda
            .upcoming(most, Some(now.db + limits.ahead))
            .len();
        if connections == 0 {
            self.warmth.after = now.up + limits.retry;
            return;
        }
        self.warmth.after = now.up + limits.every;
        self.commands.push_back(Command::Warm { connections });
    }

    /// A bound for the next due time: never later than it.
    fn soonest(&mut self) -> Option<Moment> {
        let wheel = self.agenda.next_advance();
        [self.agenda.first(), wheel].into_iter().flatten().min()
    }

    pub(super) fn next_warm_up(&mut self, now: Now) -> Option<Moment> {
        if self.draining || self.breaker.is_open() {
            return None;
        }
        let at = self.soonest()? - self.settings.limits.prewarm.ahead;
        Some(at.max(now.db + self.warmth.after.since(now.up)))
    }
}
