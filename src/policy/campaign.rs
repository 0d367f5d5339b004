//! What ends the messages of a campaign, and the hours of campaigns that have none of their own.

use jiff::tz::TimeZone;

use super::{BusinessHours, Reason, ReasonKind, Zones};
use crate::message::Facts;

/// The reason of a cancel because of a reply.
pub(crate) const REPLIED: &str = "the recipient has replied to the campaign";

/// Why nothing more of its campaign is sent to this recipient.
pub(super) fn end(facts: &Facts) -> Option<Reason> {
    let own = facts.campaign_hours.as_ref()?;
    if own.is_cancelled {
        let text = "its campaign was cancelled";
        return Some(Reason::new(ReasonKind::Campaign, text));
    }
    own.has_reply
        .then(|| Reason::new(ReasonKind::Replied, REPLIED))
}

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
