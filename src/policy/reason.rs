//! Why a message is not sent now, or at all: a kind from a fixed list, for counters, alerts and the ledger, and a
//! sentence for people.

use std::fmt;

/// Why a message is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Its kind.
    pub kind: ReasonKind,
    /// A sentence, without numbers and without the message's text.
    pub text: String,
    /// Which lawful hours it was judged by, for the ledger: only with a verdict about hours.
    pub lawful: Option<String>,
}

impl Reason {
    /// A reason of this kind.
    pub fn new(kind: ReasonKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            kind,
            text,
            lawful: None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasonKind {
    /// It is later than its `send_before`, its event or the installation allows.
    TooLate,
    /// The recipient has opted out.
    OptedOut,
    /// The recipient's phone number is not verified.
    NotVerified,
    /// The recipient has switched off this type of message.
    SwitchedOff,
    /// Its campaign was cancelled.
    Campaign,
    /// Its recipient has replied to its campaign.
    Replied,
    /// Its event was deleted.
    EventDeleted,
    /// Its recipient's quiet hours.
    QuietHours,
    /// The installation's business hours.
    BusinessHours,
    /// The law of where its number is from.
    LawfulHours,
    /// The user's daily limit.
    DailyLimit,
    /// Its channel is not supported, or no provider is configured for it.
    Channel,
    /// Its media cannot be sent.
    Media,
    /// `to_number` is not a recipient.
    Recipient,
    /// There is no sender, or it is not valid.
    Sender,
    /// Its template is missing, inactive, or lacks variables.
    Template,
    /// Its text is empty or too long.
    Text,
    /// It ends the last lease of a job.
    LeaseOver,
    /// Its recipient is in a country that no text goes to.
    Country,
    /// Its recipient is a premium-rate number.
    Premium,
    /// The costs of the day have reached their cap.
    CostCap,
    /// Too many texts to new numbers say the same.
    Burst,
}

impl ReasonKind {
    /// All kinds.
    pub const ALL: [Self; 22] = [
        Self::TooLate,
        Self::OptedOut,
        Self::NotVerified,
        Self::SwitchedOff,
        Self::Campaign,
        Self::Replied,
        Self::EventDeleted,
        Self::QuietHours,
        Self::BusinessHours,
        Self::LawfulHours,
        Self::DailyLimit,
        Self::Channel,
        Self::Media,
        Self::Recipient,
        Self::Sender,
        Self::Template,
        Self::Text,
        Self::LeaseOver,
        Self::Country,
        Self::Premium,
        Self::CostCap,
        Self::Burst,
    ];

    /// As metrics, logs and `punctual.attempts.category` have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLate => "too_late",
            Self::OptedOut => "opted_out",
            Self::NotVerified => "not_verified",
            Self::SwitchedOff => "switched_off",
            Self::Campaign => "campaign",
            Self::Replied => "replied",
            Self::EventDeleted => "event_deleted",
            Self::QuietHours => "quiet_hours",
            Self::BusinessHours => "business_hours",
            Self::LawfulHours => "lawful_hours",
            Self::DailyLimit => "daily_limit",
            Self::Channel => "channel",
            Self::Media => "media",
            Self::Recipient => "recipient",
            Self::Sender => "sender",
            Self::Template => "template",
            Self::Text => "text",
            Self::LeaseOver => "lease_over",
            Self::Country => "country",
            Self::Premium => "premium",
            Self::CostCap => "cost_cap",
            Self::Burst => "burst",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_documented() {
        let docs = include_str!("../../docs/policy.md");
        for kind in ReasonKind::ALL {
            assert!(docs.contains(&format!("`{}`", kind.as_str())), "{kind:?}");
        }
    }
}
