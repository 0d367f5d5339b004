//! Webhooks: one signed POST of a JSON document to the URL of a message, after
//! [Standard Webhooks](https://www.standardwebhooks.com). `docs/webhook.md` describes it for endpoints.
//!
//! The id of the message is the idempotency key: a request whose outcome is uncertain is repeated with the same id,
//! and the endpoint drops what it has had. `guard` decides where a request may go, `response` what a response means.

use std::error::Error as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt as _};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Request};
use url::Url;

use super::http::handoff::Handoff;
use super::http::{
    self, ClientError, NOT_BEGUN, deadline, retry_after, root, step, whole, with_body,
};
use super::{Provider, is_of_attempt};
use crate::clock;
use crate::message::{Address, AttemptToken, Capabilities, Category, Outcome, ProviderSid, Retry};
use crate::policy::Cleared;

mod guard;
mod payload;
mod response;
mod secret;

pub use guard::{Allowed, AllowedError};
pub use secret::{SecretError, Secrets};

/// The longest response that is read: what it says is not used, but a connection whose response was read can be
/// used again.
const ANSWER_MAX: usize = 16 * 1024;

/// The capabilities of webhooks.
pub const CAPABILITIES: Capabilities = Capabilities {
    idempotent: true,
    ..Capabilities::SENDS_ONLY
};

/// The configuration of webhooks. Every value is valid.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Sign every request.
    pub secrets: Secrets,
    /// Where requests may go in addition to the internet.
    pub allowed: Allowed,
    /// The time-out of one request in total, from the call to the last byte of the response.
    pub send_timeout: Duration,
    /// Requests at once; as many unused connections are kept for each host.
    pub max_in_flight: NonZeroUsize,
}

/// Calls endpoints.
pub struct Webhook {
    client: Client,
    secrets: Secrets,
    allowed: Arc<Allowed>,
    send_timeout: Duration,
}

/// The prefix of every sid.
const SID: &str = "WH";

/// The name of an endpoint's acceptance, which names none itself: of the attempt that it accepted.
fn sid(token: AttemptToken) -> ProviderSid {
    ProviderSid(format!("{SID}{}", token.0.simple()))
}

/// Whether a text has the form of a webhook's sid.
pub fn is_message_sid(text: &str) -> bool {
    is_of_attempt(SID, text)
}

impl Webhook {
    /// Builds the client; nothing is connected yet.
    pub fn new(config: &WebhookConfig) -> Result<Self, ClientError> {
        let allowed = Arc::new(config.allowed.clone());
        let resolver = guard::Resolver(Arc::clone(&allowed));
        let client = http::client(
            http::tls(true)?,
            config.max_in_flight.get(),
            Some(Arc::new(resolver)),
        )?;
        Ok(Self {
            client,
            secrets: config.secrets.clone(),
            allowed,
            send_timeout: config.send_timeout,
        })
    }

    async fn post(&self, message: &Cleared) -> Outcome {
        let to = message.to();
        if !matches!(to, Address::Url(_)) {
            return unsent("it is not a webhook");
        }
        let Ok(url) = to.as_str().parse::<Url>() else {
            return refused("its URL is not valid");
        };
        if let Err(why) = self.allowed.check(&url) {
            return refused(&why.to_string());
        }
        let (request, handoff) = self.request(url, message);
        let mut outcome = None;
        let call = async {
            let mut response = self.client.execute(request).await?;
            let status = response.status().as_u16();
            let retry_after = retry_after::of(response.headers());
            outcome = Some(response::outcome(status, retry_after, sid(message.token())));
            // The status decides: what follows it may break off or never end. It is read only so that the
            // connection can be used again.
            let _ = whole(&mut response, ANSWER_MAX).await;
            Ok(())
        };
        let ended = deadline::within(self.send_timeout, call).await;
        if let Some(outcome) = outcome {
            return outcome;
        }
        let (step, cause) = match ended {
            Some(Err(error)) => match not_allowed(&error) {
                Some(why) => return refused(&why.to_string()),
                None => (step(&error), root(&error)),
            },
            Some(Ok(())) | None => (NOT_BEGUN, "timed out".to_owned()),
        };
        if handoff.withdraw() {
            unsent(&format!("{step}: {cause}"))
        } else {
            Outcome::Unknown {
                reason: format!("no response to the request: {cause}"),
            }
        }
    }

    /// The request for a message, and the latch that shows whether its body was handed over.
    fn request(&self, url: Url, message: &Cleared) -> (Request, Handoff) {
        let body = payload::of(message);
        let id = message.id().to_string();
        let now = clock::reading().real_us / 1_000_000;
        let signature = self.secrets.sign(&id, now, &body);
        let mut template = Request::new(reqwest::Method::POST, url);
        for (name, value) in [
            ("content-type", "application/json"),
            ("webhook-id", &id),
            ("webhook-timestamp", &now.to_string()),
            ("webhook-signature", &signature),
        ] {
            let value = HeaderValue::from_str(value).expect("ids, numbers and base64 are ASCII");
            template
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
        let (handoff, body) = Handoff::of(body);
        (with_body(&template, body), handoff)
    }
}

/// Whether the resolver found no address that is allowed.
fn not_allowed(error: &reqwest::Error) -> Option<guard::NotAllowed> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(why) = inner.downcast_ref::<guard::NotAllowed>() {
            return Some(*why);
        }
        cause = inner.source();
    }
    None
}

fn unsent(reason: &str) -> Outcome {
    Outcome::Unsent {
        reason: reason.to_owned(),
    }
}

/// It would be refused again.
fn refused(text: &str) -> Outcome {
    Outcome::Refused {
        code: None,
        category: Category::InvalidNumber,
        text: text.to_owned(),
        retry: Retry::No,
    }
}

impl Provider for Webhook {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn send<'a>(&'a self, message: &'a Cleared, _: Duration) -> BoxFuture<'a, Outcome> {
        self.post(message).boxed()
    }

    /// Each message has a host of its own, so there is no connection to open in advance.
    fn prewarm(&self, _: usize) -> BoxFuture<'_, ()> {
        future::ready(()).boxed()
    }
}
