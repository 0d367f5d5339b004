//! What to do about a message with an uncertain outcome.

use std::str::FromStr;

/// The policy: `scheduled_messages.in_doubt`, or the installation's `PUNCTUAL_IN_DOUBT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum InDoubt {
    /// It stays `unconfirmed` until there is proof or a manual decision.
    #[default]
    Hold,
    /// It is sent again if a look-up that is late enough does not find it. Because lists lag, a second text is
    /// very unlikely, but possible.
    ResendIfAbsent,
    /// It is sent again unless the first look-up finds it. Permits second texts.
    Resend,
}

impl InDoubt {
    /// All policies.
    pub const ALL: [Self; 3] = [Self::Hold, Self::ResendIfAbsent, Self::Resend];

    /// The value in the column and in the setting.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::ResendIfAbsent => "resend_if_absent",
            Self::Resend => "resend",
        }
    }
}

/// A value that is not a policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected hold, resend_if_absent or resend")]
pub struct InDoubtError;

impl FromStr for InDoubt {
    type Err = InDoubtError;
    fn from_str(s: &str) -> Result<Self, InDoubtError> {
        let s = s.trim();
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == s)
            .ok_or(InDoubtError)
    }
}
