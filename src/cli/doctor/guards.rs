//! What the settings guard against.

use crate::config::Config;
use crate::store::doctor::Finding;

pub(super) fn settings(config: &Config) -> [Finding; 3] {
    let costs = config.guards.costs.as_ref();
    let costs = costs.map_or_else(|| "not counted".into(), ToString::to_string);
    let burst = config.guards.burst.map_or_else(
        || "not held".into(),
        |burst| format!("{burst} go to new numbers, the others are held"),
    );
    [
        Finding::ok("countries", config.guards().to_string()),
        Finding::ok("costs", costs),
        Finding::ok("equal texts", burst),
    ]
}
