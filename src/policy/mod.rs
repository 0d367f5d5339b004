//! Whether a claimed message may go. Pure: facts and time in, a [`Verdict`] out.
//!
//! [`judge`] is the only maker of [`Cleared`], and a provider takes nothing else: a message
//! that was not judged cannot be sent, it does not compile.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::message::facts::{Event, Limit, LimitSource};
use crate::message::{
    AttemptToken, Channel, Claim, E164, InDoubt, MessageId, Moment, Sender, template,
};

mod business;
mod consent;
mod days;
mod hours;
mod open_hours;
mod quiet;
mod quota;
#[cfg(test)]
mod tests;
mod zones;

pub use business::{BusinessHours, BusinessHoursError};
pub use days::{LocalDay, local_days};
pub use quota::judge_all;
pub use zones::{Chosen, ZoneWarning, Zones, zone_of};

/// The longest body the provider takes, in characters (Twilio error 21617 beyond).
pub const BODY_MAX_CHARS: usize = 1600;

/// Why a message is cancelled whose user has no quota left for the day.
const OVER_LIMIT: &str = "Daily SMS limit reached";

/// What the installation lays down for all messages.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The channels that are configured.
    pub channels: &'static [Channel],
    /// Who sends where the row names nobody.
    pub default_sender: Option<Sender>,
    /// A message later than this at its turn is cancelled, not sent.
    pub max_lateness: Duration,
    /// What is done about a message in doubt whose row does not say.
    pub in_doubt: InDoubt,
    /// The zone data.
    pub zones: Zones,
    /// The zone of the installation, and of recipients of whom none is known.
    pub timezone: TimeZone,
    /// When messages go at all, in [`Self::timezone`]. `None`: at any hour.
    pub business_hours: Option<BusinessHours>,
    /// Whether quiet hours are not for urgent messages.
    pub urgent_passes_quiet_hours: bool,
    /// Who counts what a recipient is sent in a day.
    pub limit_source: LimitSource,
}

/// What holds where nothing is set, and nobody to send.
impl Default for Rules {
    fn default() -> Self {
        Self {
            channels: &[Channel::Sms],
            default_sender: None,
            max_lateness: Duration::from_secs(3600),
            in_doubt: InDoubt::Hold,
            zones: Zones::bundled(),
            timezone: TimeZone::UTC,
            business_hours: None,
            urgent_passes_quiet_hours: false,
            limit_source: LimitSource::Punctual,
        }
    }
}

/// A message that may go, with everything the provider needs. Only [`judge`] makes one.
#[derive(Clone, PartialEq, Eq)]
pub struct Cleared {
    id: MessageId,
    token: AttemptToken,
    due: Moment,
    expires: Moment,
    to: E164,
    from: Sender,
    body: String,
}

impl Cleared {
    /// The message.
    pub const fn id(&self) -> MessageId {
        self.id
    }
    /// The attempt it is cleared for.
    pub const fn token(&self) -> AttemptToken {
        self.token
    }
    /// No request leaves before this.
    pub const fn due(&self) -> Moment {
        self.due
    }
    /// Worth nothing after this: neither we nor the provider's queue should deliver it.
    pub const fn expires(&self) -> Moment {
        self.expires
    }
    /// The recipient.
    pub const fn to(&self) -> &E164 {
        &self.to
    }
    /// The sender.
    pub const fn from(&self) -> &Sender {
        &self.from
    }
    /// The text, rendered where there is a template.
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// Without the text, and with both numbers masked: it may stand in a log.
impl fmt::Debug for Cleared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleared")
            .field("id", &self.id)
            .field("token", &self.token)
            .field("due", &self.due)
            .field("expires", &self.expires)
            .field("to", &self.to)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// The answer to "may it go?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At its due time.
    Send(Cleared),
    /// Not now, but then: the row stays `pending`, and this is no attempt.
    Defer {
        /// The earliest moment that suits everybody.
        until: Moment,
        /// For people, without numbers or text.
        reason: String,
    },
    /// Not any more, and this is why: the row becomes `cancelled`.
    Cancel {
        /// For people, without numbers or text.
        reason: String,
    },
    /// It never could: the row becomes `failed`, no request is made.
    Reject {
        /// For people, without numbers or text.
        reason: String,
    },
}

/// What makes a message worth nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its own `send_before`.
    SendBefore,
    /// The event it reminds of begins.
    EventBegins,
    /// The lateness that the installation allows.
    Lateness,
}

/// When, and by what, whichever comes first. Retries do not move it.
fn end(claim: &Claim, rules: &Rules) -> (Moment, End) {
    let too_late = (claim.wanted_at + rules.max_lateness, End::Lateness);
    own_end(claim)
        .filter(|own| own.0 <= too_late.0)
        .unwrap_or(too_late)
}

