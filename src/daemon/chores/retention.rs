//! Deletes what is long over. A walk through all of it takes many steps, a few seconds apart, so that nobody notices.

use super::{Context, Progress};
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let retention = on.dispatch.rules.retention;
    let limits = &on.dispatch.limits.daemon.chores;
    if retention.is_for_good() {
        return Ok(Progress::Later(limits.days_every));
    }
    let store = &on.dispatch.store;
    let walk = on.walk.lock().await.clone();
    let retain = store.retain(&walk, retention, limits.retained);
    let done = store.bounded(retain).await?;
    if done.deleted + done.blanked > 0 {
        tracing::debug!(
            messages = done.deleted,
            texts = done.blanked,
            "deleted what is older than PUNCTUAL_RETENTION or PUNCTUAL_TEXT_RETENTION"
        );
    }
    let is_over = done.next.is_none();
    *on.walk.lock().await = done.next.unwrap_or_default();
    Ok(if is_over {
        Progress::Later(limits.days_every)
    } else {
        Progress::Done
    })
}
