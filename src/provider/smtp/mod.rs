//! E-mail: one message by SMTP (RFC 5321) to the server of the settings. `docs/email.md` describes it.
//!
//! SMTP has no idempotency key and no look-up. Its dividing line is the end of the content, a line with a dot: before
//! that the server has accepted nothing, and after it only its response says whether it has. `connection` knows on
//! which side a failure is, `response` what a response means, `content` what is sent.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt as _};
use rustls::ClientConfig;
use secrecy::SecretString;
use tokio::sync::OwnedSemaphorePermit;

use super::http::{self, ClientError, deadline};
use super::{Provider, is_of_attempt};
use crate::message::{Address, AttemptToken, Capabilities, Outcome, ProviderSid};
use crate::policy::Cleared;

mod connection;
mod content;
mod pool;
mod quoted;
mod response;
mod server;
mod stream;

pub use content::{Mailbox, MailboxError, UnsubscribeUrl, UnsubscribeUrlError};
pub use server::{Server, ServerError};

use connection::{Connection, Failure, Place};
use pool::{CONNECTIONS, Next, Pool};

/// The capabilities of e-mail.
pub const CAPABILITIES: Capabilities = Capabilities {
    max_in_flight: CONNECTIONS,
    media: true,
    max_chars: 1_000_000,
    ..Capabilities::SENDS_ONLY
};

/// The configuration of e-mail. Every value is valid.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// The SMTP server.
    pub server: Server,
    /// The user name and password to log in with; `None`: the server wants none.
    pub login: Option<(String, SecretString)>,
    /// The sender of messages that name none.
    pub from: Mailbox,
    /// Where recipients can unsubscribe.
    pub unsubscribe_url: Option<UnsubscribeUrl>,
    /// The time-out of one message in total.
    pub send_timeout: Duration,
}

/// Sends e-mail.
pub struct Smtp {
    config: SmtpConfig,
    tls: Arc<ClientConfig>,
    pool: Pool,
}

/// The prefix of every sid.
const SID: &str = "EM";

/// The name of an acceptance: of the attempt, as the `Message-ID` has it. What servers return has no fixed form.
fn sid(token: AttemptToken) -> ProviderSid {
    ProviderSid(format!("{SID}{}", token.0.simple()))
}

/// Whether a text has the form of an e-mail's sid.
pub fn is_message_sid(text: &str) -> bool {
    is_of_attempt(SID, text)
}

impl Smtp {
    /// Nothing is connected yet.
    pub fn new(config: &SmtpConfig) -> Result<Self, ClientError> {
        let mut tls = http::tls(config.server.has_tls())?;
        tls.alpn_protocols.clear();
        Ok(Self {
            config: config.clone(),
            tls: Arc::new(tls),
            pool: Pool::default(),
        })
    }

    /// Whether the server accepts a connection and the login, for `punctual doctor`.
    pub async fn check(&self) -> Result<(), String> {
        let opened = async { self.open(self.pool.permit().await).await };
        match deadline::within(self.config.send_timeout, pin!(opened)).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(failure)) => Err(failure.to_string()),
            None => Err("it does not respond".to_owned()),
        }
    }

    async fn open(&self, permit: OwnedSemaphorePermit) -> Result<Connection, Failure> {
        let login = self.config.login.as_ref();
        let name = self.config.from.domain();
        Connection::open(&self.config.server, &self.tls, login, name, permit).await
    }

    async fn post(&self, message: &Cleared) -> Outcome {
        let Address::Email(to) = message.to() else {
            return Outcome::Unsent {
                reason: "it is not an e-mail".to_owned(),
            };
        };
        let sid = sid(message.token());
        let mail = match content::of(message, to, &self.config, &sid.0) {
            Ok(mail) => mail,
            Err(refused) => return refused,
        };
        // Known also if the time is over.
        let place = Place::default();
        let call = async {
            let mut next = self.pool.next().await;
            loop {
                let (is_new, mut connection) = match next {
                    Next::Unused(connection) => (false, connection),
                    Next::Permit(permit) => (true, Box::new(self.open(permit).await?)),
                };
                let done = match connection.begin(&mail).await {
                    Ok(()) => connection.finish(&mail, &place).await,
                    // The server has closed it, or does so now. Nothing of the message was sent by it.
                    Err(failure) if !is_new && failure.is_of_connection() => {
                        drop(connection);
                        next = Next::Permit(self.pool.permit().await);
                        continue;
                    }
                    Err(failure) => Err(failure),
                };
                let is_over = |why: &Failure| why.is_of_connection();
                if !connection.is_worn() && !done.as_ref().is_err_and(is_over) {
                    self.pool.keep(*connection);
                }
                return done;
            }
        };
        match deadline::within(self.config.send_timeout, pin!(call)).await {
            Some(Ok(())) => Outcome::Accepted { sid },
            Some(Err(Failure::Refused { at, code, text })) => response::outcome(at, code, &text),
            Some(Err(failure)) => place.outcome(&failure.to_string()),
            None => place.outcome("timed out"),
        }
    }
}

impl Provider for Smtp {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn send<'a>(&'a self, message: &'a Cleared, _: Duration) -> BoxFuture<'a, Outcome> {
        self.post(message).boxed()
    }

    fn prewarm(&self, connections: usize) -> BoxFuture<'_, ()> {
        async move {
            let each = self
                .pool
                .missing(connections)
                .into_iter()
                .map(|permit| async move {
                    let opened =
                        deadline::within(self.config.send_timeout, self.open(permit)).await;
                    if let Some(Ok(connection)) = opened {
                        self.pool.keep(connection);
                    }
                });
            future::join_all(each).await;
        }
        .boxed()
    }
}
