//! What the planner of reminders has done.

use std::fmt;

use super::{NONE, Page};
use crate::metrics::Metrics;

impl Page<'_> {
    pub(super) fn reminders(&mut self, metrics: &Metrics) -> fmt::Result {
        let reminders = metrics.reminders();
        self.counters(
            "punctual_reminders_planned_total",
            "Reminders of events that the planner has inserted.",
            [(NONE, reminders.all_planned())],
        )?;
        self.counters(
            "punctual_reminders_skipped_total",
            "Events for which it has not, by reason; counted each time the day of their user is looked at.",
            reminders
                .all_skipped()
                .map(|(reason, n)| ([("reason", reason)], n)),
        )
    }
}
