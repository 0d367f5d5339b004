//! The HTTP servers. They run from before the database is reachable until after the last message.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::CallbackParts;
use super::tasks::{TaskError, Tasks};
use crate::clock::Clock;
use crate::dispatch::Input;
use crate::http::{self, Endpoint, HttpState, Question};
use crate::limits::DaemonLimits;
use crate::metrics::Metrics;
use crate::receipt::CallbackHandler;
use crate::store::Store;
use crate::store::forecast::Assumed;

/// Where HTTP is served, and which callbacks are accepted.
pub(super) struct Http<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) callbacks: Option<CallbackParts>,
    /// What forecasts are made by until an instance has published its rules.
    pub(super) assumed: Assumed,
    pub(super) limits: &'a DaemonLimits,
}

pub(super) struct Servers {
    tasks: Tasks,
    stop: CancellationToken,
}

impl Http<'_> {
    /// On one listener for everything, or with a separate one for the callbacks. Questions to the
    /// reactor arrive on the returned channel; what providers receive without HTTP is for the returned handler.
    pub(super) fn serve(
        self,
        store: &Store,
        clock: &Arc<Clock>,
        metrics: &Arc<Metrics>,
        inputs: mpsc::Sender<Input>,
    ) -> (Servers, mpsc::Receiver<Question>, CallbackHandler) {
        let (assumed, limits) = (self.assumed, self.limits);
        let (question_tx, questions) = mpsc::channel(limits.event_loop.questions);
        let max_lateness = assumed.rules.max_lateness;
        let help = assumed.rules.help_text.clone();
        let (mut tasks, stop) = (Tasks::default(), CancellationToken::new());
        let mut state = HttpState::new(
            question_tx,
            Arc::clone(metrics),
            self.endpoint.tokens.clone(),
        )
        .with_stories(store.clone(), assumed)
        .with_limits(limits.http);
        let (callbacks, links, listener) = match self.callbacks {
            Some(parts) => (parts.callbacks, parts.links, Some(parts.listener)),
            None => (Vec::new(), None, None),
        };
        let (clock, metrics) = (Arc::clone(clock), Arc::clone(metrics));
        let handler = CallbackHandler::new(callbacks, store.clone(), clock, metrics)
            .with(max_lateness, limits.receipts)
            .with_help(help)
            .with_inputs(inputs);
        match listener {
            None => {}
            Some(None) => state = state.with_callbacks(handler.clone()).with_links(links),
            Some(Some(own)) => {
                let (handler, stop) = (handler.clone(), stop.clone());
                let serve = http::serve_public(own, handler, links, limits.http, stop);
                tasks.spawn("callback server", serve);
            }
        }
        let serve = http::serve(self.endpoint, state, stop.clone());
        tasks.spawn("HTTP server", serve);
        (Servers { tasks, stop }, questions, handler)
    }
}

impl Servers {
    /// See [`Tasks::failure`].
    pub(super) async fn failure(&mut self) -> TaskError {
        self.tasks.failure(&self.stop).await
    }

    /// Stops them, within their own deadline.
    pub(super) async fn end(&mut self) {
        self.stop.cancel();
        self.tasks.join_all().await;
    }
}
