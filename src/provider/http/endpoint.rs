//! One request to a URL that a row has, of webhooks and push messages: only to an address that is allowed, and with the
//! proof of what was not sent.

use std::error::Error as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Request};

use super::guard::{Allowed, NotAllowed, Resolver};
use super::handoff::Handoff;
use super::{ClientError, NOT_BEGUN, deadline, retry_after, root, step, whole, with_body};
use crate::message::{Category, Outcome, Retry};

/// The longest response that is read: what it says is used of jobs alone, but a connection whose response was read can
/// be used again.
const ANSWER_MAX: usize = 16 * 1024;

/// What of a response counts.
pub(in crate::provider) struct Answer {
    pub(in crate::provider) status: u16,
    pub(in crate::provider) retry_after: Option<Duration>,
    /// What it says, or why it could not be read.
    pub(in crate::provider) body: Result<Vec<u8>, String>,
}

/// Makes such requests.
pub(in crate::provider) struct Endpoints {
    client: Client,
    allowed: Arc<Allowed>,
}

impl Endpoints {
    /// Builds the client; nothing is connected yet.
    pub(in crate::provider) fn new(
        allowed: &Allowed,
        max_in_flight: NonZeroUsize,
    ) -> Result<Self, ClientError> {
        let allowed = Arc::new(allowed.clone());
        let resolver = Resolver(Arc::clone(&allowed));
        let client = super::client(
            super::tls(true)?,
            max_in_flight.get(),
            Some(Arc::new(resolver)),
        )?;
        Ok(Self { client, allowed })
    }

    /// Posts this body with the headers of the template, within this time. `Err`: there is no response, and what that
    /// means.
    pub(in crate::provider) async fn post(
        &self,
        template: &Request,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Answer, Outcome> {
        if let Err(why) = self.allowed.check(template.url()) {
            return Err(refused(&why.to_string()));
        }
        let (handoff, body) = Handoff::of(body);
        let request = with_body(template, body);
        let mut answer = None;
        let call = async {
            let mut response = self.client.execute(request).await?;
            answer = Some(Answer {
                status: response.status().as_u16(),
                retry_after: retry_after::of(response.headers()),
                body: Err("the response did not end in time".to_owned()),
            });
            // The status decides: what follows it may break off or never end.
            let body = whole(&mut response, ANSWER_MAX).await;
            if let Some(answer) = &mut answer {
                answer.body = body;
            }
            Ok(())
        };
        let ended = deadline::within(within, call).await;
        if let Some(answer) = answer {
            return Ok(answer);
        }
        let (step, cause) = match ended {
            Some(Err(error)) => match not_allowed(&error) {
                Some(why) => return Err(refused(&why.to_string())),
                None => (step(&error), root(&error)),
            },
            Some(Ok(())) | None => (NOT_BEGUN, "timed out".to_owned()),
        };
        Err(if handoff.withdraw() {
            unsent(&format!("{step}: {cause}"))
        } else {
            Outcome::Unknown {
                reason: format!("no response to the request: {cause}"),
            }
        })
    }
}

/// Whether the resolver found no address that is allowed.
fn not_allowed(error: &reqwest::Error) -> Option<NotAllowed> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(why) = inner.downcast_ref::<NotAllowed>() {
            return Some(*why);
        }
        cause = inner.source();
    }
    None
}

/// Nothing was sent.
pub(in crate::provider) fn unsent(reason: &str) -> Outcome {
    Outcome::Unsent {
        reason: reason.to_owned(),
    }
}

/// It would be refused again, because of where it is to go.
pub(in crate::provider) fn refused(text: &str) -> Outcome {
    Outcome::Refused {
        code: None,
        category: Category::InvalidNumber,
        text: text.to_owned(),
        retry: Retry::No,
    }
}
