//! Makes `unconfirmed` what dead instances were sending.

use super::{Context, Progress};
use crate::daemon::heartbeat::SILENCE;
use crate::metrics::Counter;
use crate::store::StoreError;

/// Rows in one step.
const ROWS: u32 = 1_000;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    let reaped = store.bounded(store.reap(SILENCE, ROWS)).await?;
    if reaped > 0 {
        on.dispatch.metrics.count(Counter::Reaped, reaped);
        tracing::error!(
            messages = reaped,
            "unconfirmed: the instance that was sending them is dead"
        );
    }
    Ok(Progress::of(reaped, ROWS))
}
