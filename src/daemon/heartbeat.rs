//! Says every few seconds that this instance lives, and reads who else does. On connections of its
//! own: whatever the others wait for, this one is not to be taken for dead.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::dispatch::Input;
use crate::journal::Journal;
use crate::listen::Notice;
use crate::store::{Lineage, PATIENCE, Store, StoreError};

/// How often an instance says that it lives.
pub(super) const BEAT: Duration = Duration::from_secs(5);

/// An instance silent for this long is dead: three beats and a slow database.
pub(super) const SILENCE: Duration = Duration::from_secs(20);

/// How long a beat may take. Less than [`SILENCE`] by far: a dead connection must not make a dead
/// instance of this one. A server that is seen at work, which may be a slow disk's, has longer.
pub(super) const BEAT_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at who runs that somebody asked for: any role may say so, all day long.
const MEMBERS_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Heartbeat {
    /// Over its own connections.
    pub(super) store: Store,
    /// How far the database's log has come, and where that is kept; `None`: no journal.
    pub(super) lineage: Option<(Lineage, Arc<Journal>)>,
    pub(super) inputs: mpsc::Sender<Input>,
    /// Somebody says that an instance comes or goes.
    pub(super) members: Arc<Notify>,
}

impl Heartbeat {
    /// Beats until it is dropped: through a stop as well, for what is being sent is still ours.
    pub(super) async fn keep(self) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beat.tick() => self.beat().await,
                () = self.members.notified() => {
                    self.look_around().await;
                    sleep(MEMBERS_PAUSE).await;
                }
            }
        }
    }

    async fn beat(&self) {
        let beat = self.store.instance_beat();
        let beat = self.store.within_at_work(BEAT_PATIENCE, PATIENCE, beat);
        if let Err(error) = beat.await {
            tracing::warn!(
                %error,
                "no heartbeat: after {} s without one the other instances will treat this one as dead",
                SILENCE.as_secs()
            );
            // The rest would fail alike.
            return;
        }
        self.look_around().await;
        self.follow().await;
    }

    /// Reads who runs, and tells the reactor.
    async fn look_around(&self) {
        let members = self.store.members(SILENCE);
        match self.store.within(BEAT_PATIENCE, members).await {
            // A closed channel: the daemon is ending.
            Ok(ranking) => drop(self.inputs.send(Input::Members(ranking)).await),
            Err(error) => tracing::warn!(%error, "could not read which instances run"),
        }
    }

    /// Notes how far the database has come: one that is found before that is an older one.
    async fn follow(&self) {
        let Some((history, journal)) = &self.lineage else {
            return;
        };
        let follow = self.store.follow(history);
        if let Err(error) = self.store.within(BEAT_PATIENCE, follow).await {
            tracing::warn!(%error, "could not read the log position of the database");
        }
        if let Some(place) = history.known() {
            journal.reached(place.reached);
        }
    }
}

/// Says that this instance has ended. A way to the database that is dead does not hold up the end.
pub(super) async fn sign_off(store: &Store) -> Result<(), StoreError> {
    store.within(BEAT_PATIENCE, store.instance_stop()).await
}

/// Tells the other instances that this one has come, or goes. Should it be lost, they see it
/// with their next beat.
pub(super) async fn notify_members(store: &Store) {
    let notify = store.notify(Notice::MEMBERS);
    if let Err(error) = store.within(BEAT_PATIENCE, notify).await {
        tracing::warn!(%error, "could not notify the other instances of this one");
    }
}
