//! Whether a claimed message may go. Pure: facts and time in, a [`Verdict`] out.
//!
//! [`judge`] is the only maker of [`Cleared`], and a provider takes nothing else: a message
//! that was not judged cannot be sent, it does not compile.

use std::fmt;
use std::time::Duration;

use crate::message::{AttemptToken, Claim, E164, MessageId, Moment, Sender};

#[cfg(test)]
mod tests;

/// The longest body the provider takes, in characters (Twilio error 21617 beyond).
pub const BODY_MAX_CHARS: usize = 1600;

/// What the installation lays down for all messages.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who sends where the row names nobody.
    pub default_sender: Option<Sender>,
    /// A message later than this at its turn is cancelled, not sent.
    pub max_lateness: Duration,
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
    /// The text.
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

/// When a claimed message is worth nothing any more: its own `send_before`, or the lateness the
/// installation allows, whichever comes first. Retries do not move it.
pub fn expires(claim: &Claim, rules: &Rules) -> Moment {
    let too_late = claim.wanted_at + rules.max_lateness;
    claim.send_before.map_or(too_late, |own| own.min(too_late))
}

/// Judges a claim. `now` is only used to tell whether it is too late.
pub fn judge(claim: &Claim, rules: &Rules, now: Moment) -> Verdict {
    let expires = expires(claim, rules);
    if now > expires {
        return Verdict::Cancel {
            reason: late_reason(claim, rules, now),
        };
    }
    match parts(claim, rules) {
        Ok((to, from)) => Verdict::Send(Cleared {
            id: claim.id,
            token: claim.token,
            due: claim.due,
            expires,
            to,
            from,
            body: claim.body.clone(),
        }),
        Err(reason) => Verdict::Reject { reason },
    }
}

fn late_reason(claim: &Claim, rules: &Rules, now: Moment) -> String {
    match claim.send_before {
        Some(own) if now > own => format!("too late: send_before was {own}"),
        _ => format!(
            "too late: {} s after its time, more than the {} s allowed",
            now.since(claim.wanted_at).as_secs(),
            rules.max_lateness.as_secs()
        ),
    }
}

fn parts(claim: &Claim, rules: &Rules) -> Result<(E164, Sender), String> {
    let to = claim
        .to_number
        .parse::<E164>()
        .map_err(|e| format!("to_number is not usable: {e}"))?;
    let from = match claim.from_number.as_deref().map(str::trim) {
        None | Some("") => rules.default_sender.clone().ok_or(
            "no sender: the row has no from_number and no sender is configured \
             (set TWILIO_SMS_FROM_NUMBER or TWILIO_MESSAGING_SERVICE_SID)",
        )?,
        Some(own) => own
            .parse::<Sender>()
            .map_err(|e| format!("from_number is not usable: {e}"))?,
    };
    if claim.body.trim().is_empty() {
        return Err("the body is empty".into());
    }
    let length = claim.body.chars().count();
    if length > BODY_MAX_CHARS {
        return Err(format!(
            "the body has {length} characters, at most {BODY_MAX_CHARS} can be sent"
        ));
    }
    Ok((to, from))
}
