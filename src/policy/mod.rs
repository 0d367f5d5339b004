//! Decides whether a claimed message may be sent. Pure: claim, rules and time in, a [`Verdict`] out.
//!
//! Only [`judge`] creates a [`Cleared`], and a provider accepts nothing else: what was not judged does not compile.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::message::facts::{Limit, LimitSource};
use crate::message::{
    Address, Channel, Claim, InDoubt, LaneKey, Moment, NumberFault, ProviderCapabilities,
    Retention, Routes, Sender, WebhookUrls, parts,
};
use expiry::{Expiry, SetBy};

mod business;
mod campaign;
mod channels;
mod cleared;
mod consent;
mod days;
mod event_vars;
mod expiry;
mod guards;
mod hours;
mod jobs;
mod lawful;
mod open_hours;
mod own_hours;
mod quiet;
mod quota;
mod reason;
mod sender;
#[cfg(test)]
mod tests;
mod text;
mod unknown;
mod validate;
mod zones;

pub use business::{BusinessHours, BusinessHoursError};
pub use campaign::CampaignDefaults;
pub(crate) use campaign::REPLIED;
pub use channels::Rule;
pub use cleared::{Cleared, MessageContext};
pub use days::{LocalDay, local_day, local_days};
pub use event_vars::with_event;
pub use expiry::too_late;
pub use guards::{Countries, CountriesError, Guards};
pub use hours::{Hours, UnreadableHours, business_hours, opens};
pub use lawful::{Kind, Lawful, LawfulHours, PublishedLawful, RuleSetError};
pub use own_hours::{HoursByCampaign, HoursByType, OwnHours, OwnHoursError};
pub use quiet::is_quiet;
pub use quota::judge_all;
pub use reason::{Reason, ReasonKind};
pub use text::{SUBJECT_MAX, subject_fault};
pub use unknown::Unknown;
pub use validate::Validate;
pub use zones::{Chosen, ZoneWarning, Zones, zone_of};

/// The reason of a cancel because the user has no quota left for the day.
pub(crate) const OVER_LIMIT: &str = "Daily SMS limit reached";

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

/// The decision about a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It will be sent at its due time.
    Send(Cleared),
    /// It is moved to a later time: the row becomes `pending` again, and the attempt does not count.
    Defer {
        /// The earliest permitted time.
        until: Moment,
        /// Why.
        reason: Reason,
    },
    /// It will not be sent any more: the row becomes `cancelled`.
    Cancel {
        /// Why.
        reason: Reason,
    },
    /// It can never be sent: the row becomes `failed`, without a request.
    Reject {
        /// Why.
        reason: Reason,
    },
}

/// Until when a claimed message may be sent: by its own `send_before`, its event, or the lateness that is allowed.
pub fn expires(claim: &Claim, rules: &Rules) -> Moment {
    Expiry::of(claim, rules.max_lateness).at
}

/// Judges a claim as of `at`, when it would be sent by one of `providers`: its due time, or now if that has passed.
/// [`Rule::holds`] decides which rules hold; a later part is judged by consent, its event, its own end, and the law.
pub fn judge(
    claim: &Claim,
    rules: &Rules,
    providers: &ProviderCapabilities,
    at: Moment,
) -> Verdict {
    let channel = claim.lane.channel();
    if let Some(reason) = jobs::end(claim) {
        return Verdict::Reject { reason };
    }
    let expiry = Expiry::of(claim, rules.max_lateness);
    if let Some(text) = expiry.reason(claim.wanted_at, rules.max_lateness, at) {
        let reason = Reason::new(ReasonKind::TooLate, text);
        return Verdict::Cancel { reason };
    }
    if let Some(reason) = consent::refusal(&claim.facts, channel) {
        return Verdict::Cancel { reason };
    }
    if let Some(reason) = campaign::end(&claim.facts) {
        return Verdict::Cancel { reason };
    }
    if let Some(reason) = unknown::number(claim, rules).or_else(|| unknown::event(claim, rules)) {
        return Verdict::Cancel { reason };
    }
    if let Some(verdict) = hours_and_quota(claim, rules, at) {
        return verdict;
    }
    match content(claim, rules, providers, at) {
        Ok((to, from, subject, text)) => Verdict::Send(Cleared {
            id: claim.id,
            token: claim.token,
            due: claim.due,
            expires: expiry.at,
            lane: Box::new(claim.lane.clone()),
            to,
            from,
            subject,
            body: text.body,
            part: text.part,
            texts: text.all,
            about: Box::new(MessageContext {
                message_type: claim.facts.message_type.clone(),
                scheduled_at: claim.facts.scheduled_at,
                user_id: claim.facts.user_id,
                media: text.media,
                html: text.html,
                priority: claim.facts.priority,
                lawful: lawful::permitted(claim, rules, at),
            }),
        }),
        Err(reason) => Verdict::Reject { reason },
    }
}

