//! What systemd is told, where it asks (`Type=notify`, `WatchdogSec=`): that we are ready, that
//! the loop turns, that we are stopping. Anywhere else this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::message::Uptime;

/// So many pets within the time that systemd allows: one may come late, or not at all.
const PETS: u32 = 3;

pub(super) struct Systemd {
    /// Between two pets; `None`: there is no watchdog.
    every: Option<Duration>,
    petted: Option<Uptime>,
    told_ready: bool,
}

impl Systemd {
    /// As the environment of this process has it.
    pub(super) fn of_process() -> Self {
        Self::new(sd_notify::watchdog_enabled())
    }

    fn new(watchdog: Option<Duration>) -> Self {
        Self {
            every: watchdog.map(|within| within / PETS),
            petted: None,
            told_ready: false,
        }
    }

    /// Once a turn of the loop: a loop that is stuck pets nobody.
    pub(super) fn turned(&mut self, now: Uptime, ready: bool) {
        if ready && !self.told_ready {
            self.told_ready = true;
            tell(NotifyState::Ready);
        }
        if self.is_due(now) {
            tell(NotifyState::Watchdog);
        }
    }

    fn is_due(&mut self, now: Uptime) -> bool {
        let Some(every) = self.every else {
            return false;
        };
        let due = self.petted.is_none_or(|last| now.since(last) >= every);
        if due {
            self.petted = Some(now);
        }
        due
    }

    /// A stop has begun, and may take as long as what is in flight.
    #[expect(clippy::unused_self, reason = "told by whoever tells the rest")]
    pub(super) fn stopping(&self) {
        tell(NotifyState::Stopping);
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "could not notify systemd");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_petted_three_times_within_its_time() {
        let mut systemd = Systemd::new(Some(Duration::from_secs(30)));
        let at = |s: i64| Uptime::from_micros(s * 1_000_000);
        let due: Vec<i64> = (0..31).filter(|s| systemd.is_due(at(*s))).collect();
        assert_eq!(due, [0, 10, 20, 30]);
        let mut none = Systemd::new(None);
        assert!(!none.is_due(at(100)));
    }
}
