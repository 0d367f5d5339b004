//! Writes what became of messages to the rows of source tables that they follow.

use super::{Context, Progress};
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    let rows = on.dispatch.limits.daemon.chores.source_writes;
    let written = store.bounded(store.write_back(rows)).await?;
    Ok(Progress::of(written.into(), rows))
}
