//! The metrics of each lane.

use std::fmt;

use super::Page;
use crate::reactor::report::LaneReport;

/// Name, help, and the value for a lane.
type Family = (&'static str, &'static str, fn(&LaneReport) -> u64);

impl Page<'_> {
    /// By account and channel. Hosts are no labels: there may be any number of them.
    pub(super) fn lanes(&mut self, lanes: &[LaneReport]) -> fmt::Result {
        let families: [Family; 4] = [
            (
                "punctual_lane_refused",
                "Lanes refused by the provider: 0 or 1, unless each host has its own lane.",
                |lane| lane.refused,
            ),
            (
                "punctual_lane_armed_timers",
                "Timers held in memory.",
                |lane| lane.armed,
            ),
            ("punctual_lane_in_flight", "Requests in flight.", |lane| {
                lane.in_flight
            }),
            (
                "punctual_lane_in_flight_max",
                "Current limit of requests in flight.",
                |lane| lane.permits,
            ),
        ];
        for (name, help, value) in families {
            let lanes = lanes.iter().map(|lane| {
                let labels = [
                    ("account", lane.account.as_str()),
                    ("channel", lane.channel),
                ];
                (labels, value(lane))
            });
            self.gauges(name, help, lanes)?;
        }
        Ok(())
    }
}
