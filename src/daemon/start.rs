//! Makes sure that this database will do, before anything is begun in it.

use std::sync::Arc;

use super::RunError;
use super::chores::days;
use super::database_clock::measure;
use super::heartbeat::notify_members;
use crate::clock::Clock;
use crate::listen;
use crate::policy::Rules;
use crate::store::{Dsn, Migrator, Store};

pub(super) async fn prepare(
    dsn: &Dsn,
    store: &Store,
    clock: &Clock,
    rules: &Arc<Rules>,
) -> Result<(), RunError> {
    listen::prove(dsn).await?;
    Migrator::embedded().check(dsn).await?;
    store.instance_start().await?;
    notify_members(store).await;
    prewarm(store).await;
    measure(store, clock).await?;
    store.keep_settings(rules).await?;
    days::write(store, Arc::clone(rules), clock.now().db).await?;
    Ok(())
}

/// Opens the pool's connections ahead. A server without room for all of them is no reason not
/// to run on fewer.
pub(super) async fn prewarm(store: &Store) {
    if let Err(error) = store.bounded(store.open()).await {
        tracing::warn!(%error, "not every connection of the pool could be opened ahead");
    }
}
