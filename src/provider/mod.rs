//! The providers. A new one is a module that implements [`Provider`] (sends, and has capabilities), and
//! [`Callbacks`] if it reports by HTTP; `docs/providers.md` has the steps. [`Providers`] has the provider of each
//! channel.

use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt as _};
use tokio::sync::mpsc;

use crate::message::{
    AttemptToken, Capabilities, MessageId, Moment, Outcome, PoolForm, ProviderSid,
};
use crate::policy::Cleared;

mod callbacks;
pub mod console;
mod http;
pub mod in_app;
mod latch;
pub mod llm;
mod lookup;
pub mod modem;
mod opt_out;
mod providers;
pub mod smtp;
pub mod twilio;
pub mod webhook;
pub mod webpush;

pub use callbacks::{
    BadCallback, Callback, CallbackRequest, Callbacks, Heard, OptCommand, OptOut, Reply,
};
pub use http::ClientError;
pub use lookup::{Fetched, Listed, Query};
pub use providers::Providers;
#[cfg(test)]
pub(crate) use twilio::callback_routes;

/// What text messages may have: for commands that run without the settings of a provider. All providers of texts
/// accept the same, the console too, so that a trial shows what would be refused.
pub const TEXTS: Capabilities = twilio::CAPABILITIES;

/// What the provider of texts sends by default, and how long it queues what is more.
pub use twilio::rates::{DefaultRate, QUEUED_MAX, default_rate};

/// `error_code` of rows whose recipient the provider knows to have opted out.
pub const OPTED_OUT_CODES: &[i32] = twilio::codes::OPTED_OUT;

/// The capabilities of the console for text messages.
const TEXTS_OF_CONSOLE: Capabilities = Capabilities {
    look_up: false,
    ..TEXTS
};

/// The sid of a message that a person gives: in the form of any provider. An error says what they look like.
pub fn sid(text: &str) -> Result<ProviderSid, &'static str> {
    let sid = text.trim();
    let is_sid = [
        twilio::is_message_sid,
        modem::is_message_sid,
        webhook::is_message_sid,
        smtp::is_message_sid,
        in_app::is_message_sid,
        webpush::is_message_sid,
        console::is_message_sid,
    ];
    if is_sid.into_iter().any(|is_sid| is_sid(sid)) {
        Ok(ProviderSid(sid.to_owned()))
    } else {
        Err(
            "expected the id that the provider gave the message: SM, MM, WH, EM, PU, IA or CO and 32 hexadecimal digits, \
             or that of a modem's message, account:imsi:numbers:attempt",
        )
    }
}

/// Whether a sid is this prefix and the token of an attempt.
fn is_of_attempt(prefix: &'static str, sid: &str) -> bool {
    PoolForm { prefix, digits: 32 }.matches(sid)
}

/// Sends messages. Its methods do not fail: every way a request can end is an [`Outcome`], and
/// one that is not certain is [`Outcome::Unknown`].
pub trait Provider: Send + Sync + 'static {
    /// Its capabilities. All code that depends on the provider depends on these alone.
    fn capabilities(&self) -> Capabilities;

    /// Makes one request for one cleared message, within its send time-out. Called at the due
    /// time: nothing that can be prepared belongs here. `valid_for` is how long the provider may
    /// try to deliver the message.
    fn send<'a>(&'a self, message: &'a Cleared, valid_for: Duration) -> BoxFuture<'a, Outcome>;

    /// Opens connections, so that about `connections` requests need no handshake. Called shortly
    /// before messages are due; an error has no effect.
    fn prewarm(&self, connections: usize) -> BoxFuture<'_, ()>;

    /// What it does for as long as the daemon runs, if it keeps a connection of its own: it passes on what arrives
    /// there without HTTP. It never ends, and is asked for once.
    fn listen(&self, _heard: mpsc::Sender<Heard>) -> Option<BoxFuture<'static, ()>> {
        None
    }

    /// The provider's time, by a response that it makes now; cut to a second. `None`: there is no response, or it
    /// has no date of its own.
    fn date(&self) -> BoxFuture<'_, Option<Moment>> {
        future::ready(None).boxed()
    }

    /// Queries one message by its sid. Only where [`Capabilities::look_up`] is set.
    fn fetch<'a>(&'a self, _sid: &'a ProviderSid) -> BoxFuture<'a, Fetched> {
        lookup::no_look_ups(|reason| Fetched::NotNow {
            reason,
            is_throttled: false,
        })
    }

    /// Queries whether it has this part of this message, whichever attempt brought it: as the acceptance of this one.
    /// Only where [`Capabilities::knows_ids`] is set.
    fn find(
        &self,
        _message: MessageId,
        _part: i16,
        _token: AttemptToken,
    ) -> BoxFuture<'_, Fetched> {
        lookup::no_look_ups(|reason| Fetched::NotNow {
            reason,
            is_throttled: false,
        })
    }

    /// Queries its list of messages. Only where [`Capabilities::look_up`] is set.
    fn list<'a>(&'a self, _query: &'a Query) -> BoxFuture<'a, Listed> {
        lookup::no_look_ups(|reason| Listed::NotNow {
            reason,
            is_throttled: false,
        })
    }
}
