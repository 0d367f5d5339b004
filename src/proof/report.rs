//! What a provider reports about a message: in a callback, or in response to a look-up.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::message::{AttemptToken, Delivery, LaneKey, MessageId, Moment, ProviderSid};

/// The status of a message, in our terms and in the provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStatus {
    /// Every decision uses this.
    pub delivery: Delivery,
    /// The provider's own term, for people.
    pub word: &'static str,
    /// The provider's error code, if there was an error.
    pub code: Option<i32>,
    /// For `error_message`: why it did not arrive, if it did not.
    pub error: Option<String>,
}

impl ProviderStatus {
    /// The provider has the message; how far it has come is unknown.
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
    /// Whichever attempt has its sid.
    Sid,
}

/// One report: a verified and parsed callback, or the result of a look-up.
///
/// `Debug` shows no number.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// The account and channel by which it came. It says nothing about attempts of other accounts.
    pub lane: LaneKey,
    /// What it is about.
    pub about: About,
    /// The provider's id of the message.
    pub sid: ProviderSid,
    /// Its status.
    pub status: ProviderStatus,
    /// The sender, as the provider has it.
    pub from: Option<String>,
    /// The recipient, as the provider has it; unknown where it shows the number redacted.
    pub to: Option<String>,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("lane", &self.lane)
            .field("about", &self.about)
            .field("sid", &self.sid)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A message as the provider shows it in a look-up.
///
/// `Debug` shows neither number nor text.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderMessage {
    /// The provider's id of it.
    pub sid: ProviderSid,
    /// Its status; `None`: in a term that this version does not know.
    pub status: Option<ProviderStatus>,
    /// The recipient.
    pub to: String,
    /// The sender; unknown while a sender pool has not picked a number.
    pub from: Option<String>,
    /// Its text.
    pub body: String,
    /// Whether it was requested by the API, and is not an automatic reply or the like.
    pub by_api: bool,
    /// When the provider created it, by the provider's clock, in whole seconds.
    pub created: Option<Moment>,
    /// What it cost; `None`: the provider does not say it, or not yet.
    pub price: Option<Price>,
}

/// What a message cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// A decimal number that is not negative.
    pub amount: String,
    /// The currency, as the provider names it.
    pub unit: String,
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

/// What is visible of a number that the provider redacts: its last digits are each replaced by a letter or a
/// star, or all of it is. `None`: nothing is redacted.
pub fn shown_digits(number: &str) -> Option<&str> {
    let left = number.trim_end_matches(['X', 'x', '*']);
    (left.len() < number.len() || number.is_empty()).then_some(left)
}

/// A number that the provider shows in full. A redacted one must not be written to the app's tables, nor get an
/// opt-out.
pub fn whole_number(shown: &str) -> Option<String> {
    shown_digits(shown).is_none().then(|| shown.to_owned())
}

/// A text as the ledger keeps it: SHA-256 of it without surrounding white space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextKey(pub [u8; 32]);

impl TextKey {
    /// The key of this text.
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
