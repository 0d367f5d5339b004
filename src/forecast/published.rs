//! What each instance publishes of itself in `punctual.instances.state`, so that a forecast that is made anywhere knows
//! what every instance knows: its lanes, why it sends nothing, and the rules it judges by.
//!
//! Other versions read and write it too. A field that is missing has its default, and one that is unknown is ignored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::facts::LimitSource;
use crate::message::{
    Capabilities, InDoubt, Moment, PartyKey, ProviderCapabilities, Routes, Sender,
};
use crate::policy::{Costs, Guards, LawfulHours, PublishedLawful, Rules, Unknown, Validate, Zones};
use providers::{PublishedAccount, published, read};

mod feed;
mod lane;
mod providers;

pub use feed::{Feeds, InstanceFeed, PublishedEvent, PublishedFeed, PublishedLateness};
pub use lane::{PublishedLane, Refused};
pub use providers::PublishedProvider;

/// The state of one instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedState {
    /// When it was so.
    pub at: Moment,
    /// Why it sends nothing; empty: it sends.
    pub missing: Vec<String>,
    /// That nothing is missing but that it has not read all that is due soon. It sends what it knows of.
    pub loading: bool,
    /// What is due before this is in quarantine; `None`: nothing is.
    pub quarantine_before: Option<Moment>,
    /// Its lanes, those with something to report first; of very many not all.
    pub lanes: Vec<PublishedLane>,
    /// Senders, and pairs of a sender and a recipient, whose messages wait because the provider slows or refuses them:
    /// those that wait for longest, if there are very many.
    pub slowed: Vec<PublishedSlowed>,
    /// The accounts of routes whose senders are paused, and until when.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub paused_accounts: BTreeMap<String, Moment>,
    /// What it judges by.
    pub rules: PublishedRules,
    /// What has just happened there; `None`: it knows no other instance that would show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<PublishedFeed>,
}

/// A sender, or a pair of a sender and a recipient, whose messages wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedSlowed {
    /// Which one. Another build of the program may have another number for it, and then does not find it here.
    pub key: PartyKey,
    /// Until when.
    pub until: Moment,
}

impl PublishedState {
    /// Whether this has something that others must know at once, and not with the next heartbeat.
    pub fn is_news(&self, before: &Self) -> bool {
        let notable = |state: &Self| {
            let lane = |lane: &PublishedLane| {
                let is_throttled = lane.permits < lane.permits_max;
                let key = (
                    lane.account.clone(),
                    lane.channel.clone(),
                    lane.host.clone(),
                );
                let refused = lane.refused.as_ref().map(|refused| refused.since);
                (is_throttled || refused.is_some()).then_some((key, is_throttled, refused))
            };
            let mut lanes: Vec<_> = state.lanes.iter().filter_map(lane).collect();
            lanes.sort();
            lanes
        };
        self.missing != before.missing
            || self.quarantine_before != before.quarantine_before
            || self.rules != before.rules
            || notable(self) != notable(before)
    }
}

/// What an instance judges by: [`Rules`] and what its providers carry, as the settings say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedRules {
    /// The sender of rows that name none.
    pub sender: Option<String>,
    /// In milliseconds.
    pub max_lateness_ms: u64,
    /// As in the settings.
    pub in_doubt: String,
    /// The installation's zone.
    pub timezone: String,
    /// As in the settings; `None`: at any time.
    pub business_hours: Option<String>,
    /// As in the settings.
    pub hours_by_type: String,
    /// As in the settings; `None`: of a version that knows no hours of campaigns.
    pub hours_by_campaign: Option<String>,
    /// The rules of lawful hours; `None`: there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lawful: Option<PublishedLawful>,
    /// As in the settings.
    pub urgent_passes_quiet_hours: bool,
    /// Whether the app's own count of the day counts too.
    pub app_counts: bool,
    /// As in the settings; `None`: of a version that sends such messages.
    pub other_numbers: Option<String>,
    /// As in the settings; `None`: of a version that sends such messages.
    pub missing_events: Option<String>,
    /// What is done about rows that cannot be sent, as in the settings; empty: of a version that says nothing of it.
    pub validate: String,
    /// What divides a text into parts.
    pub part_separator: Option<String>,
    /// In milliseconds.
    pub part_gap_ms: u64,
    /// What the provider of each channel takes; an earlier version had another name for it.
    #[serde(alias = "carriers")]
    pub providers: BTreeMap<String, PublishedProvider>,
    /// The accounts next to the default one.
    pub accounts: BTreeMap<String, PublishedAccount>,
    /// The accounts of rows that name none, as in the settings.
    pub routes: String,
    /// Which recipients no text goes to; `None`: of a version that knows no guards.
    pub guards: Option<Guards>,
    /// What texts cost, and may a day; `None`: it is not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costs>,
    /// How many equal texts go to new numbers, as in the settings; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<String>,
}

