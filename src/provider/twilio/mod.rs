//! Twilio's Messages API: one request for one message.
//!
//! There is no idempotency key, so a repeated request may send a second text. Hence no retries, no
//! redirects (a 307 would post again), and no proxy from the environment. HTTP/1.1 only: with it a
//! broken connection makes one outcome uncertain, not all in flight.
//!
//! `handoff` proves what was not sent, `response` derives the outcome from a response, [`codes`]
//! what follows from a refusal; `lookup` queries the messages that Twilio has.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, redirect, retry};
use rustls::{ClientConfig, RootCertStore};

use self::config::BaseUrl;
use self::request::Requests;
use super::{Fetched, Listed, Provider, Query};
use crate::message::{Capabilities, Moment, Outcome, PoolForm, ProviderSid};
use crate::policy::Cleared;

pub mod callback;
pub mod codes;
pub mod config;
mod date;
mod deadline;
mod fields;
mod handoff;
mod lookup;
mod opt_out;
mod request;
mod response;
pub mod signature;
mod status;
mod tidy;

pub use callback::TwilioCallbacks;
pub use config::{Credentials, StatusCallback, TwilioConfig};

/// How long an unused connection is kept: below the limit of servers and load balancers (60 s is
/// common), so that the client closes it. A request on a connection that the server has just closed
/// would have an uncertain outcome. Prewarming opens new ones shortly before messages are due.
const IDLE_MAX: Duration = Duration::from_secs(20);

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
    receipts: false,
    // Error 21617 beyond.
    max_chars: 1600,
    // Not known in advance; beyond the account's limit it responds with a 429.
    max_in_flight: usize::MAX,
    // Messaging services.
    sender_pools: Some(PoolForm {
        prefix: "MG",
        digits: 32,
    }),
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

/// Why there is no provider.
#[derive(Debug, thiserror::Error)]
pub enum TwilioError {
    /// There are no root certificates to verify the server's certificate with.
    #[error(
        "no root certificates on this machine: install the package ca-certificates, or name a \
         file in SSL_CERT_FILE"
    )]
    NoRoots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

impl Twilio {
    /// Builds the client; nothing is connected yet.
    pub fn new(config: &TwilioConfig) -> Result<Self, TwilioError> {
        let client = client(config)?;
        let requests =
            Requests::new(&client, config, TOUCH_TIMEOUT).map_err(TwilioError::Client)?;
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
    fn warm(&self, connections: usize) -> BoxFuture<'_, ()> {
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

fn client(config: &TwilioConfig) -> Result<Client, TwilioError> {
    // Without a deadline of its own: each kind of request has one.
    Client::builder()
        .tls_backend_preconfigured(tls(&config.base_url)?)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        // hyper retries in one case: if it finds an idle connection closed before it has written anything,
        // it uses another one. The form has not been handed over then.
        .retry(retry::never())
        .referer(false)
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(config.max_in_flight.get())
        .user_agent(concat!("punctual/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(TwilioError::Client)
}

/// TLS by ring with the machine's root certificates (or those of `SSL_CERT_FILE`), as a complete
/// configuration, so that the client uses no process-wide default. Plain http needs no roots.
fn tls(base_url: &BaseUrl) -> Result<ClientConfig, TwilioError> {
    let mut roots = RootCertStore::empty();
    if base_url.is_https() {
        // Single unreadable certificates are common in system stores and of no consequence.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TwilioError::NoRoots);
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .map_err(TwilioError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
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

/// The whole body, or why it cannot be read.
async fn whole(response: &mut Response, longest: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= longest => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err(format!("the response is longer than {longest} bytes")),
            Ok(None) => return Ok(body),
            Err(error) => return Err(format!("the response broke off: {}", root(&error))),
        }
    }
}

const NOT_BEGUN: &str = "the request was not begun";

/// The step at which a request failed that was not sent.
fn step(error: &reqwest::Error) -> &'static str {
    if error.is_dns() {
        "the host name was not resolved"
    } else if error.is_connect() {
        "no connection"
    } else {
        NOT_BEGUN
    }
}

/// The innermost cause: the outer ones repeat the URL and add little.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // An error without a cause would show its URL.
    if cause.is::<reqwest::Error>() {
        return "the client refused it".into();
    }
    tidy::tidy(&cause.to_string())
}
