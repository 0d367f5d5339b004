//! Cancels what is too late to be sent.

use super::{Context, Progress};
use crate::dispatch::Input;
use crate::metrics::Counter;
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let dispatch = &on.dispatch;
    let store = &dispatch.store;
    // What is in quarantine may have been sent.
    let quarantined = store.quarantined_before();
    let rows = dispatch.limits.daemon.chores.expired;
    let expire = store.expire(dispatch.rules.max_lateness, quarantined, rows);
    let expired = store.bounded(expire).await?;
    let messages = expired.len() as u64;
    if messages > 0 {
        dispatch.metrics.count(Counter::Expired, messages);
        // Logged and counted with all other outcomes. If the channel is closed, the daemon is ending.
        let _ = on.inputs.send(Input::Expired(expired)).await;
    }
    // Fewer: there are no more, or the rest is locked and is read by the next step.
    Ok(Progress::of(messages, rows))
}
