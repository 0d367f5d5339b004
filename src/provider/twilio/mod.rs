//! Twilio's Messages API: one request for one message.
//!
//! There is no idempotency key, so a repeated request may send a second text.
//!
//! `http` proves what was not sent, `response` derives the outcome from a response, [`codes`]
//! what follows from a refusal; `lookup` queries the messages that Twilio has.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response};

#[cfg(test)]
pub(crate) use self::described::routes as callback_routes;
use self::request::Requests;
use super::http::{self, ClientError, NOT_BEGUN, date, deadline, root, step, whole};
use super::{Fetched, Listed, Provider, Query};
use crate::message::{Capabilities, Moment, Outcome, PoolForm, ProviderSid};
use crate::policy::Cleared;

pub mod callback;
pub mod codes;
pub mod config;
#[cfg(test)]
mod described;
mod fields;
mod lookup;
mod opt_out;
pub mod rates;
mod request;
mod response;
pub mod signature;
mod status;

pub use callback::TwilioCallbacks;
pub use config::{Credentials, StatusCallback, TwilioConfig};

/// The longest response that is read. A message resource has about 1 KiB.
const ANSWER_MAX: usize = 64 * 1024;

/// The longest sid that is accepted. Twilio's have 34 characters.
const SID_MAX: usize = 64;

/// How long opening a connection in advance may take. After that the message is due, and its request
/// opens one.
const TOUCH_TIMEOUT: Duration = Duration::from_secs(2);

/// The capabilities of Twilio. Receipts depend on the configuration: it reports only if it is given a URL.
pub const CAPABILITIES: Capabilities = Capabilities {
    idempotent: false,
    look_up: true,
    knows_ids: false,
    receipts: false,
    media: true,
    // Error 21617 beyond.
    max_chars: 1600,
    // Not known in advance; beyond the account's limit it responds with a 429.
    max_in_flight: usize::MAX,
    // Messaging services.
    sender_pools: Some(PoolForm {
        prefix: "MG",
        digits: 32,
    }),
    whatsapp: true,
};

/// Whether a text is the sid of a message.
pub fn is_message_sid(text: &str) -> bool {
    ["SM", "MM"]
        .into_iter()
        .any(|prefix| PoolForm { prefix, digits: 32 }.matches(text))
}

/// Sends through Twilio.
pub struct Twilio {
    client: Client,
    requests: Requests,
    send_timeout: Duration,
    max_in_flight: NonZeroUsize,
    receipts: bool,
}

impl Twilio {
    /// Builds the client; nothing is connected yet.
    pub fn new(config: &TwilioConfig) -> Result<Self, ClientError> {
        let client = http::client(
            http::tls(config.base_url.is_https())?,
            config.max_in_flight.get(),
            None,
        )?;
        let requests =
            Requests::new(&client, config, TOUCH_TIMEOUT).map_err(ClientError::Client)?;
        Ok(Self {
            client,
            requests,
            send_timeout: config.send_timeout,
            max_in_flight: config.max_in_flight,
            receipts: config.status_callback.is_some(),
        })
    }

    async fn create(&self, message: &Cleared, valid_for: Duration) -> Outcome {
        let (Some(to), Some(from)) = (message.to().phone(), message.from()) else {
            return Outcome::Unsent {
                reason: "it is not a text message".into(),
            };
        };
        let (request, handoff) = self.requests.create(message, (to, from), valid_for);
        let call = async {
            let response = self.client.execute(request).await?;
            let outcome = read(response, message.body()).await;
            Ok(codes::judged_by_sender(outcome, from))
        };
        let (step, cause) = match deadline::within(self.send_timeout, call).await {
            Some(Ok(outcome)) => return outcome,
            Some(Err(error)) => (step(&error), root(&error)),
            None => (NOT_BEGUN, "timed out".to_owned()),
        };
        if handoff.withdraw() {
            Outcome::Unsent {
                reason: format!("{step}: {cause}"),
            }
        } else {
            Outcome::Unknown {
                reason: format!("no response to the request: {cause}"),
            }
        }
    }

    /// Makes a request that only opens a connection, which is free again once the response has been read. Returns
    /// the date of the response.
    async fn touch(&self) -> Option<Moment> {
        let mut response = self.client.execute(self.requests.touch()).await.ok()?;
        let date = date::of(response.headers());
        let _ = whole(&mut response, ANSWER_MAX).await;
        date
    }
}

impl Provider for Twilio {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            receipts: self.receipts,
            ..CAPABILITIES
        }
    }

    fn send<'a>(&'a self, message: &'a Cleared, valid_for: Duration) -> BoxFuture<'a, Outcome> {
        self.create(message, valid_for).boxed()
    }

    /// Makes this many cheap requests at once: each uses an idle connection, which keeps it open, or
    /// begins to open one. If another connection becomes free in the meantime, the request uses that
    /// one, and its own is completed in the background and kept.
    fn prewarm(&self, connections: usize) -> BoxFuture<'_, ()> {
        let connections = connections.min(self.max_in_flight.get());
        join_all((0..connections).map(|_| self.touch()))
            .map(drop)
            .boxed()
    }

    fn date(&self) -> BoxFuture<'_, Option<Moment>> {
        self.touch().boxed()
    }

    fn fetch<'a>(&'a self, sid: &'a ProviderSid) -> BoxFuture<'a, Fetched> {
        lookup::fetch(&self.client, &self.requests, sid).boxed()
    }

    fn list<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Listed> {
        lookup::list(&self.client, &self.requests, query).boxed()
    }
}

async fn read(mut response: Response, sent: &str) -> Outcome {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).cloned();
    let body = whole(&mut response, ANSWER_MAX).await;
    response::outcome(
        status,
        retry_after.as_ref().and_then(|value| value.to_str().ok()),
        body.as_deref().map_err(String::as_str),
        sent,
    )
}
