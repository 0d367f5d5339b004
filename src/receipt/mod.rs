//! What happened to a message after its request: the provider's callbacks and look-ups.
//!
//! A callback is parsed by the provider's [`Callbacks`], merged into the current state of the message
//! ([`crate::proof`], in the [`store`](crate::store::receipts)'s transaction), and acknowledged. It
//! often arrives before the outcome of its request is recorded. It has the attempt's token, so it is
//! the only exact proof if a request ended without a response. What a provider receives without HTTP goes the same way
//! (`heard`).

mod groups;
mod heard;
mod inbox;
pub mod look_up;
pub mod reconcile;
mod segments;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};

use self::inbox::Inbox;
use crate::clock::{Clock, Stopwatch};
use crate::limits::daemon::ReceiptLimits;
use crate::message::{Parties, Status};
use crate::metrics::span::{self, Step};
use crate::metrics::{Counter, Metrics};
use crate::policy::{Cleared, Rules};
use crate::proof::{About, Change, Report};
use crate::provider::{
    BadCallback, Callback, CallbackRequest, Callbacks, OptCommand, OptOut, Reply,
};
use crate::reactor;
use crate::store::receipts::{NewReply, Received};
use crate::store::{Store, StoreError};

/// Connections that callbacks need: one for the groups, one for single writes. The pool is larger by this
/// number, so that a flood of callbacks takes no connection that claims and records need.
pub const AT_ONCE: usize = 2;

/// The inputs of the reactor.
type Input = reactor::Input<Arc<Cleared>>;

/// Handles callbacks.
#[derive(Clone)]
pub struct CallbackHandler {
    callbacks: Arc<[Arc<dyn Callbacks>]>,
    store: Store,
    clock: Arc<Clock>,
    metrics: Arc<Metrics>,
    inbox: Arc<Inbox>,
    /// To the reactor, what concerns other messages too.
    inputs: Option<mpsc::Sender<Input>>,
    /// The answer to who asks for help.
    help: Option<Arc<str>>,
    /// Runs since what earlier processes left is recorded; unset until then.
    recovered: Arc<OnceLock<Stopwatch>>,
}

