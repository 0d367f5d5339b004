//! Applies what messages have missed: changes of their calendar events, and opt-outs of their users.

use super::{Context, Progress};
use crate::store::StoreError;

/// Messages updated in one step, and locked by it: a transaction of the app that moves their events again
/// waits for 100 ms.
const ROWS: u32 = 25;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    // A restored database may have neither the latest times of events nor those of messages.
    if store.quarantined_before().is_some() {
        return Ok(Progress::Done);
    }
    let followed = store.bounded(store.follow_missed(ROWS)).await?;
    if followed > 0 {
        tracing::info!(
            messages = followed,
            "applied a change of their calendar event, or an opt-out, that they had missed"
        );
    }
    Ok(Progress::of(followed, ROWS))
}
