//! The settings of the policy.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::raw::Raw;
use super::{Config, ConfigError, HttpSettings, Sources, key, values};
use crate::clock::ZoneData;
use crate::policy::{BusinessHours, Rules, Unknown};

/// What is done about messages of which something is not known.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct UnknownSettings {
    /// Those of users to another number than theirs, or without preferences.
    pub other_numbers: Unknown,
    /// Those of a calendar event that is not there.
    pub missing_events: Unknown,
    /// Whether a text that a carrier may have delivered is sent again.
    pub retry_carrier: bool,
}

impl UnknownSettings {
    pub(super) fn read(raw: &mut Raw) -> Self {
        let unknown = |text: &str| Unknown::of(text).ok_or_else(|| "send or refuse".into());
        Self {
            other_numbers: raw.or(&key::OTHER_NUMBERS, "send", unknown),
            missing_events: raw.or(&key::MISSING_EVENTS, "refuse", unknown),
            retry_carrier: raw.or(&key::RETRY_CARRIER, "false", values::yes_or_no),
        }
    }
}

/// The hours of campaigns that say no other, and their time zone, as far as they are set: for commands that need
/// nothing else. One that is not valid is an error.
pub fn campaign_hours(
    sources: &Sources,
) -> Result<(Option<BusinessHours>, Option<TimeZone>), ConfigError> {
    let mut raw = Raw::read(sources);
    let hours = raw.get(&key::CAMPAIGN_HOURS, values::campaign_hours);
    let zones = ZoneData::newest();
    let zone = raw.get(&key::CAMPAIGN_TIMEZONE, |name| {
        values::timezone(&zones, name)
    });
    if raw.problems.is_empty() {
        Ok((hours, zone))
    } else {
        Err(raw.into_error())
    }
}

/// The hours of campaigns as the settings file has them.
#[derive(Serialize)]
pub(super) struct Campaign {
    hours: String,
    timezone: String,
}

impl Campaign {
    pub(super) fn of(config: &Config) -> Self {
        let own = &config.campaign_hours;
        Self {
            hours: own.hours.to_string(),
            timezone: own.timezone.iana_name().unwrap_or("UTC").to_owned(),
        }
    }
}

impl Config {
    /// The settings of the policy.
    pub fn rules(&self) -> Rules {
        Rules {
            default_sender: self.default_sender.clone(),
            routes: Arc::clone(&self.routes),
            max_lateness: self.max_lateness,
            in_doubt: self.in_doubt,
            zones: self.zone_data.zones.clone(),
            timezone: self.timezone.clone(),
            business_hours: self.business_hours.clone(),
            hours_by_type: self.hours_by_type.clone(),
            hours_by_campaign: self.hours_by_campaign.clone(),
            campaign_hours: self.campaign_hours.clone(),
            lawful: self.lawful.hours.clone(),
            urgent_passes_quiet_hours: self.urgent_passes_quiet_hours,
            limit_source: self.limit_source,
            other_numbers: self.unknown.other_numbers,
            missing_events: self.unknown.missing_events,
            retry_carrier: self.unknown.retry_carrier,
            part_separator: self.part_separator.clone(),
            part_gap: self.part_gap,
            validate: self.validate,
            guards: self.guards(),
            costs: self.guards.costs.clone(),
            burst: self.guards.burst,
            webhook_urls: self.webhook_urls(),
            job_urls: self.job_urls.clone(),
            link_url: self.http.link_url(),
            help_text: self.lawful.help_text.clone(),
            retention: self.retention,
        }
    }
}

impl HttpSettings {
    /// The URL of tracking links without a slash at the end.
    pub fn link_url(&self) -> Option<String> {
        let url = self.link_url.as_ref()?;
        Some(url.as_str().trim_end_matches('/').to_owned())
    }
}
