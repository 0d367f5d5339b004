//! Look-ups: a query for one message, or for the list of messages. Like a send, a look-up does not fail.

use futures_util::future::{self, BoxFuture, FutureExt};

use crate::message::Moment;
use crate::proof::ProviderMessage;

/// The result of a query for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The provider has it.
    Found(Box<ProviderMessage>),
    /// The provider reports that it has no such message.
    Absent,
    /// The query had no result: no connection, throttled, a response that cannot be parsed.
    NotNow {
        /// The reason.
        reason: String,
        /// Too many requests: it may be queried again soon, more slowly.
        is_throttled: bool,
    },
}

/// A query for a provider's list of messages.
///
/// `Debug` shows no number.
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    /// Only messages to this number.
    pub to: String,
    /// Only messages from this sender.
    pub from: Option<String>,
    /// Without a sender: also those from numbers on WhatsApp.
    pub also_whatsapp: bool,
    /// Only messages created at this time or later.
    pub since: Moment,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// The result of a query for the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The messages, newest first. A message that is not among them may still exist: a list can be minutes
    /// behind.
    Shown {
        /// The messages.
        messages: Vec<ProviderMessage>,
        /// Whether the list was read completely, back to `since`.
        whole: bool,
    },
    /// The query had no result.
    NotNow {
        /// The reason.
        reason: String,
        /// Too many requests: it may be queried again soon, more slowly.
        is_throttled: bool,
    },
}

/// The result of any look-up at a provider that has none.
pub(super) fn no_look_ups<T: Send + 'static>(
    not_now: impl FnOnce(String) -> T,
) -> BoxFuture<'static, T> {
    let reason = "this provider has no look-ups".to_owned();
    future::ready(not_now(reason)).boxed()
}
