//! What the reactor and the pool report of the present moment.

use std::fmt;

use super::{Page, float};
use crate::reactor::report::{Missing, Overview};

impl Page<'_> {
    pub(super) fn reactor(&mut self, overview: &Overview) -> fmt::Result {
        let report = &overview.timers;
        let yes = |is: bool| u64::from(is);
        self.gauge(
            "punctual_ready",
            "1 while messages are sent at their due time, as /readyz says.",
            yes(report.ready),
        )?;
        self.gauge(
            "punctual_listener_up",
            "1 while connected: LISTEN/NOTIFY verified.",
            yes(report.listener.connected),
        )?;
        self.counter(
            "punctual_resyncs_total",
            "Complete reads of the window.",
            report.listener.resyncs,
        )?;
        self.gauge(
            "punctual_armed_timers",
            "Timers held in memory.",
            report.window.armed,
        )?;
        if let Some(beyond) = report.window.beyond {
            self.gauge(
                "punctual_beyond_window",
                "Pending messages due after the window, counted up to a million.",
                beyond,
            )?;
        }
        self.clock(overview)?;
        self.gauge(
            "punctual_lead_seconds",
            "Time before its due time at which a message is claimed.",
            float(report.lead_us) / 1e6,
        )?;
        self.gauge(
            "punctual_breaker_open",
            "1 while the provider refuses the account and nothing is sent but probes.",
            yes(report.breaker.open),
        )?;
        self.gauge("punctual_pauses", "Pauses in force.", report.pauses.len())?;
        let slowed = report.slowed;
        self.gauges(
            "punctual_slowed",
            "Senders and recipients that the provider slows.",
            [
                ([("what", "sender")], slowed.senders),
                ([("what", "recipient")], slowed.recipients),
                ([("what", "sender_refused")], slowed.senders_refused),
            ],
        )?;
        self.gauge(
            "punctual_restore_hold",
            "1 while messages are in quarantine after a restore.",
            yes(report.restore.held_before.is_some()),
        )?;
        self.gauge(
            "punctual_in_flight",
            "Requests in flight.",
            overview.load.in_flight,
        )?;
        self.gauge(
            "punctual_in_flight_max",
            "Current limit of requests in flight.",
            overview.load.permits,
        )?;
        self.lanes(&report.lanes)?;
        self.gauge(
            "punctual_unrecorded",
            "Outcomes that are not recorded yet.",
            overview.load.unrecorded,
        )?;
        self.gauge(
            "punctual_unrecorded_oldest_seconds",
            "Age of the oldest of these, from the end of its request.",
            float(overview.load.unrecorded_oldest_us) / 1e6,
        )?;
        let pool = overview.database;
        self.gauges(
            "punctual_pool_connections",
            "Connections of the pool, by state.",
            [
                ([("state", "busy")], pool.open.saturating_sub(pool.idle)),
                ([("state", "idle")], pool.idle),
            ],
        )?;
        self.gauge(
            "punctual_pool_waiting",
            "Steps waiting for a connection of the pool.",
            pool.waiting,
        )
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "an offset of 2^53 µs would be 285 years"
    )]
    fn clock(&mut self, overview: &Overview) -> fmt::Result {
        let clock = overview.timers.clock;
        let is_lost =
            |missing: &Missing| matches!(missing, Missing::Clock | Missing::ClockDisputed(_));
        let is_known = clock.offset_us.is_some() && !overview.missing.iter().any(is_lost);
        self.gauge(
            "punctual_clock_known",
            "1 while the database's clock is known well enough to send by it.",
            u64::from(is_known),
        )?;
        if let Some(offset) = clock.offset_us {
            self.gauge(
                "punctual_clock_offset_seconds",
                "The database's clock minus this machine's.",
                offset as f64 / 1e6,
            )?;
        }
        if let Some(uncertainty) = clock.uncertainty_us {
            self.gauge(
                "punctual_clock_uncertainty_seconds",
                "Uncertainty of that offset.",
                float(uncertainty) / 1e6,
            )?;
        }
        Ok(())
    }
}
