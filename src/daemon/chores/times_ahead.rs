//! Corrects what a clock of the database that ran ahead, and was set right, has left in the future: heartbeats, claims,
//! paces and writes of the outbox.

use super::{Context, Progress};
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    let most = on.dispatch.limits.daemon.chores.times_ahead;
    let ahead = store.bounded(store.correct_times_ahead(most)).await?;
    let largest = ahead.largest();
    if largest > 0 {
        tracing::warn!(
            instances = ahead.instances,
            claims = ahead.claims,
            paces = ahead.paces,
            outbox = ahead.outbox,
            "corrected times in the future: the database's clock had run ahead"
        );
    }
    Ok(Progress::of(largest, most))
}
