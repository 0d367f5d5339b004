//! Decides whether a claimed message may be sent. Pure: claim, rules and time in, a [`Verdict`] out.
//!
//! Only [`judge`] creates a [`Cleared`], and a provider accepts nothing else: what was not judged does not compile.

use crate::message::facts::Limit;
use crate::message::{
    Address, Channel, Claim, LaneKey, Moment, NumberFault, ProviderCapabilities, Sender,
};
use expiry::{Expiry, SetBy};

mod bursts;
mod business;
mod campaign;
mod channels;
mod cleared;
mod consent;
mod costs;
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
mod rules;
mod sender;
#[cfg(test)]
mod tests;
mod text;
mod unknown;
mod validate;
mod zones;

pub use bursts::{Burst, BurstError, TextWords};
pub use business::{BusinessHours, BusinessHoursError};
pub use campaign::CampaignDefaults;
pub(crate) use campaign::REPLIED;
pub use channels::Rule;
pub use cleared::{Cleared, MessageContext};
pub use costs::{CostCaps, CostScope, Costs, TextPrices, TextPricesError};
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
pub use rules::Rules;
pub use text::{SUBJECT_MAX, subject_fault};
pub use unknown::Unknown;
pub use validate::Validate;
pub use zones::{Chosen, ZoneWarning, Zones, zone_of};

/// The reason of a cancel because the user has no quota left for the day.
pub(crate) const OVER_LIMIT: &str = "Daily SMS limit reached";

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
        Ok((to, from, subject, text)) => affordable(
            Cleared {
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
            },
            claim,
            rules,
        ),
        Err(reason) => Verdict::Reject { reason },
    }
}

/// It may be sent, unless it costs more than any day has. What a day has left is known when it is charged.
fn affordable(cleared: Cleared, claim: &Claim, rules: &Rules) -> Verdict {
    let costs = rules.costs.as_ref().filter(|_| claim.part.before == 0);
    let never = costs.and_then(|costs| {
        let (has_campaign, has_user) = (claim.campaign.is_some(), claim.facts.user_id.is_some());
        costs.never(costs.of(&cleared)?, has_campaign, has_user)
    });
    match never {
        Some(reason) => Verdict::Reject { reason },
        None => Verdict::Send(cleared),
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
