//! Turns the event loop beside its tasks to the end, and leaves everything in order.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::event_loop::{EventLoop, Sources};
use super::heartbeat::{notify_members, sign_off};
use super::tasks::Tasks;
use super::{RunError, WebhookParts};
use crate::dispatch::Dispatch;
use crate::http::{self, Endpoint, HttpState};
use crate::receipt::Webhooks;

/// A daemon whose tasks are started.
pub(super) struct Running {
    tasks: Tasks,
    /// Apart, for they serve until after the last message.
    servers: Tasks,
    servers_stop: CancellationToken,
    dispatch: Dispatch,
    stop: CancellationToken,
}

impl Running {
    pub(super) fn new(tasks: Tasks, dispatch: Dispatch, stop: CancellationToken) -> Self {
        Self {
            tasks,
            servers: Tasks::default(),
            servers_stop: CancellationToken::new(),
            dispatch,
            stop,
        }
    }

    /// Serves HTTP: on one listener for everything, or with one of their own for the callbacks.
    pub(super) fn serve(
        &mut self,
        endpoint: Endpoint,
        state: HttpState,
        webhooks: Option<WebhookParts>,
    ) {
        let dispatch = &self.dispatch;
        let webhooks = webhooks.map(|parts| {
            let (clock, metrics) = (Arc::clone(&dispatch.clock), Arc::clone(&dispatch.metrics));
            let store = dispatch.store.clone();
            let webhooks = Webhooks::new(parts.callbacks, store, clock, metrics)
                .with_max_lateness(dispatch.rules.max_lateness);
            (webhooks, parts.listener)
        });
        let state = match webhooks {
            None => state,
            Some((webhooks, None)) => state.with_webhooks(webhooks),
            Some((webhooks, Some(own))) => {
                let (limits, stop) = (http::Limits::default(), self.servers_stop.clone());
                let serve = http::serve_webhooks(own, webhooks, limits, stop);
                self.servers.spawn("callback server", serve);
                state
            }
        };
        let serve = http::serve(endpoint, state, self.servers_stop.clone());
        self.servers.spawn("HTTP server", serve);
    }

    /// Turns the loop until it has drained after a stop. A task that is gone is a stop as well: what
    /// is being sent ends in good order, and then the daemon does, with the task's name.
    pub(super) async fn until_drained(
        mut self,
        event_loop: EventLoop,
        sources: Sources,
    ) -> Result<(), RunError> {
        let instance = self.dispatch.store.instance();
        let mut failed = None;
        // Boxed, for it is large and there is one.
        let mut turning = Box::pin(event_loop.run(sources, self.stop.clone()));
        let drained = loop {
            let failure = tokio::select! {
                drained = &mut turning => break drained,
                failure = self.tasks.failure(&self.stop) => failure,
                failure = self.servers.failure(&self.servers_stop) => failure,
            };
            tracing::error!(%failure, "ending: finishing what is being sent, giving the rest back");
            failed.get_or_insert(failure);
            self.stop.cancel();
        };
        let unrecorded = drained.map_err(RunError::Timer)?;

        self.tasks.shutdown().await;
        if unrecorded == 0 {
            self.leave().await;
        }
        self.servers_stop.cancel();
        // Their own deadline ends them.
        self.servers.join_all().await;
        if let Some(failure) = failed {
            return Err(failure.into());
        }
        if unrecorded > 0 {
            return Err(RunError::Unrecorded(unrecorded));
        }
        tracing::info!(%instance, "stopped");
        Ok(())
    }

    /// Says that nothing of this instance is left open.
    async fn leave(&self) {
        let store = &self.dispatch.store;
        match sign_off(store).await {
            Ok(()) => notify_members(store).await,
            Err(error) => {
                tracing::warn!(%error, "could not sign off; the heartbeat will run out instead");
            }
        }
        if let Some(journal) = &self.dispatch.journal {
            journal.close();
        }
    }
}
