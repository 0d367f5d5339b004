//! Finds open claims of this instance whose lease is over. Those that the reactor does not know were
//! committed after the daemon had stopped waiting for the response.

use super::{Context, Progress};
use crate::dispatch::Input;
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    let orphaned = store.bounded(store.orphaned_claims()).await?;
    if !orphaned.is_empty() {
        // A closed channel: the daemon is ending, and its claims with it.
        let _ = on.inputs.send(Input::OrphanedClaims(orphaned)).await;
    }
    // A further step would read the same ones, until the reactor has released them.
    Ok(Progress::Done)
}
