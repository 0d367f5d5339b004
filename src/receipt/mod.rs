//! Twilio's callbacks: the way back of a message.
//!
//! What comes in is checked ([`signature`]), understood ([`status`]), and merged into how the
//! message stands by now ([`mod@merge`]), which the [`store`](crate::store::receipts) does in one
//! transaction. A callback often overtakes our own record of the request it is about, and
//! carries the attempt's token: it is the only exact proof where a request ended in doubt.

pub mod doubt;
pub mod enquire;
pub mod examine;
pub mod held;
pub mod merge;
pub mod opt_out;
pub mod signature;
pub mod status;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span};
use url::form_urlencoded;
use uuid::Uuid;

use self::merge::{Word, merge};
use self::opt_out::Wish;
use self::signature::{Forged, Request, Verifier};
use self::status::Reached;
use crate::clock::Clock;
use crate::message::{AttemptToken, MessageId, ProviderSid, Status};
use crate::metrics::span::{self, Step};
use crate::metrics::{Counter, Metrics};
use crate::policy::Rules;
use crate::store::receipts::{About, Callback, Change, Received};
use crate::store::{Store, StoreError};

/// Where status callbacks come, below the public URL.
pub const STATUS_PATH: &str = "/webhooks/twilio/status";

/// Where replies come, below the public URL.
pub const INBOUND_PATH: &str = "/webhooks/twilio/inbound";

/// Callbacks recorded at once. Each holds a connection of the pool, which has as many more for
/// them: a flood of callbacks takes none that claims and records need.
pub const AT_ONCE: usize = 2;

/// Until a callback is recorded, its turn included: well within the 15 s after which Twilio
/// gives up, so that it hears from us that it should come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest sid taken. Twilio's have 34 characters.
const SID_MAX: usize = 64;

/// Where callbacks come together.
#[derive(Clone)]
pub struct Webhooks {
    verifier: Verifier,
    store: Store,
    clock: Arc<Clock>,
    metrics: Arc<Metrics>,
    turn: Arc<Semaphore>,
    max_lateness: Duration,
}

