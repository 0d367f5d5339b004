//! The rules of the installation.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::{
    Burst, BusinessHours, CampaignDefaults, Costs, Guards, HoursByCampaign, HoursByType,
    LawfulHours, Unknown, Validate, Zones,
};
use crate::message::facts::LimitSource;
use crate::message::{InDoubt, LaneKey, Retention, Routes, Sender, WebhookUrls, parts};

/// The rules of the installation, for all messages.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The sender of rows without a `from_number`, of the default account.
    pub default_sender: Option<Sender>,
    /// The other accounts.
    pub routes: Arc<Routes>,
    /// A message that is later than this is cancelled, not sent.
    pub max_lateness: Duration,
    /// What to do about uncertain outcomes, for rows without an `in_doubt`.
    pub in_doubt: InDoubt,
    /// The time zone data.
    pub zones: Zones,
    /// The time zone of the installation, and of recipients without one.
    pub timezone: TimeZone,
    /// When messages may be sent, in [`Self::timezone`]; `None`: at any time.
    pub business_hours: Option<BusinessHours>,
    /// The same for single message types, in place of [`Self::business_hours`].
    pub hours_by_type: HoursByType,
    /// The same for single campaigns, in place of both.
    pub hours_by_campaign: HoursByCampaign,
    /// The hours of campaigns that have none of their own, for people: no message is judged by them.
    pub campaign_hours: CampaignDefaults,
    /// The hours in which the law permits texts; `None`: the owner has chosen no rules.
    pub lawful: Option<LawfulHours>,
    /// Whether urgent messages ignore quiet hours.
    pub urgent_passes_quiet_hours: bool,
    /// What counts towards the daily limit.
    pub limit_source: LimitSource,
    /// Messages of users to a number that is not the one they have verified, or without preferences.
    pub other_numbers: Unknown,
    /// Messages of a calendar event that is not there.
    pub missing_events: Unknown,
    /// Whether a text that a carrier may have delivered is sent again.
    pub retry_carrier: bool,
    /// What divides a text into parts that are sent one after the other; `None`: nothing does.
    pub part_separator: Option<String>,
    /// From the acceptance of one part to the next; see [`Part::gap`](crate::message::Part::gap).
    pub part_gap: Duration,
    /// What the database does about rows that cannot be sent.
    pub validate: Validate,
    /// Which recipients no text goes to.
    pub guards: Guards,
    /// What texts cost, and may a day; `None`: it is not counted.
    pub costs: Option<Arc<Costs>>,
    /// How many equal texts go to new numbers before the others are held; `None`: all.
    pub burst: Option<Burst>,
    /// The URLs of webhooks by message type, for rows that name none: the database has them.
    pub webhook_urls: WebhookUrls,
    /// Those of jobs by type.
    pub job_urls: WebhookUrls,
    /// Where tracking links are served, without a slash at the end; `None`: nowhere.
    pub link_url: Option<String>,
    /// What is answered to who asks for help.
    pub help_text: Option<Arc<str>>,
    /// How long what is known of messages is kept.
    pub retention: Retention,
}

/// The default settings, without a sender.
impl Default for Rules {
    fn default() -> Self {
        Self {
            default_sender: None,
            routes: Arc::default(),
            max_lateness: Duration::from_secs(3600),
            in_doubt: InDoubt::Hold,
            zones: Zones::bundled(),
            timezone: TimeZone::UTC,
            business_hours: None,
            hours_by_type: HoursByType::default(),
            hours_by_campaign: HoursByCampaign::default(),
            campaign_hours: CampaignDefaults::default(),
            lawful: None,
            urgent_passes_quiet_hours: false,
            limit_source: LimitSource::Punctual,
            other_numbers: Unknown::Send,
            missing_events: Unknown::Refuse,
            retry_carrier: false,
            part_separator: Some(parts::SEPARATOR.to_owned()),
            part_gap: parts::GAP,
            validate: Validate::Warn,
            guards: Guards::default(),
            costs: None,
            burst: None,
            webhook_urls: WebhookUrls::default(),
            job_urls: WebhookUrls::default(),
            link_url: None,
            help_text: None,
            retention: Retention::DEFAULT,
        }
    }
}

impl Rules {
    /// The sender of a lane's messages that name none.
    pub fn sender(&self, lane: &LaneKey) -> Option<&Sender> {
        match lane.other_account() {
            None => self.default_sender.as_ref(),
            Some(account) => self.routes.sender(account),
        }
    }
}
