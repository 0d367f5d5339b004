//! What is done about a message of which nobody knows whether the provider took it.

use std::str::FromStr;

/// `scheduled_messages.in_doubt`, or the installation's `PUNCTUAL_IN_DOUBT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum InDoubt {
    /// It stays `unconfirmed` until there is proof, or a person's word.
    #[default]
    Hold,
    /// It is sent again when the provider, asked long enough after, does not show it. Lists lag:
    /// this is nearly never a second text, not never.
    ResendIfAbsent,
    /// It is sent again unless the provider shows it at the first look. Permits doubles.
    Resend,
}

impl InDoubt {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Hold, Self::ResendIfAbsent, Self::Resend];

    /// As column and setting have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::ResendIfAbsent => "resend_if_absent",
            Self::Resend => "resend",
        }
    }
}

/// A word that is none of the three.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected hold, resend_if_absent or resend")]
pub struct UnknownPolicy;

impl FromStr for InDoubt {
    type Err = UnknownPolicy;
    fn from_str(s: &str) -> Result<Self, UnknownPolicy> {
        let s = s.trim();
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == s)
            .ok_or(UnknownPolicy)
    }
}