/// Why a callback was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Untaken {
    /// Not Twilio's.
    #[error(transparent)]
    Forged(#[from] Forged),
    /// Twilio's, and not what a callback has.
    #[error("{0}")]
    Malformed(&'static str),
    /// Other callbacks took too long, or the database did.
    #[error("it could not be recorded in time")]
    Late,
    /// The database is away, or somebody holds the message.
    #[error("it could not be recorded")]
    Store(#[from] StoreError),
}

impl Webhooks {
    /// Takes what `verifier` lets in, records it in `store` and tells `metrics` of it.
    pub fn new(verifier: Verifier, store: Store, clock: Arc<Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            verifier,
            store,
            clock,
            metrics,
            turn: Arc::new(Semaphore::new(AT_ONCE)),
            max_lateness: Rules::default().max_lateness,
        }
    }

    /// The same where a message is worth nothing after another lateness.
    #[must_use]
    pub fn with_max_lateness(self, max_lateness: Duration) -> Self {
        Self {
            max_lateness,
            ..self
        }
    }

    /// A status callback. `Ok`: whatever there was to do is done, and Twilio need not come
    /// again.
    pub async fn status(&self, request: &Request<'_>) -> Result<(), Untaken> {
        self.verifier.verify(request)?;
        let told = read(request)?;
        let Some(reached) = Reached::parse(&told.status) else {
            tracing::warn!(
                status = told.status,
                "Twilio reports a status this version does not know; it is ignored"
            );
            return Ok(());
        };
        let word = Word {
            reached,
            code: told.code,
        };
        let callback = told.callback(reached);
        let recorded = async {
            // Never closed.
            let _turn = self.turn.acquire().await;
            let receive = self.store.receive(&callback, |standing| {
                merge(standing, word, self.max_lateness)
            });
            self.store.within(PATIENCE, receive).await
        };
        let following = match callback.about {
            About::Attempt { message, token } => span::of(Step::Receipt, message, token),
            About::Sid => Span::none(),
        };
        let received = tokio::time::timeout(PATIENCE, recorded)
            .instrument(following)
            .await
            .map_err(|_| Untaken::Late)??;
        log(received, &callback);
        if let Received::Known { message, .. } = received {
            let now = self.clock.now().db;
            let (status, code) = (callback.reached, callback.code);
            self.metrics.receipt(now, message, status, code);
        }
        Ok(())
    }

    /// A callback was not taken.
    pub fn refused(&self) {
        self.metrics.count(Counter::CallbacksRefused, 1);
    }

    /// A reply. Only the words that end or resume messages are acted on.
    pub async fn inbound(&self, request: &Request<'_>) -> Result<(), Untaken> {
        self.verifier.verify(request)?;
        let reply = Reply::read(request)?;
        let Some(wish) = reply.wish else {
            return Ok(());
        };
        let ours: Vec<&str> = reply.ours.iter().map(String::as_str).collect();
        let recorded = async {
            // Never closed.
            let _turn = self.turn.acquire().await;
            match wish {
                Wish::Stop => {
                    let reason = "recipient opted out (STOP)";
                    let opt_out = self.store.opt_out(&ours, &reply.theirs, reason);
                    self.store.within(PATIENCE, opt_out).await
                }
                Wish::Start => {
                    let opt_in = self.store.opt_in(&ours, &reply.theirs);
                    self.store.within(PATIENCE, opt_in).await.map(|()| 0)
                }
            }
        };
        let cancelled = tokio::time::timeout(PATIENCE, recorded)
            .await
            .map_err(|_| Untaken::Late)??;
        tracing::info!(?wish, cancelled, "a recipient opted out or in again");
        Ok(())
    }
}

/// A reply, as far as it matters here.
struct Reply {
    /// The number it was sent to, and the messaging service that has it: rows may name either.
    ours: Vec<String>,
    theirs: String,
    wish: Option<Wish>,
}

impl Reply {
    fn read(request: &Request<'_>) -> Result<Self, Untaken> {
        let (mut from, mut to, mut service, mut body) = (None, None, None, String::new());
        for (name, value) in form_urlencoded::parse(request.body) {
            match name.as_ref() {
                "From" => from = Some(value.into_owned()),
                "To" => to = Some(value.into_owned()),
                "MessagingServiceSid" => service = Some(value.into_owned()),
                "Body" => body = value.into_owned(),
                _ => {}
            }
        }
        let there = |number: Option<String>| number.filter(|n| !n.trim().is_empty());
        let to = there(to).ok_or(Untaken::Malformed("a reply has a To"))?;
        Ok(Self {
            ours: std::iter::once(to).chain(there(service)).collect(),
            theirs: there(from).ok_or(Untaken::Malformed("a reply has a From"))?,
            wish: opt_out::wish(&body),
        })
    }
}

/// What a callback says, as far as it matters here.
struct Told {
    about: About,
    sid: ProviderSid,
    status: String,
    code: Option<i32>,
    from: Option<String>,
    to: Option<String>,
}

impl Told {
    fn callback(self, reached: Reached) -> Callback {
        Callback {
            about: self.about,
            sid: self.sid,
            reached: reached.as_str(),
            code: self.code,
            terminal: reached.is_terminal(),
            error: reached.failure(self.code),
            opted_out: reached.is_opt_out(self.code),
            from: self.from,
            to: self.to,
        }
    }
}

fn read(request: &Request<'_>) -> Result<Told, Untaken> {
    let (mut sid, mut status, mut code, mut from, mut to) = (None, None, None, None, None);
    for (name, value) in form_urlencoded::parse(request.body) {
        let slot = match name.as_ref() {
            "MessageSid" => &mut sid,
            "MessageStatus" => &mut status,
            "ErrorCode" => &mut code,
            "From" => &mut from,
            "To" => &mut to,
            _ => continue,
        };
        *slot = Some(value.into_owned()).filter(|v| !v.is_empty());
    }
    let sid = sid
        .filter(|s| s.len() <= SID_MAX && s.bytes().all(|b| b.is_ascii_alphanumeric()))
        .ok_or(Untaken::Malformed("a callback has a MessageSid"))?;
    Ok(Told {
        about: about(request.path_and_query)?,
        sid: ProviderSid(sid),
        status: status.ok_or(Untaken::Malformed("a callback has a MessageStatus"))?,
        code: code.and_then(|c| c.parse().ok()),
        from,
        to,
    })
}

/// By the ids we gave along; a callback that was configured elsewhere (a messaging service's
/// own) has none and is told by its sid.
fn about(path_and_query: &str) -> Result<About, Untaken> {
    let query = path_and_query
        .split_once('?')
        .map_or("", |(_, query)| query);
    let (mut message, mut token) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match name.as_ref() {
            "message" => &mut message,
            "token" => &mut token,
            _ => continue,
        };
        let id: Uuid = value
            .parse()
            .map_err(|_| Untaken::Malformed("message and token are UUIDs"))?;
        *slot = Some(id);
    }
    match (message, token) {
        (Some(message), Some(token)) => Ok(About::Attempt {
            message: MessageId(message),
            token: AttemptToken(token),
        }),
        (None, None) => Ok(About::Sid),
        _ => Err(Untaken::Malformed("message and token belong together")),
    }
}

