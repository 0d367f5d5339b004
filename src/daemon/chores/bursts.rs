//! Makes the texts due again that a pause of what they say has held, and forgets which were counted, once that no
//! longer matters.

use super::{Context, Progress};
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let (store, limits) = (&on.dispatch.store, &on.dispatch.limits.daemon.chores);
    let (freed, is_held) = store.bounded(store.free_texts(limits.texts)).await?;
    let forgotten = store.bounded(store.forget_texts(limits.texts)).await?;
    let progress = Progress::of(freed.max(forgotten), limits.texts);
    // Nothing is counted without the guard.
    if progress == Progress::Done && !is_held && on.dispatch.rules.burst.is_none() {
        return Ok(Progress::Later(limits.days_every));
    }
    Ok(progress)
}
