//! What a provider says of a message: unasked, in a callback, or when it is asked.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::message::{AttemptToken, Delivery, MessageId, Moment, ProviderSid};

/// What became of a message, in our words and in the provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStatus {
    /// What everything is decided from.
    pub delivery: Delivery,
    /// The provider's own word, for people.
    pub word: &'static str,
    /// The provider's code, if it went wrong.
    pub code: Option<i32>,
    /// For `error_message`: why it did not arrive, if it did not.
    pub error: Option<String>,
}

impl ProviderStatus {
    /// The provider has the message; how far it has come is not known.
    pub const TAKEN: Self = Self {
        delivery: Delivery::Queued,
        word: "queued",
        code: None,
        error: None,
    };
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The attempt whose ids it carries.
    Attempt {
        /// The message.
        message: MessageId,
        /// The attempt.
        token: AttemptToken,
    },
    /// Whatever attempt has its sid.
    Sid,
}

/// One report: a callback, checked and understood, or what a look-up showed.
///
/// `Debug` tells no number.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is about.
    pub about: About,
    /// The provider's name for the message.
    pub sid: ProviderSid,
    /// What became of it.
    pub status: ProviderStatus,
    /// The sender, as the provider has it.
    pub from: Option<String>,
    /// The recipient, as the provider has it; unknown where it shows the number redacted.
    pub to: Option<String>,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("about", &self.about)
            .field("sid", &self.sid)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A message as the provider shows it when it is asked.
///
/// `Debug` tells neither number nor text.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderMessage {
    /// The provider's name for it.
    pub sid: ProviderSid,
    /// What became of it; `None`: it says so in a word that this version does not know.
    pub status: Option<ProviderStatus>,
    /// Whom it goes to.
    pub to: String,
    /// Who sends it; unknown while a messaging service has not picked a number.
    pub from: Option<String>,
    /// Its text.
    pub body: String,
    /// Whether it was asked for by the API, and is no reply or call-back of something else.
    pub by_api: bool,
    /// When the provider made it, by the provider's clock, to the second.
    pub created: Option<Moment>,
}

impl fmt::Debug for ProviderMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderMessage")
            .field("sid", &self.sid)
            .field("status", &self.status)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

/// What is left of a number that the provider shows redacted: its last digits are hidden behind a letter
/// or a star each, or all of it is. `None`: it is whole.
pub fn shown_digits(number: &str) -> Option<&str> {
    let left = number.trim_end_matches(['X', 'x', '*']);
    (left.len() < number.len() || number.is_empty()).then_some(left)
}

/// A number that the provider shows whole. One that is redacted is no number to write to the app's tables,
/// or to note an opt-out of.
pub fn whole_number(shown: &str) -> Option<String> {
    shown_digits(shown).is_none().then(|| shown.to_owned())
}

/// A text as the ledger keeps it: SHA-256, white space around it taken off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextKey(pub [u8; 32]);

impl TextKey {
    /// Of this text.
    pub fn of(body: &str) -> Self {
        let body = body.trim_matches([' ', '\t', '\r', '\n']);
        Self(Sha256::digest(body.as_bytes()).into())
    }
}

/// A hash of a short text is nearly the text.
impl fmt::Debug for TextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextKey")
    }
}