/// Hours of all kinds, and the quota. Only the law is about each part; the rest is judged at the first.
fn hours_and_quota(claim: &Claim, rules: &Rules, at: Moment) -> Option<Verdict> {
    match hours::at(claim, rules, at) {
        hours::Hour::Open => {}
        hours::Hour::Closed { until, reason } => return Some(deferral(claim, until, reason)),
        hours::Hour::Never { reason } => return Some(Verdict::Cancel { reason }),
    }
    let is_over = claim.part.before == 0 && matches!(claim.facts.limit, Limit::Over { .. });
    (is_over && Rule::DailyLimit.holds(claim.lane.channel())).then(|| Verdict::Cancel {
        reason: Reason::new(ReasonKind::DailyLimit, OVER_LIMIT),
    })
}

/// A deferral; or a cancel, if what the row itself sets ends before. Lateness counts from the end of a deferral.
fn deferral(claim: &Claim, until: Moment, reason: Reason) -> Verdict {
    match Expiry::of_row(claim) {
        Some(Expiry { at, set_by }) if until > at => {
            let what = match set_by {
                SetBy::EventStart => "the event begins at",
                SetBy::SendBefore | SetBy::Lateness => "send_before is",
            };
            let text = format!("{reason} until {until}, and {what} {at}");
            let reason = Reason { text, ..reason };
            Verdict::Cancel { reason }
        }
        _ => Verdict::Defer { until, reason },
    }
}

/// Recipient, sender, subject and text, or why one of them is not valid.
fn content(
    claim: &Claim,
    rules: &Rules,
    providers: &ProviderCapabilities,
    at: Moment,
) -> Result<(Address, Option<Sender>, Option<String>, text::Text), Reason> {
    let channel = claim.lane.channel();
    let Some(provider) = providers.get(&claim.lane) else {
        let text = match channel {
            _ if claim.lane.other_account().is_some() => without_provider(claim, rules),
            // The value itself is the app's, so it is not repeated.
            Channel::Other => {
                let words = Channel::UNDERSTOOD.map(Channel::as_str).join(", ");
                format!("the row's channel is not supported; supported are: {words}")
            }
            known => {
                let (word, remedy) = (known.as_str(), remedy(known));
                format!("no provider is configured for the channel {word}: set {remedy}")
            }
        };
        return Err(Reason::new(ReasonKind::Channel, text));
    };
    let to = Address::parse(channel, &claim.to_number).map_err(|e| {
        Reason::new(
            ReasonKind::Recipient,
            format!("to_number is not valid: {e}"),
        )
    })?;
    let refuses = rules.validate == Validate::Refuse;
    let fault = refuses.then(|| number_fault(&to)).flatten();
    // A guard decides about premium-rate numbers.
    if let Some(fault) = fault.filter(|fault| *fault != NumberFault::Premium) {
        let why = fault.text();
        let text =
            format!("to_number is refused: {why} (PUNCTUAL_VALIDATE=warn sends it all the same)");
        return Err(Reason::new(ReasonKind::Recipient, text));
    }
    let from =
        sender::of(claim, rules, provider).map_err(|text| Reason::new(ReasonKind::Sender, text))?;
    if let Some(reason) = rules.guards.refusal(&to, from.as_ref()) {
        return Err(reason);
    }
    let vars = event_vars::of(claim, rules, at);
    let vars = vars.as_deref();
    let mut text = text::of(claim, vars, rules, provider)?;
    text.html = text::html(claim, vars, text.part, provider)?;
    Ok((to, from, text::subject(claim, vars)?, text))
}

/// What is wrong with a number by the numbering plan of its country; `None`: nothing, or it is another address.
pub fn number_fault(to: &Address) -> Option<NumberFault> {
    to.phone().and_then(NumberFault::of)
}

/// Why a message of another account than the default one has no provider.
fn without_provider(claim: &Claim, rules: &Rules) -> String {
    match claim.lane.account() {
        // The name itself is the app's, so it is not repeated.
        LaneKey::UNKNOWN_ACCOUNT => {
            let names = std::iter::once(LaneKey::DEFAULT_ACCOUNT).chain(rules.routes.names());
            let names: Vec<_> = names.collect();
            format!(
                "the row's account is none of the settings, which have: {}",
                names.join(", ")
            )
        }
        name => format!(
            "the account {name} has no provider for the channel {}",
            claim.lane.channel().as_str()
        ),
    }
}

/// What to set so that a channel has a provider.
const fn remedy(channel: Channel) -> &'static str {
    match channel {
        Channel::Webhook => "PUNCTUAL_WEBHOOK_SECRET",
        Channel::Email => "PUNCTUAL_SMTP",
        Channel::InApp => "PUNCTUAL_IN_APP=true",
        Channel::Push => "PUNCTUAL_VAPID_PRIVATE_KEY",
        _ => "PUNCTUAL_PROVIDER to one that carries it",
    }
}
