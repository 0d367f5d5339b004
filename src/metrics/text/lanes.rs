//! The metrics of each lane.

use super::{Page, float};
use crate::reactor::report::LaneReport;

/// Name, help, and the value for a lane.
type Family = (&'static str, &'static str, fn(&LaneReport) -> u64);

impl Page {
    /// By account and channel. Hosts are no labels: there may be any number of them.
    pub(super) fn lanes(&mut self, lanes: &[LaneReport]) {
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
            self.family(name, "gauge", help);
            for lane in lanes {
                let labels = format!(
                    "{{account=\"{}\",channel=\"{}\"}}",
                    lane.account, lane.channel
                );
                self.line(name, &labels, float(value(lane)));
            }
        }
    }
}