/// Why a callback was rejected.
#[derive(Debug, thiserror::Error)]
pub enum CallbackRejected {
    /// It is not a callback of the provider.
    #[error(transparent)]
    Bad(#[from] BadCallback),
    /// Other callbacks or the database took too long.
    #[error("it could not be recorded in time")]
    Late,
    /// The database is away, or the message is locked. Many callbacks may share one error.
    #[error("it could not be recorded")]
    Store(#[source] Arc<StoreError>),
    /// It is about no message that is recorded, and others are being recorded.
    #[error("it is about no message that is recorded yet")]
    NotYet,
}

impl CallbackHandler {
    /// A handler that parses with `callbacks`, of each account, records in `store` and counts in `metrics`.
    pub fn new(
        callbacks: Vec<Arc<dyn Callbacks>>,
        store: Store,
        clock: Arc<Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let inbox = Arc::new(Inbox::new(
            store.clone(),
            Rules::default().max_lateness,
            ReceiptLimits::default(),
        ));
        Self {
            callbacks: callbacks.into(),
            store,
            clock,
            metrics,
            inbox,
            inputs: None,
            help: None,
            recovered: Arc::default(),
        }
    }

    /// The same, and the reactor hears of limits that a report names.
    #[must_use]
    pub fn with_inputs(self, inputs: mpsc::Sender<Input>) -> Self {
        let inputs = Some(inputs);
        Self { inputs, ..self }
    }

    /// The same, and who asks for help is answered with this text, where the provider does not answer.
    #[must_use]
    pub fn with_help(self, help: Option<Arc<str>>) -> Self {
        Self { help, ..self }
    }

    /// The same with another allowed lateness, and other limits.
    #[must_use]
    pub fn with(self, max_lateness: Duration, limits: ReceiptLimits) -> Self {
        let inbox = Arc::new(Inbox::new(self.store.clone(), max_lateness, limits));
        Self { inbox, ..self }
    }

    /// Notifies it that what earlier processes left is recorded: no attempt of theirs becomes known any more.
    pub fn when_recovered(&self) -> impl FnOnce() + Send + use<> {
        let recovered = Arc::clone(&self.recovered);
        move || {
            let _ = recovered.set(Stopwatch::start());
        }
    }

    /// The paths of the callbacks, below the public URL.
    pub fn paths(&self) -> Vec<String> {
        self.callbacks.iter().flat_map(|of| of.paths()).collect()
    }

    /// Whose callback this is: that of one account is verified and parsed by no other.
    fn of(&self, request: &CallbackRequest<'_>) -> Result<&dyn Callbacks, BadCallback> {
        let path = request.path();
        let is_its = |of: &&Arc<dyn Callbacks>| of.paths().iter().any(|own| own == path);
        let of = self.callbacks.iter().find(is_its);
        of.map(|of| &**of).ok_or(BadCallback::Malformed(
            "no account has callbacks at this path",
        ))
    }

    /// Handles a request to one of the paths. `Ok`: it is recorded, or there was nothing to record, and
    /// the provider need not repeat it.
    pub async fn take(&self, request: &CallbackRequest<'_>) -> Result<(), CallbackRejected> {
        let of = self.of(request)?;
        self.record(&of.read(request)?).await
    }

    async fn record(&self, callback: &Callback) -> Result<(), CallbackRejected> {
        match callback {
            Callback::Report(report) => self.report(report).await,
            Callback::Segment(segment) => self.segment(segment).await,
            Callback::Opt(opt) => self.opt(opt).await,
            Callback::Reply(reply) => self.reply(reply).await,
            Callback::Nothing => Ok(()),
        }
    }

    /// Counts a rejected callback.
    pub fn refused(&self) {
        self.metrics.count(Counter::CallbacksRefused, 1);
    }

    async fn report(&self, report: &Report) -> Result<(), CallbackRejected> {
        let following = match report.about {
            About::Attempt { message, token } => span::of(Step::Receipt, message, token),
            About::Sid => Span::none(),
        };
        let received = self.inbox.merge(report).instrument(following).await?;
        log(received, report);
        if let Received::OfAnother { .. } = received {
            self.refused();
        }
        self.pass_on(received, report);
        if let Received::Known { message, .. } = received {
            let now = self.clock.now().db;
            let (status, code) = (report.status.word, report.status.code);
            self.metrics.receipt(now, message, status, code);
        }
        Ok(())
    }

    /// Passes on a limit of a sender or recipient of this lane, once: a callback that is repeated changes nothing.
    /// One that the reactor has no room for is left out; the next one says it again.
    fn pass_on(&self, received: Received, report: &Report) {
        let Received::Known {
            change: Change::Advance { .. },
            ..
        } = received
        else {
            return;
        };
        let failure = report.status.delivery.failure();
        let Some(failure) = failure.filter(|failure| failure.scope().is_some()) else {
            return;
        };
        if let (Some(inputs), Some(to)) = (&self.inputs, &report.to) {
            let parties = Parties::of(&report.lane, report.from.as_deref(), to);
            let retry = failure.retry;
            let _ = inputs.try_send(Input::Reported { parties, retry });
        }
    }

    async fn reply(&self, reply: &Reply) -> Result<(), CallbackRejected> {
        let ours: Vec<&str> = reply.ours.iter().map(String::as_str).collect();
        // No text in the database has this character.
        let text = reply.text.replace('\0', "");
        let kept = NewReply {
            id: &reply.id,
            account: &reply.account,
            ours: &ours,
            theirs: &reply.theirs,
            text: &text,
            help: self.help.as_deref().filter(|_| reply.asks_help),
        };
        let cancelled = self.inbox.alone(self.store.keep_reply(kept)).await?;
        tracing::info!(cancelled, "a recipient replied");
        Ok(())
    }

    async fn opt(&self, opt: &OptOut) -> Result<(), CallbackRejected> {
        let ours: Vec<&str> = opt.ours.iter().map(String::as_str).collect();
        let (store, theirs) = (&self.store, &opt.theirs);
        let cancelled = match opt.command {
            OptCommand::Stop => {
                let reason = "recipient opted out (STOP)";
                let opt_out = store.opt_out(&opt.id, &ours, theirs, reason);
                self.inbox.alone(opt_out).await?
            }
            OptCommand::Start => {
                self.inbox
                    .alone(store.opt_in(&opt.id, &ours, theirs))
                    .await?;
                0
            }
        };
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
                "ignored a callback for an unknown message"
            );
        }
        Received::OfAnother { message } => tracing::warn!(
            message.id = %message,
            account = report.lane.account(),
            sid,
            status,
            "refused a report by one account about a message that went through another"
        ),
        Received::Locked { message, .. } => {
            tracing::debug!(message.id = %message, status, "the message of a callback is locked");
        }
        Received::Known { message, change } => match change {
            Change::Nothing => {
                tracing::debug!(message.id = %message, status, "a callback reported nothing new");
            }
            Change::Advance { row, .. } => {
                let (row, code) = (row.map(Status::as_str), report.status.code);
                tracing::info!(message.id = %message, status, row, code, "receipt");
            }
            Change::Contradiction => tracing::warn!(
                message.id = %message,
                sid,
                status,
                "a callback contradicts the recorded status, which stays; it is kept in \
                 punctual.receipts"
            ),
        },
    }
}
