//! Keeps the way to the provider warm: a handshake at the due time would be lateness.

use std::time::Duration;

use super::{Command, Reactor};
use crate::message::{Moment, Now, Uptime};

/// So long before messages are due their connections are made sure of.
const AHEAD: Duration = Duration::from_secs(2);

/// A connection used this recently is warm; servers close idle ones after 5 s at the earliest.
const EVERY: Duration = Duration::from_secs(4);

/// The wheel tells a bound, not the due time; where it was too early, look again after this.
const AGAIN: Duration = Duration::from_millis(500);

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
        if self.soonest().is_none_or(|at| at > now.db + AHEAD) {
            return;
        }
        let most = self.pressure.permits();
        let connections = self.agenda.upcoming(most, Some(now.db + AHEAD)).len();
        if connections == 0 {
            self.warmth.after = now.up + AGAIN;
            return;
        }
        self.warmth.after = now.up + EVERY;
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
        let at = self.soonest()? - AHEAD;
        Some(at.max(now.db + self.warmth.after.since(now.up)))
    }
}
