//! Applies what messages have missed: changes of their calendar events, and opt-outs of their users.

use super::{Context, Progress};
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    // A restored database may have neither the latest times of events nor those of messages.
    if store.quarantined_before().is_some() {
        return Ok(Progress::Done);
    }
    let rows = on.dispatch.limits.daemon.chores.followed;
    let followed = store.bounded(store.follow_missed(rows)).await?;
    if followed > 0 {
        tracing::info!(
            messages = followed,
            "applied a change of their calendar event, or an opt-out, that they had missed"
        );
    }
    Ok(Progress::of(followed, rows))
}
