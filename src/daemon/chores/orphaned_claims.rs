//! Finds open claims of this instance whose lease is over. Those that the reactor does not know were
//! committed after their answer was given up.

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
    // More of them would be the same ones, until the reactor has given them back.
    Ok(Progress::Done)
}
