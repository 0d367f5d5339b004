//! Forgets which texts were counted by what they say, once that no longer matters.

use super::{Context, Progress};
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let (store, limits) = (&on.dispatch.store, &on.dispatch.limits.daemon.chores);
    let forgotten = store.bounded(store.forget_texts(limits.texts)).await?;
    let progress = Progress::of(forgotten, limits.texts);
    // Nothing is counted without the guard.
    if progress == Progress::Done && on.dispatch.rules.burst.is_none() {
        return Ok(Progress::Later(limits.days_every));
    }
    Ok(progress)
}
