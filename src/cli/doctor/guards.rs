//! What the settings guard against.

use crate::config::{Config, ProviderChoice};
use crate::message::Channel;
use crate::policy::Guards;
use crate::store::doctor::{Finding, Level};

pub(super) fn settings(config: &Config) -> [Finding; 3] {
    let costs = config.guards.costs.as_ref();
    let costs = costs.map_or_else(|| "not counted".into(), ToString::to_string);
    let burst = config.guards.burst.map_or_else(
        || "not held".into(),
        |burst| format!("{burst} go to new numbers, the others are held"),
    );
    [
        countries(config),
        Finding::ok("costs", costs),
        Finding::ok("equal texts", burst),
    ]
}

/// Whether texts go to every country without having been let.
fn countries(config: &Config) -> Finding {
    const WHAT: &str = "countries";
    let guards = config.guards();
    let is_open = matches!(
        guards,
        Guards {
            countries: None,
            is_by_senders: true,
            ..
        }
    );
    let mut providers = config.each_provider();
    // What prints texts costs nothing.
    let texts = providers.any(|(_, own)| {
        own.channels().contains(&Channel::Sms) && !matches!(own, ProviderChoice::Console)
    });
    if !is_open || !texts {
        return Finding::ok(WHAT, guards.to_string());
    }
    Finding::not(
        Level::Warn,
        WHAT,
        guards.to_string(),
        "set PUNCTUAL_COUNTRIES to those that you text to, as in US, CA; or to all",
    )
}
