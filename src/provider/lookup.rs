//! What a provider says of messages it may have. Like a send, a look-up answers; it does not fail.

use futures_util::future::{self, BoxFuture, FutureExt};

use crate::message::{Moment, ProviderSid};

/// A message as the provider shows it.
///
/// `Debug` tells neither number nor text.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// The provider's name for it.
    pub sid: ProviderSid,
    /// How far it has come, in the provider's word.
    pub status: String,
    /// The provider's code, if it went wrong.
    pub code: Option<i32>,
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

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown")
            .field("sid", &self.sid)
            .field("status", &self.status)
            .field("code", &self.code)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

/// The answer to asking for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The provider has it.
    Found(Box<Shown>),
    /// The provider says, in its own words, that it has no such message.
    Absent,
    /// Nothing is known by this: no connection, throttled, an answer that makes no sense.
    NotNow {
        /// What was seen.
        reason: String,
    },
}

/// What to list.
///
/// `Debug` tells no number.
#[derive(Clone, PartialEq, Eq)]
pub struct Sought {
    /// Only messages to this number.
    pub to: String,
    /// Only messages from this sender.
    pub from: Option<String>,
    /// Only what was made at this moment or later.
    pub since: Moment,
}

impl std::fmt::Debug for Sought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sought")
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
        messages: Vec<Shown>,
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
