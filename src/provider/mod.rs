//! Hands a cleared message to whoever delivers it, and says what became of the request; and asks
//! later what the provider has.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::message::{Outcome, ProviderSid};
use crate::policy::Cleared;

mod callbacks;
pub mod console;
mod lookup;
pub mod twilio;

pub use callbacks::{BadCallback, Callback, CallbackRequest, Callbacks, OptCommand, OptOut};
pub use lookup::{Fetched, Listed, Query};

/// What delivers messages. It answers; it does not fail: every way a request can end is an
/// [`Outcome`], and what is not certain is [`Outcome::Unknown`].
pub trait Provider: Send + Sync + 'static {
    /// Makes one request for one cleared message, within the send time-out it was built with.
    /// It is called at the due time: no work that could have been done before belongs here.
    /// `valid_for` is how long the provider itself may try to deliver it.
    fn send<'a>(&'a self, message: &'a Cleared, valid_for: Duration) -> BoxFuture<'a, Outcome>;

    /// Makes sure that about `connections` requests can leave without a handshake. Called
    /// a moment before messages are due; errors are of no consequence.
    fn warm(&self, connections: usize) -> BoxFuture<'_, ()>;

    /// Whether it can be asked what it has. Where not, [`Self::fetch`] and [`Self::list`] say
    /// so, and nobody need call them.
    fn can_look_up(&self) -> bool {
        false
    }

    /// Asks for one message by the provider's name for it.
    fn fetch<'a>(&'a self, _sid: &'a ProviderSid) -> BoxFuture<'a, Fetched> {
        lookup::keeps_nothing(|reason| Fetched::NotNow { reason })
    }

    /// Queries its list of messages.
    fn list<'a>(&'a self, _query: &'a Query) -> BoxFuture<'a, Listed> {
        lookup::keeps_nothing(|reason| Listed::NotNow { reason })
    }
}