/// What an earlier version does not say, it sends.
fn unknown(word: Option<&str>) -> Unknown {
    word.and_then(Unknown::of).unwrap_or(Unknown::Send)
}

impl PublishedRules {
    /// What an instance with these rules and providers publishes.
    pub fn of(rules: &Rules, providers: &ProviderCapabilities) -> Self {
        let routes = &rules.routes;
        let account = |(name, own): (&str, ProviderCapabilities)| {
            let account = PublishedAccount {
                sender: routes.sender(name).map(|own| own.as_str().to_owned()),
                senders: routes.senders(name).map(str::to_owned).collect(),
                providers: published(&own),
            };
            (name.to_owned(), account)
        };
        Self {
            sender: rules.default_sender.as_ref().map(|s| s.as_str().to_owned()),
            max_lateness_ms: millis(rules.max_lateness),
            in_doubt: rules.in_doubt.as_str().to_owned(),
            timezone: rules.timezone.iana_name().unwrap_or("UTC").to_owned(),
            business_hours: rules.business_hours.as_ref().map(ToString::to_string),
            hours_by_type: rules.hours_by_type.to_string(),
            hours_by_campaign: Some(rules.hours_by_campaign.to_string()),
            lawful: rules.lawful.as_ref().map(LawfulHours::published),
            urgent_passes_quiet_hours: rules.urgent_passes_quiet_hours,
            app_counts: rules.limit_source == LimitSource::App,
            other_numbers: Some(rules.other_numbers.as_str().to_owned()),
            missing_events: Some(rules.missing_events.as_str().to_owned()),
            validate: rules.validate.as_str().to_owned(),
            part_separator: rules.part_separator.clone(),
            part_gap_ms: millis(rules.part_gap),
            providers: published(providers),
            accounts: providers.others().map(account).collect(),
            routes: routes.list().to_string(),
            guards: Some(rules.guards.clone()),
            costs: rules.costs.as_deref().cloned(),
            burst: rules.burst.map(|burst| burst.to_string()),
        }
    }

    /// The same as rules, by this zone data and with providers like `provider` otherwise. `None`: a version that says
    /// something else has written them.
    pub fn read(
        &self,
        zones: &Zones,
        provider: Capabilities,
    ) -> Option<(Rules, ProviderCapabilities)> {
        let pools = provider.sender_pools;
        let sender = self.sender.as_deref();
        let sender = sender.map(|sender| Sender::parse(sender, pools));
        let sender = sender.transpose().ok()?;
        let mut routes = Routes::new(sender.as_ref());
        for (name, account) in &self.accounts {
            let parse = |text: &String| Sender::parse(text, pools).ok();
            let senders: Option<Vec<Sender>> = account.senders.iter().map(parse).collect();
            let sender = account.sender.as_ref().and_then(parse);
            routes.add(name, sender, &senders?).ok()?;
        }
        let hours = self.business_hours.as_deref().map(str::parse);
        let by_campaign = self.hours_by_campaign.as_deref().map(str::parse);
        let rules = Rules {
            default_sender: sender,
            routes: Arc::new(routes.with_list(self.routes.parse().ok()?)),
            max_lateness: Duration::from_millis(self.max_lateness_ms),
            in_doubt: self.in_doubt.parse::<InDoubt>().ok()?,
            timezone: zones.get(&self.timezone)?,
            zones: zones.clone(),
            business_hours: hours.transpose().ok()?,
            hours_by_type: self.hours_by_type.parse().ok()?,
            hours_by_campaign: by_campaign.transpose().ok()?.unwrap_or_default(),
            lawful: match &self.lawful {
                Some(lawful) => Some(LawfulHours::read(lawful)?),
                None => None,
            },
            urgent_passes_quiet_hours: self.urgent_passes_quiet_hours,
            limit_source: if self.app_counts {
                LimitSource::App
            } else {
                LimitSource::Punctual
            },
            other_numbers: unknown(self.other_numbers.as_deref()),
            missing_events: unknown(self.missing_events.as_deref()),
            validate: if self.validate == Validate::Refuse.as_str() {
                Validate::Refuse
            } else {
                Validate::Warn
            },
            guards: self.guards.clone().unwrap_or_else(Guards::none),
            costs: self.costs.clone().map(Arc::new),
            burst: self.burst.as_deref().map(str::parse).transpose().ok()?,
            part_separator: self.part_separator.clone(),
            part_gap: Duration::from_millis(self.part_gap_ms),
            ..Rules::default()
        };
        let own = read(&self.providers, provider);
        let providers = self.accounts.iter().fold(own, |all, (name, account)| {
            all.with_account(name, read(&account.providers, provider))
        });
        Some((rules, providers))
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
