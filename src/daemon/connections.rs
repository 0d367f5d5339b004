//! The connections to the database, and which part of the daemon uses which.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::database_clock::DatabaseClock;
use super::event_loop::Wakers;
use super::health::Health;
use super::heartbeat::Heartbeat;
use super::tasks::Tasks;
use super::{Parts, text_capabilities, unheard};
use crate::clock::Clock;
use crate::dispatch::{Dispatch, Input};
use crate::message::InstanceId;
use crate::receipt;
use crate::store::{Lineage, Store, Watch};

/// Two for claims, one for records, one for everything else. With the listener's and the heartbeat's
/// that makes six, which the smallest Supabase plan can spare.
const POOL: usize = 4;

/// Where the database is far away, for the claims and records that are on their way to it at once.
const MORE_IF_FAR: usize = 5;

/// For the heartbeat, the clock and the health check only. The second one is opened only if one of them needs a
/// connection while another one waits for its response.
const HEARTBEAT_POOL: usize = 2;

pub(super) struct Connections {
    /// With the shared connections.
    pub(super) store: Store,
    /// With the connections of heartbeat and clock.
    pub(super) heartbeat: Store,
    /// Which history of which database the sessions are in.
    pub(super) lineage: Lineage,
}

impl Connections {
    /// Creates the pools; no connection is opened yet.
    pub(super) fn of(parts: &Parts, instance: InstanceId, clock: &Arc<Clock>) -> Self {
        let lineage = Lineage::default();
        let kept = Some((&lineage, instance));
        let watch = Watch::over(parts.dsn.clone());
        // Callbacks enlarge the pool, so that they take no connection from the others.
        let callbacks = parts.callbacks.as_ref().map_or(0, |_| receipt::AT_ONCE);
        let pool = parts.dsn.pool_with(POOL + callbacks, kept, Some(&watch));
        let own = parts.dsn.pool_with(HEARTBEAT_POOL, kept, Some(&watch));
        let texts = text_capabilities(&parts.providers);
        let store = Store::new(pool, instance)
            .with_clock(Arc::clone(clock))
            .with_lineage(&lineage)
            .with_more_if_far(MORE_IF_FAR, parts.settings.limits.claims.far_from())
            .with_rules(&parts.rules)
            .with_look_ups(texts.look_up.then(|| unheard(&texts).first()));
        let store = if parts.dsn.is_polled() {
            store
        } else {
            store.with_watch(watch)
        };
        Self {
            heartbeat: store.with_pool(own),
            store,
            lineage,
        }
    }

    /// Starts the tasks that have connections of their own.
    pub(super) fn spawn_own(
        self,
        tasks: &mut Tasks,
        dispatch: &Dispatch,
        inputs: &mpsc::Sender<Input>,
        wakers: &Wakers,
        health: &Health,
    ) {
        let journal = dispatch.journal.clone();
        let clock = DatabaseClock {
            store: self.heartbeat.clone(),
            clock: Arc::clone(&dispatch.clock),
            provider: dispatch.providers.of_texts().cloned(),
            inputs: inputs.clone(),
            lost: Arc::clone(&wakers.clock_lost),
            limits: dispatch.limits.daemon.clock,
        };
        tasks.spawn("clock", clock.keep());
        let health = health.clone();
        tasks.spawn(
            "health",
            health.keep(self.heartbeat.clone(), dispatch.clone()),
        );
        let heartbeat = Heartbeat {
            store: self.heartbeat,
            lineage: self.lineage,
            journal,
            inputs: inputs.clone(),
            members: Arc::clone(&wakers.members),
            published: wakers.published.subscribe(),
            metrics: Arc::clone(&dispatch.metrics),
            limits: dispatch.limits.daemon.heartbeat,
        };
        tasks.spawn("heartbeat", heartbeat.keep());
    }
}
