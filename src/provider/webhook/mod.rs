//! Webhooks: one signed POST of a JSON document to the URL of a message, after
//! [Standard Webhooks](https://www.standardwebhooks.com). `docs/webhook.md` describes it for endpoints.
//!
//! The id of the message is the idempotency key: a request whose outcome is uncertain is repeated with the same id,
//! and the endpoint drops what it has had. `http/endpoint.rs` makes the request, `response` says what a response means.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt as _};
use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::http::ClientError;
use super::http::endpoint::{Answer, Endpoints, refused, unsent};
use super::{Provider, is_of_attempt};
use crate::clock;
use crate::message::{Address, AttemptToken, Capabilities, MessageId, Outcome, ProviderSid};
use crate::policy::Cleared;

mod payload;
mod response;
mod secret;

pub use super::http::guard::{Allowed, AllowedError};
pub use secret::{SecretError, Secrets};

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

/// How the type of a job's message begins (`triggers/job_runs.sql`).
const JOB: &str = "job:";

/// For the answer to a job to be kept, at most; half of the time-out of a request, if that is shorter: a claim is
/// held for one request.
const KEEP_WITHIN: Duration = Duration::from_secs(5);

/// What an endpoint has answered to a job that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobAnswer {
    /// The status: 202 says that it goes on with it.
    pub status: u16,
    /// What it says, or why that could not be read.
    pub text: String,
    /// Whether it is all of it.
    pub is_whole: bool,
}

/// Keeps the answers to jobs.
pub trait JobAnswers: Send + Sync + 'static {
    /// Keeps one. The error says why it is not known to be kept.
    fn keep<'a>(
        &'a self,
        message: MessageId,
        answer: &'a JobAnswer,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// Calls endpoints.
pub struct Webhook {
    endpoints: Endpoints,
    secrets: Secrets,
    send_timeout: Duration,
    /// `None`: jobs are webhooks like any others.
    answers: Option<Arc<dyn JobAnswers>>,
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
        let endpoints = Endpoints::new(&config.allowed, config.max_in_flight)?;
        Ok(Self {
            endpoints,
            secrets: config.secrets.clone(),
            send_timeout: config.send_timeout,
            answers: None,
        })
    }

    /// The same, and what is answered to jobs is kept there.
    #[must_use]
    pub fn with_answers(self, answers: Arc<dyn JobAnswers>) -> Self {
        Self {
            answers: Some(answers),
            ..self
        }
    }

    async fn post(&self, message: &Cleared) -> Outcome {
        let to = message.to();
        if !matches!(to, Address::Url(_)) {
            return unsent("it is not a webhook");
        }
        let Ok(url) = to.as_str().parse::<Url>() else {
            return refused("its URL is not valid");
        };
        let (request, body) = self.request(url, message);
        let keep = match self.keeper(message) {
            Some(_) => KEEP_WITHIN.min(self.send_timeout / 2),
            None => Duration::ZERO,
        };
        let patience = self.send_timeout.saturating_sub(keep);
        match self.endpoints.post(&request, body, patience).await {
            Ok(answer) => match self.keep(message, &answer, keep).await {
                Ok(()) => {
                    response::outcome(answer.status, answer.retry_after, sid(message.token()))
                }
                Err(reason) => Outcome::Unknown { reason },
            },
            Err(outcome) => outcome,
        }
    }

    /// What keeps the answer, if it is that to a job.
    fn keeper(&self, message: &Cleared) -> Option<&Arc<dyn JobAnswers>> {
        let kind = message.about().message_type.as_deref();
        let is_job = kind.is_some_and(|kind| kind.starts_with(JOB));
        self.answers.as_ref().filter(|_| is_job)
    }

    /// Keeps the answer to a job before its message counts as sent. If that fails, the request is repeated.
    async fn keep(
        &self,
        message: &Cleared,
        answer: &Answer,
        within: Duration,
    ) -> Result<(), String> {
        let (Some(answers), 200..=299) = (self.keeper(message), answer.status) else {
            return Ok(());
        };
        let (text, is_whole) = match &answer.body {
            Ok(body) => (String::from_utf8_lossy(body).into_owned(), true),
            Err(why) => (why.clone(), false),
        };
        let kept = JobAnswer {
            status: answer.status,
            text,
            is_whole,
        };
        let done = answers.keep(message.id(), &kept, within).await;
        done.map_err(|why| format!("the answer to the job could not be kept: {why}"))
    }

    /// The request for a message without its body, and the body.
    fn request(&self, url: Url, message: &Cleared) -> (Request, Vec<u8>) {
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
        (template, body)
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
