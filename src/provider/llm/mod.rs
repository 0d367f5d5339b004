//! A language model behind an endpoint with the interface of `OpenAI` (`POST …/chat/completions`). It writes texts
//! before messages are due; it sends nothing, so it is no [`Provider`](super::Provider).
//!
//! One request an answer: nothing is repeated here, because each one may be billed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use url::Url;

use super::http::tidy::tidy;
use super::http::{self, ClientError, retry_after, root, step};
use crate::wording::{Nanos, Prices, Request, Spent, Usage};

mod answer;

pub use answer::Answer;

/// The longest response that is read: an answer has at most a few hundred tokens.
const ANSWER_MAX: usize = 64 * 1024;

/// The path of the one resource that is used, below the URL that is set.
const PATH: &str = "chat/completions";

/// The URL of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlmUrl(Url);

impl FromStr for LlmUrl {
    type Err = &'static str;

    /// That of the API, like `https://openrouter.ai/api/v1`, or of the resource itself.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "the URL of an API like https://openrouter.ai/api/v1, without user, query or fragment";
        let bare = text.trim_end_matches('/');
        let bare = bare.strip_suffix(PATH).unwrap_or(bare);
        let url: Url = format!("{}/", bare.trim_end_matches('/'))
            .parse()
            .map_err(|_| EXPECTED)?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if is_plain {
            Ok(Self(url))
        } else {
            Err(EXPECTED)
        }
    }
}

/// As it is parsed.
impl fmt::Display for LlmUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl LlmUrl {
    /// Its host, for people.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether a key that is sent there crosses a network in the clear.
    pub fn is_readable(&self) -> bool {
        let host = self.host();
        let is_here = host == "localhost" || host == "[::1]" || host.starts_with("127.");
        self.0.scheme() == "http" && !is_here
    }

    fn resource(&self) -> Url {
        // A base ends with a slash, so this cannot fail.
        self.0.join(PATH).unwrap_or_else(|_| self.0.clone())
    }
}

/// The configuration of an endpoint. Every value is valid.
#[derive(Clone, Debug)]
pub struct LlmConfig {
    /// Where it is.
    pub url: LlmUrl,
    /// The model.
    pub model: String,
    /// The key; `None`: it wants none.
    pub key: Option<SecretString>,
    /// The time-out of one request in total, to the last byte of the response.
    pub timeout: Duration,
    /// Requests at once.
    pub concurrency: usize,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LlmFailure {
    /// The key, the account or the model is not accepted: every request would be refused.
    NotAdmitted(String),
    /// This request is not accepted; perhaps no other one is.
    Forbidden(String),
    /// There were too many requests; the pause that it asks for.
    Throttled(Option<Duration>),
    /// It failed, or was not reached; another request may succeed. Whether this one began is not known.
    Unavailable(String),
    /// There was no whole response in time.
    TimedOut,
    /// The response is not an answer. With its tokens, if it names them.
    Unusable(String, Option<Usage>),
}

impl fmt::Display for LlmFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAdmitted(why) => write!(f, "the endpoint refuses this key or model: {why}"),
            Self::Forbidden(why) => write!(f, "the endpoint refuses the request: {why}"),
            Self::Throttled(_) => f.write_str("the endpoint has too many requests"),
            Self::Unavailable(why) => write!(f, "the endpoint is not available: {why}"),
            Self::TimedOut => f.write_str("there was no whole answer in time"),
            Self::Unusable(why, _) => write!(f, "the response is not an answer: {why}"),
        }
    }
}

/// Asks a model.
pub struct Llm {
    client: Client,
    config: LlmConfig,
}

impl Llm {
    /// Builds the client; nothing is connected yet.
    pub fn new(config: LlmConfig) -> Result<Self, ClientError> {
        let tls = http::tls(config.url.0.scheme() == "https")?;
        let client = http::client(tls, config.concurrency, None)?;
        Ok(Self { client, config })
    }

    /// The configuration.
    pub const fn config(&self) -> &LlmConfig {
        &self.config
    }

    /// Asks once, within the time-out or this time, whichever is shorter.
    pub async fn ask(&self, request: &Request, within: Duration) -> Result<Answer, LlmFailure> {
        let call = self.call(request);
        let within = within.min(self.config.timeout);
        timeout(within, call)
            .await
            .unwrap_or(Err(LlmFailure::TimedOut))
    }

    /// What a call has taken: what cannot be known counts in full.
    pub fn spent(
        &self,
        request: &Request,
        asked: &Result<Answer, LlmFailure>,
        prices: Option<Prices>,
        took: Duration,
    ) -> Spent {
        let (usage, is_billed) = match asked {
            Ok(answer) => (answer.usage, true),
            Err(LlmFailure::Unusable(_, usage)) => (*usage, true),
            Err(LlmFailure::TimedOut) => (None, true),
            Err(_) => (None, false),
        };
        let counted = usage.unwrap_or_else(|| Usage::most(request));
        let cost = |prices: Prices| {
            if is_billed {
                prices.cost(counted)
            } else {
                Nanos::default()
            }
        };
        Spent {
            model: self.config.model.clone(),
            cost: prices.map(cost),
            usage,
            took,
        }
    }

    async fn call(&self, request: &Request) -> Result<Answer, LlmFailure> {
        let mut call = self
            .client
            .post(self.config.url.resource())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(request.body(&self.config.model));
        if let Some(key) = &self.config.key {
            call = call.bearer_auth(key.expose_secret());
        }
        let mut response = call.send().await.map_err(|error| {
            LlmFailure::Unavailable(format!("{}: {}", step(&error), root(&error)))
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() {
            return Err(self.refusal(status, &headers, &mut response).await);
        }
        let unusable = |why: &str| LlmFailure::Unusable(why.to_owned(), None);
        if !is_json(&headers) {
            return Err(unusable("it is not JSON"));
        }
        let body = http::whole(&mut response, ANSWER_MAX).await;
        let body = body.map_err(|why| unusable(&why))?;
        answer::parse(&body, request)
            .map_err(|(why, usage)| LlmFailure::Unusable(why.to_owned(), usage))
    }

    async fn refusal(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        response: &mut Response,
    ) -> LlmFailure {
        let body = http::whole(response, ANSWER_MAX).await.unwrap_or_default();
        let said = answer::error(&body).map(|said| self.without_key(&said));
        let why = match said {
            Some(said) => format!("{} ({said})", status.as_u16()),
            None => status.as_u16().to_string(),
        };
        match status {
            StatusCode::TOO_MANY_REQUESTS => LlmFailure::Throttled(retry_after::of(headers)),
            StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::NOT_FOUND => {
                LlmFailure::NotAdmitted(why)
            }
            StatusCode::FORBIDDEN => LlmFailure::Forbidden(why),
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                LlmFailure::Unavailable(why)
            }
            _ => LlmFailure::Unusable(why, None),
        }
    }

    /// A sentence of the endpoint's, which may repeat the key.
    fn without_key(&self, said: &str) -> String {
        let said = match &self.config.key {
            Some(key) => said.replace(key.expose_secret(), "***"),
            None => said.to_owned(),
        };
        tidy(&said)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}
