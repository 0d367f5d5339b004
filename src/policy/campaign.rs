//! The hours of campaigns that have none of their own.

use jiff::tz::TimeZone;

use super::{BusinessHours, Zones};

/// When a campaign may send that does not say so itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignDefaults {
    /// Days and hours.
    pub hours: BusinessHours,
    /// Their time zone.
    pub timezone: TimeZone,
}

impl CampaignDefaults {
    /// As `PUNCTUAL_CAMPAIGN_HOURS` has it if it is not set.
    pub const HOURS: &str = "mon-fri 09:00-20:00";

    /// As `PUNCTUAL_CAMPAIGN_TIMEZONE` has it if it is not set.
    pub const TIMEZONE: &str = "America/Los_Angeles";
}

impl Default for CampaignDefaults {
    fn default() -> Self {
        Self {
            hours: Self::HOURS.parse().expect("these are hours"),
            timezone: Zones::bundled()
                .get(Self::TIMEZONE)
                .expect("the zone is in the data of this binary"),
        }
    }
}
