//! The way back of a message: what its provider reports by itself, and what it says when it is asked.
//!
//! A callback is read by the provider's [`Callbacks`], merged into how the message stands by now
//! ([`crate::proof`], in the [`store`](crate::store::receipts)'s transaction), and answered. It
//! often overtakes our own record of the request it is about, and carries the attempt's token: it
//! is the only exact proof where a request ended without an answer.

pub mod enquire;
pub mod examine;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span};

use crate::clock::Clock;
use crate::message::Status;
use crate::metrics::span::{self, Step};
use crate::metrics::{Counter, Metrics};
use crate::policy::Rules;
use crate::proof::{About, Change, Report};
use crate::provider::{BadCallback, Callback, CallbackRequest, Callbacks, OptCommand, OptOut};
use crate::store::receipts::Received;
use crate::store::{Store, StoreError};

/// Callbacks recorded at once. Each holds a connection of the pool, which has as many more for
/// them: a flood of callbacks takes none that claims and records need.
pub const AT_ONCE: usize = 2;

/// Until a callback is recorded, its turn included: well within the 15 s after which a provider may
/// give up, so that it hears from us that it should come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where callbacks come together.
#[derive(Clone)]
pub struct Webhooks {
    callbacks: Arc<dyn Callbacks>,
    store: Store,
    clock: Arc<Clock>,
    metrics: Arc<Metrics>,
    turn: Arc<Semaphore>,
    max_lateness: Duration,
}

/// Why a callback was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CallbackRejected {
    /// It is not a callback of the provider's.
    #[error(transparent)]
    Bad(#[from] BadCallback),
    /// Other callbacks took too long, or the database did.
    #[error("it could not be recorded in time")]
    Late,
    /// The database is away, or somebody holds the message.
    #[error("it could not be recorded")]
    Store(#[from] StoreError),
}

impl Webhooks {
    /// Takes what `callbacks` reads, records it in `store` and tells `metrics` of it.
    pub fn new(
        callbacks: Arc<dyn Callbacks>,
        store: Store,
        clock: Arc<Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            callbacks,
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

    /// Where callbacks come, below the public URL.
    pub fn paths(&self) -> &'static [&'static str] {
        self.callbacks.paths()
    }

    /// A request to one of the paths. `Ok`: whatever there was to do is done, and the provider need
    /// not come again.
    pub async fn take(&self, request: &CallbackRequest<'_>) -> Result<(), CallbackRejected> {
        match self.callbacks.read(request)? {
            Callback::Report(report) => self.report(&report).await,
            Callback::Opt(opt) => self.opt(&opt).await,
            Callback::Nothing => Ok(()),
        }
    }

    /// A callback was not taken.
    pub fn refused(&self) {
        self.metrics.count(Counter::CallbacksRefused, 1);
    }

    async fn report(&self, report: &Report) -> Result<(), CallbackRejected> {
        let recorded = async {
            // Never closed.
            let _turn = self.turn.acquire().await;
            self.store.within(PATIENCE, self.merge(report)).await
        };
        let following = match report.about {
            About::Attempt { message, token } => span::of(Step::Receipt, message, token),
            About::Sid => Span::none(),
        };
        let received = tokio::time::timeout(PATIENCE, recorded)
            .instrument(following)
            .await
            .map_err(|_| CallbackRejected::Late)??;
        log(received, report);
        if let Received::Known { message, .. } = received {
            let now = self.clock.now().db;
            let (word, code) = (report.status.word, report.status.code);
            self.metrics.receipt(now, message, word, code);
        }
        Ok(())
    }

    async fn merge(&self, report: &Report) -> Result<Received, StoreError> {
        let one = std::slice::from_ref(report);
        let received = self.store.receive(one, self.max_lateness).await?;
        match received.first().copied() {
            Some(Received::Locked { message, token }) => {
                let of = (message, token);
                self.store
                    .receive_alone(report, of, self.max_lateness)
                    .await
            }
            received => Ok(received.unwrap_or(Received::Unknown)),
        }
    }

    async fn opt(&self, opt: &OptOut) -> Result<(), CallbackRejected> {
        let ours: Vec<&str> = opt.ours.iter().map(String::as_str).collect();
        let recorded = async {
            // Never closed.
            let _turn = self.turn.acquire().await;
            match opt.command {
                OptCommand::Stop => {
                    let reason = "recipient opted out (STOP)";
                    let opt_out = self.store.opt_out(&ours, &opt.theirs, reason);
                    self.store.within(PATIENCE, opt_out).await
                }
                OptCommand::Start => {
                    let opt_in = self.store.opt_in(&ours, &opt.theirs);
                    self.store.within(PATIENCE, opt_in).await.map(|()| 0)
                }
            }
        };
        let cancelled = tokio::time::timeout(PATIENCE, recorded)
            .await
            .map_err(|_| CallbackRejected::Late)??;
        let command = opt.command;
        tracing::info!(?command, cancelled, "a recipient opted out or in again");
        Ok(())
    }
}

fn log(received: Received, report: &Report) {
    let (status, sid) = (report.status.word, report.sid.0.as_str());
    match received {
        Received::Unknown => {
            let (message, token) = match report.about {
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
        Received::Locked { message, .. } => {
            tracing::debug!(message.id = %message, status, "somebody holds what a callback is about");
        }
        Received::Known { message, change } => match change {
            Change::Nothing => {
                tracing::debug!(message.id = %message, status, "a callback told nothing new");
            }
            Change::Advance { row, .. } => {
                let (row, code) = (row.map(Status::as_str), report.status.code);
                tracing::info!(message.id = %message, status, row, code, "receipt");
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
