//! A GSM modem by AT commands, on a serial port or behind a TCP server. `docs/modem.md` describes it.
//!
//! A modem has no idempotency key and no list of what it sent, so a message without an answer after its last byte stays
//! uncertain; before that byte it is certainly not sent. The `driver` owns the connection and sends one message at a
//! time; `session` speaks to the modem, `setup` prepares it, `pdu` has the messages' form, `codes` the meaning of
//! errors and reports, `reports` finds the
//! message that a report is about, of those that this process has sent, and `segment` of any other.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot};

use self::driver::{Driver, DriverRequest, Job};
use super::http::deadline;
use super::latch::Latch;
use super::{Heard, Provider};
use crate::message::{Capabilities, Category, Outcome, Retry, Sender};
use crate::policy::Cleared;

mod at;
mod codes;
mod driver;
mod inbound;
mod pdu;
mod port;
mod replies;
mod reports;
mod segment;
mod session;
mod setup;

pub use port::{Port, PortError};
pub use reports::is_message_sid;
pub use segment::{SegmentReport, segments, with_arrived};
pub use setup::{Inspection, inspect};

/// The capabilities of a modem.
pub const CAPABILITIES: Capabilities = Capabilities {
    receipts: true,
    max_chars: 1600,
    max_in_flight: 1,
    ..Capabilities::SENDS_ONLY
};

/// The configuration of a modem. Every value is valid.
#[derive(Clone, Debug)]
pub struct ModemConfig {
    /// The account's name, for the ids of messages.
    pub account: String,
    /// Where it is.
    pub port: Port,
    /// The PIN of its SIM, if it wants one.
    pub pin: Option<SecretString>,
    /// The sender of its messages: the SIM's number, whatever the modem knows of it.
    pub sender: Sender,
    /// The time-out of one message in total.
    pub send_timeout: Duration,
}

/// Sends by a modem.
pub struct Modem {
    config: ModemConfig,
    asks: mpsc::Sender<DriverRequest>,
    /// The driver's end, until it runs.
    asked: Mutex<Option<mpsc::Receiver<DriverRequest>>>,
}

impl Modem {
    /// Nothing is connected yet.
    pub fn new(config: ModemConfig) -> Self {
        // One message, and the call to prepare for the next ones.
        let (asks, asked) = mpsc::channel(2);
        Self {
            config,
            asks,
            asked: Mutex::new(Some(asked)),
        }
    }

    async fn text(&self, message: &Cleared, valid_for: Duration) -> Outcome {
        let (Some(to), Some(from)) = (message.to().phone(), message.from()) else {
            let reason = "it is not a text message".into();
            return Outcome::Unsent { reason };
        };
        if *from != self.config.sender {
            return Outcome::Refused {
                code: None,
                category: Category::SenderIssue,
                text: "a modem sends from the number of its SIM, and the row names another sender"
                    .into(),
                retry: Retry::No,
            };
        }
        let (reply, answer) = oneshot::channel();
        let latch = Latch::default();
        let job = Job {
            message: message.id(),
            token: message.token(),
            to: to.clone(),
            text: message.body().to_owned(),
            valid_for,
            latch: latch.clone(),
            reply,
        };
        let call = async {
            self.asks
                .send(DriverRequest::Send(Box::new(job)))
                .await
                .ok()?;
            answer.await.ok()
        };
        let outcome = deadline::within(self.config.send_timeout, call).await;
        match outcome.flatten() {
            Some(outcome) => outcome,
            None if latch.withdraw() => Outcome::Unsent {
                reason: "the modem was not ready in time".into(),
            },
            None => Outcome::Unknown {
                reason: "no answer to the message in time".into(),
            },
        }
    }
}

impl Provider for Modem {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn send<'a>(&'a self, message: &'a Cleared, valid_for: Duration) -> BoxFuture<'a, Outcome> {
        self.text(message, valid_for).boxed()
    }

    /// Checks that the modem is in a network.
    fn prewarm(&self, _: usize) -> BoxFuture<'_, ()> {
        // If it is busy, it is in one.
        let _ = self.asks.try_send(DriverRequest::Prepare);
        std::future::ready(()).boxed()
    }

    fn listen(&self, heard: mpsc::Sender<Heard>) -> Option<BoxFuture<'static, ()>> {
        let asked = self
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        Some(Driver::new(self.config.clone(), asked, heard).run().boxed())
    }
}
