//! Runs the event loop and the tasks until the end, and shuts down in order.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::RunError;
use super::event_loop::{EventLoop, Sources};
use super::heartbeat::{notify_members, sign_off};
use super::outcome_log::OutcomeLog;
use super::repeats;
use super::servers::Servers;
use super::tasks::Tasks;
use crate::dispatch::Dispatch;
use crate::forecast::PublishedState;

/// A daemon whose tasks are started.
pub(super) struct Running {
    pub(super) tasks: Tasks,
    pub(super) servers: Servers,
    pub(super) dispatch: Dispatch,
    pub(super) outcomes: Arc<OutcomeLog>,
    /// What is published of this instance.
    pub(super) published: watch::Receiver<PublishedState>,
    pub(super) stop: CancellationToken,
}

impl Running {
    /// Runs the loop until it has drained after a stop. A task that ended is a stop as well: requests in
    /// flight finish first, and then the daemon ends with the name of the task.
    pub(super) async fn until_drained(
        mut self,
        event_loop: EventLoop,
        sources: Sources,
    ) -> Result<(), RunError> {
        let instance = self.dispatch.store.instance();
        let mut failed = None;
        // Boxed because it is large and there is only one.
        let mut turning = Box::pin(event_loop.run(sources, self.stop.clone()));
        let drained = loop {
            let failure = tokio::select! {
                drained = &mut turning => break drained,
                failure = self.tasks.failure(&self.stop) => failure,
                failure = self.servers.failure() => failure,
            };
            tracing::error!(%failure, "failed, shutting down: waiting for requests in flight, releasing other claims");
            failed.get_or_insert(failure);
            self.stop.cancel();
        };
        let unrecorded = drained.map_err(RunError::Timer)?;

        self.tasks.shutdown().await;
        if unrecorded == 0 {
            self.leave().await;
        }
        repeats::log_rest();
        self.outcomes.log_rest();
        self.servers.end().await;
        if let Some(failure) = failed {
            return Err(failure.into());
        }
        if unrecorded > 0 {
            return Err(RunError::Unrecorded(unrecorded));
        }
        tracing::info!(%instance, "stopped");
        Ok(())
    }

    /// Records that nothing of this instance is left open.
    async fn leave(&self) {
        let store = &self.dispatch.store;
        let limits = &self.dispatch.limits.daemon.heartbeat;
        match sign_off(store, limits, self.last()).await {
            Ok(()) => notify_members(store, limits).await,
            Err(error) => {
                tracing::warn!(%error, "could not deregister this instance; others will notice by its missing heartbeat");
            }
        }
        if let Some(journal) = &self.dispatch.journal {
            journal.close();
        }
    }

    /// What is published at the end: the state that was known last, with all outcomes.
    fn last(&self) -> PublishedState {
        let mut last = self.published.borrow().clone();
        if last != PublishedState::default() {
            last.at = self.dispatch.clock.now().db;
            last.feed = Some(self.dispatch.metrics.published(last.at));
        }
        last
    }
}
