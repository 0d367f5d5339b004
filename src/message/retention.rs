//! How long what is known of messages is kept once they have ended.

use std::time::Duration;

/// How long each kind of record is kept. What may still be needed is kept however old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The ledger, receipts, notes and the history of changes; `None`: for good.
    pub messages: Option<Duration>,
    /// Texts in these, if they are blanked before that; `None`: as long as the rest.
    pub texts: Option<Duration>,
}

impl Retention {
    /// If nothing is set.
    pub const DEFAULT: Self = Self {
        messages: Some(Duration::from_secs(90 * 24 * 3600)),
        texts: None,
    };

    /// Nothing is ever deleted.
    pub const fn is_for_good(self) -> bool {
        self.messages.is_none() && self.texts.is_none()
    }
}
