//! Writes into the database when days begin and end in each zone, and removes pauses and paces that are long over.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::{Context, Progress};
use crate::message::Moment;
use crate::policy::Rules;
use crate::store::{Days, Store, StoreError};

/// How long a pause is kept after its end, at least: the lateness of what it stopped counts from there.
const PAUSE_KEPT: Duration = Duration::from_secs(86_400);

/// How long the pace of a campaign is kept that has nothing to send: it may be set before its messages are written.
const PACE_KEPT: Duration = Duration::from_secs(90 * 86_400);

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let dispatch = &on.dispatch;
    let now = dispatch.clock.now().db;
    write(&dispatch.store, Arc::clone(&dispatch.rules), now).await?;
    // What such a pause stopped, and has not been sent since, is too late; and `punctual doctor` looks at a day.
    let over = now - dispatch.rules.max_lateness.max(PAUSE_KEPT);
    let forgotten = dispatch.store.forget_pauses(over);
    dispatch.store.bounded(forgotten).await?;
    let forgotten = dispatch.store.forget_paces(now - PACE_KEPT);
    dispatch.store.bounded(forgotten).await?;
    Ok(Progress::Done)
}

pub(in crate::daemon) async fn write(
    store: &Store,
    rules: Arc<Rules>,
    now: Moment,
) -> Result<(), StoreError> {
    // Tens of milliseconds of computation, which must not delay a message.
    let days = spawn_blocking(move || Days::around(now, &rules.zones)).await;
    match days {
        Ok(days) => store.bounded(store.keep_days(&days)).await,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The process is ending.
        Err(_) => Ok(()),
    }
}
