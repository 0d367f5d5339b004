//! Decides whether a claimed message may be sent. Pure: claim, rules and time in, a [`Verdict`] out.
//!
//! Only [`judge`] creates a [`Cleared`], and a provider accepts nothing else, so a message that was not judged
//! cannot be sent: it does not compile.

use std::time::Duration;

use jiff::tz::TimeZone;

use expiry::{Expiry, SetBy};

use crate::message::facts::{Event, Limit, LimitSource};
use crate::message::{
    Address, Capabilities, Carriers, Channel, Claim, InDoubt, Moment, Retention, Sender, parts,
};

mod business;
mod channels;
mod cleared;
mod consent;
mod days;
mod expiry;
mod hours;
mod hours_by_type;
mod open_hours;
mod quiet;
mod quota;
mod reason;
#[cfg(test)]
mod tests;
mod text;
mod zones;

pub use business::{BusinessHours, BusinessHoursError};
pub use channels::Rule;
pub use cleared::{About, Cleared};
pub use days::{LocalDay, local_days};
pub use expiry::too_late;
pub use hours_by_type::{HoursByType, HoursByTypeError};
pub use quota::judge_all;
pub use reason::{Reason, ReasonKind};
pub use zones::{Chosen, ZoneWarning, Zones, zone_of};

/// The reason of a cancel because the user has no quota left for the day.
const OVER_LIMIT: &str = "Daily SMS limit reached";

/// What is done about a row of the app's that cannot be sent as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// It is accepted with a warning, and fails at its time unless it is corrected.
    #[default]
    Warn,
    /// It is refused.
    Refuse,
}

impl Validate {
    /// As settings and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

/// The rules of the installation, for all messages.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The sender of rows without a `from_number`.
    pub default_sender: Option<Sender>,
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
    /// Whether urgent messages ignore quiet hours.
    pub urgent_passes_quiet_hours: bool,
    /// What counts towards the daily limit.
    pub limit_source: LimitSource,
    /// What divides a text into parts that are sent one after the other; `None`: nothing does.
    pub part_separator: Option<String>,
    /// From the acceptance of one part to the next; see [`Part::gap`](crate::message::Part::gap).
    pub part_gap: Duration,
    /// What the database does about rows that cannot be sent.
    pub validate: Validate,
    /// How long what is known of messages is kept.
    pub retention: Retention,
}

/// The default settings, without a sender.
impl Default for Rules {
    fn default() -> Self {
        Self {
            default_sender: None,
            max_lateness: Duration::from_secs(3600),
            in_doubt: InDoubt::Hold,
            zones: Zones::bundled(),
            timezone: TimeZone::UTC,
            business_hours: None,
            hours_by_type: HoursByType::default(),
            urgent_passes_quiet_hours: false,
            limit_source: LimitSource::Punctual,
            part_separator: Some(parts::SEPARATOR.to_owned()),
            part_gap: parts::GAP,
            validate: Validate::Warn,
            retention: Retention::DEFAULT,
        }
    }
}