fn log(received: Received, callback: &Callback) {
    let (status, sid) = (callback.reached, callback.sid.0.as_str());
    match received {
        Received::Unknown => {
            let (message, token) = match callback.about {
                About::Attempt { message, token } => (Some(message.0), Some(token.0)),
                About::Sid => (None, None),
            };
            tracing::warn!(
                ?message,
                ?token,
                sid,
                status,
                "a callback about a message that is not known here; it is ignored"
            );
        }
        Received::Known { message, change } => match change {
            Change::Nothing => {
                tracing::debug!(message.id = %message, status, "a callback told nothing new");
            }
            Change::Advance { row, .. } => {
                let row = row.map(Status::as_str);
                tracing::info!(message.id = %message, status, row, code = callback.code, "receipt");
            }
            Change::Contradiction => tracing::warn!(
                message.id = %message,
                sid,
                status,
                "a callback contradicts what is recorded; the first word stays, this one is kept \
                 in punctual.receipts"
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path_and_query: &str, body: &str, expected: Result<bool, &str>) {
        let request = Request {
            path_and_query,
            content_type: None,
            signature: None,
            body: body.as_bytes(),
        };
        let got = read(&request)
            .map(|told| matches!(told.about, About::Attempt { .. }))
            .map_err(|why| why.to_string());
        assert_eq!(
            got,
            expected.map_err(str::to_owned),
            "{path_and_query} {body}"
        );
    }

    #[test]
    fn what_a_callback_has() {
        let ids = "/s?message=00000000-0000-0000-0000-000000000001\
                   &token=00000000-0000-0000-0000-000000000002";
        let good = "MessageSid=SM1&MessageStatus=sent&ErrorCode=";
        check(ids, good, Ok(true));
        check("/s", good, Ok(false));
        check("/s?x=1", good, Ok(false));
        check(
            "/s?message=1&token=2",
            good,
            Err("message and token are UUIDs"),
        );
        check(&ids[..48], good, Err("message and token belong together"));
        check(ids, "MessageSid=SM1", Err("a callback has a MessageStatus"));
        check(
            ids,
            "MessageStatus=sent",
            Err("a callback has a MessageSid"),
        );
        check(
            ids,
            "MessageSid=S%27&MessageStatus=sent",
            Err("a callback has a MessageSid"),
        );
        check(ids, "\u{0}\u{1}", Err("a callback has a MessageSid"));
    }
}
