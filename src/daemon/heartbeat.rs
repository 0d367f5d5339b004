//! Records every few seconds that this instance is alive, publishes its state, and reads which others run. It has its
//! own connections, so that a waiting statement cannot make this instance look dead.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::dispatch::Input;
use crate::forecast::PublishedState;
use crate::journal::Journal;
use crate::limits::daemon::HeartbeatLimits;
use crate::listen::Notification;
use crate::metrics::Metrics;
use crate::store::{Lineage, PATIENCE, Store, StoreError};

pub(super) struct Heartbeat {
    /// With its own connections.
    pub(super) store: Store,
    /// How far the database's log has come.
    pub(super) lineage: Lineage,
    /// Where the log position is stored.
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) inputs: mpsc::Sender<Input>,
    /// Notified when an instance started or stopped.
    pub(super) members: Arc<Notify>,
    /// What is published of this instance.
    pub(super) published: watch::Receiver<PublishedState>,
    /// What has just happened here, for the pages of the others.
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: HeartbeatLimits,
}

impl Heartbeat {
    /// Runs until it is dropped: during a shutdown too, because requests are still in flight.
    pub(super) async fn keep(mut self) {
        let mut beat = interval(self.limits.every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beat.tick() => self.beat().await,
                () = self.members.notified() => {
                    self.read_members().await;
                    sleep(self.limits.members_pause).await;
                }
                // The sender is the event loop's; without it the daemon is ending.
                Ok(()) = self.published.changed() => {
                    self.publish().await;
                    sleep(self.limits.publish_pause).await;
                }
            }
        }
    }

    fn within<T>(
        &self,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        self.store.within(self.limits.patience, step)
    }

    async fn beat(&mut self) {
        let beat = self.store.instance_beat();
        let beat = self
            .store
            .within_at_work(self.limits.patience, PATIENCE, beat);
        if let Err(error) = beat.await {
            tracing::warn!(
                %error,
                "no heartbeat: after {} s without one the other instances will treat this one as dead",
                self.limits.silence.as_secs()
            );
            // The rest would fail as well.
            return;
        }
        self.publish().await;
        self.read_members().await;
        self.follow().await;
    }

    /// Publishes the state of this instance, for forecasts.
    async fn publish(&mut self) {
        let mut state = self.published.borrow_and_update().clone();
        // The event loop has not begun.
        if state == PublishedState::default() {
            return;
        }
        let has_readers = self.store.is_accompanied();
        state.feed = has_readers.then(|| self.metrics.published(state.at));
        if let Err(error) = self.within(self.store.publish(&state)).await {
            tracing::warn!(%error, "could not publish the state of this instance: forecasts made elsewhere are by an older one");
        }
    }

    /// Reads which instances run, for the reactor, and what is in quarantine.
    async fn read_members(&self) {
        let members = self.store.members(self.limits.silence);
        match self.within(members).await {
            // A closed channel: the daemon is ending.
            Ok(ranking) => drop(self.inputs.send(Input::Members(ranking)).await),
            Err(error) => tracing::warn!(%error, "could not read which instances run"),
        }
        let quarantine = self.store.quarantine_read();
        if let Err(error) = self.within(quarantine).await {
            tracing::warn!(%error, "could not read the quarantine");
        }
    }

    /// Stores the log position of the database: if it is behind that later, the database was restored.
    async fn follow(&self) {
        let Some(journal) = &self.journal else {
            return;
        };
        let follow = self.store.follow();
        if let Err(error) = self.within(follow).await {
            tracing::warn!(%error, "could not read the log position of the database");
        }
        if let Some(position) = self.lineage.known() {
            journal.reached(position.reached);
        }
    }
}

/// Records that this instance has ended, after its last outcomes, which the pages of the others show. A dead connection
/// does not delay the shutdown.
pub(super) async fn sign_off(
    store: &Store,
    limits: &HeartbeatLimits,
    last: PublishedState,
) -> Result<(), StoreError> {
    // Otherwise the event loop had not begun.
    if last.feed.is_some()
        && let Err(error) = store.within(limits.patience, store.publish(&last)).await
    {
        tracing::warn!(%error, "could not publish the last outcomes of this instance: the live pages of others do not show them");
    }
    store.within(limits.patience, store.instance_stop()).await
}

/// Notifies the other instances that this one starts or stops. If that is lost, they see it with their
/// next heartbeat.
pub(super) async fn notify_members(store: &Store, limits: &HeartbeatLimits) {
    let notify = store.notify(Notification::MEMBERS);
    if let Err(error) = store.within(limits.patience, notify).await {
        tracing::warn!(%error, "could not notify the other instances of this one");
    }
}
