//! Web Push: one encrypted POST (RFC 8291) to the endpoint of a browser's subscription, signed by VAPID (RFC 8292).
//! `docs/web-push.md` describes it for apps.
//!
//! The keys of a subscription are in a table: `store` implements [`Subscriptions`]. A push service has neither an
//! idempotency key nor look-ups: `Topic` replaces a copy that has not reached the browser yet, and one that has is
//! shown.

use std::num::NonZeroUsize;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::{self, BoxFuture, FutureExt as _};
use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;
use uuid::Uuid;

use super::http::ClientError;
use super::http::endpoint::{Endpoints, refused, unsent};
use super::{Provider, is_of_attempt};
use crate::clock::{self, Stopwatch};
use crate::message::facts::Priority;
use crate::message::{Address, AttemptToken, Capabilities, Category, Outcome, ProviderSid, Retry};
use crate::policy::Cleared;
use crate::provider::http::guard::Allowed;

mod encrypt;
mod payload;
mod response;
mod vapid;

pub use vapid::{Vapid, VapidError};

use encrypt::{Keys, PLAIN_MAX};

/// The longest that a push service is asked to keep a message; most keep none longer.
const TTL_MAX: Duration = Duration::from_secs(28 * 24 * 3_600);

/// After the database has refused all questions for keys, until one is tried again.
const PROBE: Duration = Duration::from_secs(60);

/// The capabilities of push messages. Not idempotent: what is sent a second time replaces the first only until the
/// browser has that.
pub const CAPABILITIES: Capabilities = Capabilities {
    max_chars: PLAIN_MAX,
    ..Capabilities::SENDS_ONLY
};

/// What is known of a subscription.
pub enum Found {
    /// Its keys, as the browser gave them.
    Live {
        /// The browser's public key.
        p256dh: String,
        /// The secret that it shares with whoever sends.
        auth: String,
    },
    /// There is none with this endpoint, or it has ended.
    None,
    /// The database refuses to say that of any: a right is missing.
    Refused(String),
    /// The database did not say.
    Unknown(String),
}

/// The subscriptions of the app's users.
pub trait Subscriptions: Send + Sync + 'static {
    /// The one with this endpoint, if it is this user's. `None`: the message is of no user.
    fn find<'a>(
        &'a self,
        endpoint: &'a str,
        user: Option<Uuid>,
        within: Duration,
    ) -> BoxFuture<'a, Found>;

    /// Opens connections in advance.
    fn open(&self) -> BoxFuture<'_, ()>;

    /// Notes that it has ended, and why. If that fails, the next message to it finds out again.
    fn end<'a>(&'a self, endpoint: &'a str, reason: &'a str, within: Duration)
    -> BoxFuture<'a, ()>;
}

/// The configuration of push messages. Every value is valid.
#[derive(Clone, Debug)]
pub struct WebPushConfig {
    /// Shows who sends.
    pub vapid: Vapid,
    /// Where requests may go in addition to the internet.
    pub allowed: Allowed,
    /// The time-out of one request in total, from the call to the last byte of the response.
    pub send_timeout: Duration,
    /// Requests at once; as many unused connections are kept for each host.
    pub max_in_flight: NonZeroUsize,
}

/// Sends push messages.
pub struct WebPush<S> {
    endpoints: Endpoints,
    vapid: Vapid,
    subscriptions: S,
    send_timeout: Duration,
}

/// The prefix of every sid.
const SID: &str = "PU";

/// The name of an acceptance: of the attempt.
fn sid(token: AttemptToken) -> ProviderSid {
    ProviderSid(format!("{SID}{}", token.0.simple()))
}

/// Whether a text has the form of a push message's sid.
pub fn is_message_sid(text: &str) -> bool {
    is_of_attempt(SID, text)
}

impl<S: Subscriptions> WebPush<S> {
    /// Builds the client; nothing is connected yet.
    pub fn new(config: &WebPushConfig, subscriptions: S) -> Result<Self, ClientError> {
        let endpoints = Endpoints::new(&config.allowed, config.max_in_flight)?;
        Ok(Self {
            endpoints,
            vapid: config.vapid.clone(),
            subscriptions,
            send_timeout: config.send_timeout,
        })
    }

