//! Makes `unconfirmed` what dead instances were sending.

use super::{Context, Progress};
use crate::metrics::Counter;
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    let limits = &on.dispatch.limits.daemon;
    let reap = store.reap(limits.heartbeat.silence, limits.chores.reaped);
    let reaped = store.bounded(reap).await?;
    if reaped > 0 {
        on.dispatch.metrics.count(Counter::Reaped, reaped);
        tracing::error!(
            messages = reaped,
            "unconfirmed: the instance that was sending them is dead"
        );
    }
    Ok(Progress::of(reaped, limits.chores.reaped))
}