/// The end that the row sets, which a deferral does not move either.
fn own_end(claim: &Claim) -> Option<(Moment, End)> {
    let send_before = claim.send_before.map(|at| (at, End::SendBefore));
    let event = match claim.facts.event {
        // What was wanted later than that does not remind of it.
        Event::Begins(at) if claim.facts.scheduled_at.unwrap_or(claim.wanted_at) < at => {
            Some((at, End::EventBegins))
        }
        Event::Begins(_) | Event::Gone | Event::None => None,
    };
    [send_before, event]
        .into_iter()
        .flatten()
        .min_by_key(|own| own.0)
}

/// When a claimed message is worth nothing any more: at its own `send_before`, when the event
/// it reminds of begins, or after the lateness the installation allows, whichever comes first.
pub fn expires(claim: &Claim, rules: &Rules) -> Moment {
    end(claim, rules).0
}

/// Judges a claim by how things are at `at`, when it would be sent: at its due time, or now if
/// that is over.
pub fn judge(claim: &Claim, rules: &Rules, at: Moment) -> Verdict {
    let (expires, by) = end(claim, rules);
    if at > expires {
        let reason = match by {
            End::SendBefore => format!("too late: send_before was {expires}"),
            End::EventBegins => format!("too late: the event began at {expires}"),
            End::Lateness => format!(
                "too late: {} s after its time, more than the {} s allowed",
                at.since(claim.wanted_at).as_secs(),
                rules.max_lateness.as_secs()
            ),
        };
        return Verdict::Cancel { reason };
    }
    if let Some(reason) = consent::refusal(&claim.facts) {
        return Verdict::Cancel { reason };
    }
    if claim.facts.event == Event::Gone {
        let reason = "Calendar event deleted".to_owned();
        return Verdict::Cancel { reason };
    }
    match hours::at(claim, rules, at) {
        hours::Hour::Open => {}
        hours::Hour::Closed { until, reason } => return deferral(claim, until, reason),
        hours::Hour::Never { reason } => return Verdict::Cancel { reason },
    }
    if let Limit::Over { .. } = claim.facts.limit {
        let reason = OVER_LIMIT.to_owned();
        return Verdict::Cancel { reason };
    }
    match parts(claim, rules) {
        Ok((to, from, body)) => Verdict::Send(Cleared {
            id: claim.id,
            token: claim.token,
            due: claim.due,
            expires,
            to,
            from,
            body,
        }),
        Err(reason) => Verdict::Reject { reason },
    }
}

/// Wait, unless it were worth nothing by then. Lateness counts from the end of the wait, so only
/// what the row says can end before it.
fn deferral(claim: &Claim, until: Moment, reason: String) -> Verdict {
    match own_end(claim) {
        Some((at, by)) if until > at => {
            let what = match by {
                End::EventBegins => "the event begins at",
                End::SendBefore | End::Lateness => "send_before is",
            };
            let reason = format!("{reason} until {until}, and {what} {at}");
            Verdict::Cancel { reason }
        }
        _ => Verdict::Defer { until, reason },
    }
}

/// Recipient, sender and text, or why there is no such.
fn parts(claim: &Claim, rules: &Rules) -> Result<(E164, Sender, String), String> {
    let channel = claim.lane.channel();
    if !rules.channels.contains(&channel) {
        return Err(match channel {
            // The word itself is the app's.
            Channel::Other => "the row's channel is not supported".to_owned(),
            known => format!(
                "no provider is configured for the channel {}",
                known.as_str()
            ),
        });
    }
    let to = claim
        .to_number
        .parse::<E164>()
        .map_err(|e| format!("to_number is not valid: {e}"))?;
    let from = match claim.from_number.as_deref().map(str::trim) {
        None | Some("") => rules.default_sender.clone().ok_or(
            "no sender: the row has no from_number and no sender is configured \
             (set TWILIO_SMS_FROM_NUMBER or TWILIO_MESSAGING_SERVICE_SID)",
        )?,
        Some(own) => own
            .parse::<Sender>()
            .map_err(|e| format!("from_number is not valid: {e}"))?,
    };
    Ok((to, from, text(claim)?))
}

/// A row with variables is rendered from its template, a row without goes as it stands.
fn text(claim: &Claim) -> Result<String, String> {
    let (text, what) = match (&claim.facts.template_vars, &claim.facts.template) {
        (None, _) => (claim.body.clone(), "body"),
        (Some(_), None) => {
            return Err("the row has template_vars, and no template with that template_id".into());
        }
        (Some(vars), Some(template)) => {
            let text = template::render(template, vars).map_err(|e| e.to_string())?;
            (text, "text of the template")
        }
    };
    if text.trim().is_empty() {
        return Err(format!("the {what} is empty"));
    }
    let length = text.chars().count();
    if length > BODY_MAX_CHARS {
        return Err(format!(
            "the {what} has {length} characters, at most {BODY_MAX_CHARS} can be sent"
        ));
    }
    Ok(text)
}
