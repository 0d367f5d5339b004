//! Hands a cleared message to whoever delivers it, and says what became of the request.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::message::Outcome;
use crate::policy::Cleared;

pub mod console;
pub mod twilio;

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
}
