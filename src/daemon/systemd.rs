//! Notifies systemd, if it expects that (`Type=notify`, `WatchdogSec=`): that the daemon is ready, that
//! the event loop runs, that it is stopping. Without systemd this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::message::Uptime;

/// Keep-alives within the time-out of the watchdog: one may be late or missing.
const KEEP_ALIVES: u32 = 3;

pub(super) struct Systemd {
    /// Between two keep-alives; `None`: there is no watchdog.
    every: Option<Duration>,
    last: Option<Uptime>,
    is_ready: bool,
}

impl Systemd {
    /// As the environment of this process says.
    pub(super) fn of_process() -> Self {
        Self::new(sd_notify::watchdog_enabled())
    }

    fn new(watchdog: Option<Duration>) -> Self {
        Self {
            every: watchdog.map(|within| within / KEEP_ALIVES),
            last: None,
            is_ready: false,
        }
    }

    /// Called in every iteration of the loop: a loop that is stuck sends no keep-alive.
    pub(super) fn tick(&mut self, now: Uptime, ready: bool) {
        if ready && !self.is_ready {
            self.is_ready = true;
            notify(NotifyState::Ready);
        }
        if self.is_due(now) {
            notify(NotifyState::Watchdog);
        }
    }

    fn is_due(&mut self, now: Uptime) -> bool {
        let Some(every) = self.every else {
            return false;
        };
        let due = self.last.is_none_or(|last| now.since(last) >= every);
        if due {
            self.last = Some(now);
        }
        due
    }

    /// A stop has begun, and may take as long as what is in flight.
    #[expect(clippy::unused_self, reason = "the others need it too")]
    pub(super) fn stopping(&self) {
        notify(NotifyState::Stopping);
    }
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "could not notify systemd");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_gets_three_keep_alives_within_its_time_out() {
        let mut systemd = Systemd::new(Some(Duration::from_secs(30)));
        let at = |s: i64| Uptime::from_micros(s * 1_000_000);
        let due: Vec<i64> = (0..31).filter(|s| systemd.is_due(at(*s))).collect();
        assert_eq!(due, [0, 10, 20, 30]);
        let mut none = Systemd::new(None);
        assert!(!none.is_due(at(100)));
    }
}