    async fn post(&self, message: &Cleared, valid_for: Duration) -> Outcome {
        let to = message.to();
        if !matches!(to, Address::Push(_)) {
            return unsent("it is not a push message");
        }
        let endpoint = to.as_str();
        let Ok(url) = endpoint.parse::<Url>() else {
            return refused("its endpoint is no valid URL");
        };
        let plain = payload::of(message);
        if plain.len() > PLAIN_MAX {
            return too_long(plain.len());
        }
        // One time-out for all of it: what the question takes is missing to the request.
        let began = Stopwatch::start();
        let left = || self.send_timeout.saturating_sub(began.elapsed());
        let user = message.about().user_id;
        let keys = match self.subscriptions.find(endpoint, user, left() / 2).await {
            Found::Live { p256dh, auth } => Keys::parse(&p256dh, &auth),
            Found::None => {
                return refused("there is no live subscription of the user with this endpoint");
            }
            Found::Refused(text) => return held(text),
            Found::Unknown(reason) => return unsent(&reason),
        };
        let body = keys.and_then(|keys| encrypt::sealed(&plain, &keys).ok());
        let Some(body) = body else {
            return refused("the keys of the subscription are not valid");
        };
        let valid_for = valid_for.saturating_sub(began.elapsed());
        let Some(request) = self.request(url, message, valid_for) else {
            return unsent("the request could not be signed");
        };
        match self.endpoints.post(&request, body, left()).await {
            Ok(answer) => {
                if response::is_gone(answer.status) {
                    let reason = format!("HTTP {}", answer.status);
                    self.subscriptions.end(endpoint, &reason, left()).await;
                }
                response::outcome(answer.status, answer.retry_after, sid(message.token()))
            }
            Err(outcome) => outcome,
        }
    }

    /// The request for a message without its body.
    fn request(&self, url: Url, message: &Cleared, valid_for: Duration) -> Option<Request> {
        let now_s = clock::reading().real_us / 1_000_000;
        let origin = url.origin().ascii_serialization();
        let authorization = self.vapid.authorization(&origin, now_s)?;
        let mut request = Request::new(reqwest::Method::POST, url);
        for (name, value) in [
            ("authorization", authorization),
            ("content-encoding", "aes128gcm".to_owned()),
            ("content-type", "application/octet-stream".to_owned()),
            ("ttl", valid_for.min(TTL_MAX).as_secs().to_string()),
            ("urgency", urgency(message.about().priority).to_owned()),
            ("topic", topic(message)),
        ] {
            let value = HeaderValue::from_str(&value).ok()?;
            request
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
        Some(request)
    }
}

/// How much of a phone's battery it is worth (RFC 8030, 5.3).
const fn urgency(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High | Priority::Urgent => "high",
    }
}

/// The same for each attempt at a part, in at most 32 letters of base64url (RFC 8030, 5.4).
fn topic(message: &Cleared) -> String {
    let id = URL_SAFE_NO_PAD.encode(message.id().0.as_bytes());
    format!("{id}-{}", message.part().before + 1)
}

/// All messages of the lane would be refused.
fn held(text: String) -> Outcome {
    Outcome::Refused {
        code: None,
        category: Category::AccountIssue,
        text,
        retry: Retry::HoldAccount { probe: PROBE },
    }
}

fn too_long(bytes: usize) -> Outcome {
    Outcome::Refused {
        code: None,
        category: Category::Content,
        text: format!("the message has {bytes} bytes, and a push message may have {PLAIN_MAX}"),
        retry: Retry::No,
    }
}

impl<S: Subscriptions> Provider for WebPush<S> {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn send<'a>(&'a self, message: &'a Cleared, valid_for: Duration) -> BoxFuture<'a, Outcome> {
        self.post(message, valid_for).boxed()
    }

    /// To the database, which is asked for keys. Push services are many, and their hosts are not known here.
    fn prewarm(&self, connections: usize) -> BoxFuture<'_, ()> {
        match connections {
            0 => future::ready(()).boxed(),
            _ => self.subscriptions.open(),
        }
    }
}