impl Rules {
    /// The business hours of messages of this type.
    pub fn business_hours_of(&self, message_type: Option<&str>) -> Option<&BusinessHours> {
        message_type
            .and_then(|message_type| self.hours_by_type.of(message_type))
            .unwrap_or(self.business_hours.as_ref())
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

/// Until when a claimed message may be sent: its own `send_before`, the start of the event that it reminds
/// of, or the lateness that the installation allows, whichever comes first.
pub fn expires(claim: &Claim, rules: &Rules) -> Moment {
    Expiry::of(claim, rules.max_lateness).at
}

/// Judges a claim as of `at`, when it would be sent by its channel's provider, one of `carriers`: at its due
/// time, or now if that has passed. Which rules hold is decided by [`Rule::holds`]. Of a message of several parts the
/// first is judged by all of them; a later one by consent, its event, and what the row itself sets as its end.
pub fn judge(claim: &Claim, rules: &Rules, carriers: &Carriers, at: Moment) -> Verdict {
    let channel = claim.lane.channel();
    let expiry = Expiry::of(claim, rules.max_lateness);
    if let Some(text) = expiry.reason(claim.wanted_at, rules.max_lateness, at) {
        let reason = Reason::new(ReasonKind::TooLate, text);
        return Verdict::Cancel { reason };
    }
    if let Some(reason) = consent::refusal(&claim.facts, channel) {
        return Verdict::Cancel { reason };
    }
    if Rule::Event.holds(channel) && claim.facts.event == Event::Gone {
        let reason = Reason::new(ReasonKind::EventDeleted, "Calendar event deleted");
        return Verdict::Cancel { reason };
    }
    if claim.part.before == 0
        && let Some(verdict) = once(claim, rules, at)
    {
        return verdict;
    }
    match content(claim, rules, carriers) {
        Ok((to, from, text)) => Verdict::Send(Cleared {
            id: claim.id,
            token: claim.token,
            due: claim.due,
            expires: expiry.at,
            channel,
            to,
            from,
            body: text.body,
            part: text.part,
            texts: text.all,
            about: About {
                message_type: claim.facts.message_type.clone(),
                scheduled_at: claim.facts.scheduled_at,
                user_id: claim.facts.user_id,
            },
        }),
        Err(reason) => Verdict::Reject { reason },
    }
}

/// What is judged once a message, at its first part.
fn once(claim: &Claim, rules: &Rules, at: Moment) -> Option<Verdict> {
    match hours::at(claim, rules, at) {
        hours::Hour::Open => {}
        hours::Hour::Closed { until, reason } => return Some(deferral(claim, until, reason)),
        hours::Hour::Never { reason } => return Some(Verdict::Cancel { reason }),
    }
    let is_over = matches!(claim.facts.limit, Limit::Over { .. });
    (is_over && Rule::DailyLimit.holds(claim.lane.channel())).then(|| Verdict::Cancel {
        reason: Reason::new(ReasonKind::DailyLimit, OVER_LIMIT),
    })
}

/// A deferral, or a cancel if the message may not be sent any more by then. Lateness counts from the
/// end of a deferral, so only what the row sets can end before it.
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

/// Recipient, sender and text, or why one of them is not valid.
fn content(
    claim: &Claim,
    rules: &Rules,
    carriers: &Carriers,
) -> Result<(Address, Option<Sender>, text::Text), Reason> {
    let channel = claim.lane.channel();
    let Some(provider) = carriers.get(channel) else {
        let text = match channel {
            // The value itself is the app's, so it is not repeated.
            Channel::Other => "the row's channel is not supported".to_owned(),
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
    let from =
        sender(claim, rules, provider).map_err(|text| Reason::new(ReasonKind::Sender, text))?;
    Ok((to, from, text::of(claim, rules, provider.max_chars)?))
}

/// What to set so that a channel has a provider.
const fn remedy(channel: Channel) -> &'static str {
    match channel {
        Channel::Webhook => "PUNCTUAL_WEBHOOK_SECRET",
        _ => "PUNCTUAL_PROVIDER to one that carries it",
    }
}

/// The sender: of a text message the row's own, or else the default one. Other channels have none.
fn sender(claim: &Claim, rules: &Rules, provider: &Capabilities) -> Result<Option<Sender>, String> {
    let own = claim.from_number.as_deref().map(str::trim);
    let channel = claim.lane.channel();
    match own.filter(|own| !own.is_empty()) {
        None if !channel.is_phone() => Ok(None),
        Some(_) if !channel.is_phone() => Err(format!(
            "from_number is set, and a message of the channel {} has none: set it to null",
            channel.as_str()
        )),
        None => rules.default_sender.clone().map(Some).ok_or_else(|| {
            "no sender: the row has no from_number and no sender is configured \
             (set TWILIO_SMS_FROM_NUMBER or TWILIO_MESSAGING_SERVICE_SID)"
                .to_owned()
        }),
        Some(own) => Sender::parse(own, provider.sender_pools)
            .map(Some)
            .map_err(|e| format!("from_number is not valid: {e}")),
    }
}
