//! Which rules hold for which channel: the one table of it. `store/expressions.rs` makes the conditions of
//! statements from it, and `docs/policy.md` shows it.

use crate::message::Channel;

/// A rule that may prevent or delay a message, or something that is done for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The row's `send_before`.
    SendBefore,
    /// The lateness that the installation allows.
    Lateness,
    /// The event that a message reminds of: it is deleted, or has begun.
    Event,
    /// The recipient's quiet hours.
    QuietHours,
    /// The installation's business hours.
    BusinessHours,
    /// The hours in which the law permits texts.
    LawfulHours,
    /// A reply STOP.
    Stop,
    /// `opted_out` in the recipient's preferences.
    OptOut,
    /// The recipient's phone must be verified.
    Verified,
    /// The recipient's switch of the message type.
    Switch,
    /// The recipient's daily limit.
    DailyLimit,
    /// A text with the separator is sent in parts.
    Parts,
    /// Rows in `messages` and `conversations`.
    AppRows,
}

impl Rule {
    /// All rules, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::SendBefore,
        Self::Lateness,
        Self::Event,
        Self::QuietHours,
        Self::BusinessHours,
        Self::LawfulHours,
        Self::Stop,
        Self::OptOut,
        Self::Verified,
        Self::Switch,
        Self::DailyLimit,
        Self::Parts,
        Self::AppRows,
    ];

    /// Whether it holds for messages of this channel.
    pub const fn holds(self, channel: Channel) -> bool {
        match self {
            Self::SendBefore => true,
            Self::Lateness | Self::Event | Self::QuietHours | Self::BusinessHours | Self::Parts => {
                channel.reaches_person()
            }
            Self::LawfulHours
            | Self::Stop
            | Self::OptOut
            | Self::Verified
            | Self::Switch
            | Self::DailyLimit
            | Self::AppRows => channel.is_phone(),
        }
    }
}
