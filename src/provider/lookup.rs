//! What a provider says of messages it may have. Like a send, a look-up answers; it does not fail.

use futures_util::future::{self, BoxFuture, FutureExt};

use crate::message::Moment;
use crate::proof::ProviderMessage;

/// The answer to asking for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The provider has it.
    Found(Box<ProviderMessage>),
    /// The provider says, in its own words, that it has no such message.
    Absent,
    /// Nothing is known by this: no connection, throttled, an answer that makes no sense.
    NotNow {
        /// What was seen.
        reason: String,
    },
}

/// What a provider's list is queried for.
///
/// `Debug` tells no number.
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    /// Only messages to this number.
    pub to: String,
    /// Only messages from this sender.
    pub from: Option<String>,
    /// Only what was made at this moment or later.
    pub since: Moment,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// The answer to asking for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// What the provider shows, newest first. That something is not among it proves nothing: a
    /// list can be minutes behind.
    Shown {
        /// The messages.
        messages: Vec<ProviderMessage>,
        /// Whether the list was read to its end, as far as `since` goes.
        whole: bool,
    },
    /// Nothing is known by this.
    NotNow {
        /// What was seen.
        reason: String,
    },
}

/// What a provider answers that keeps nothing it could be asked about.
pub(super) fn keeps_nothing<T: Send + 'static>(
    not_now: impl FnOnce(String) -> T,
) -> BoxFuture<'static, T> {
    let reason = "this provider cannot be asked about messages".to_owned();
    future::ready(not_now(reason)).boxed()
}
