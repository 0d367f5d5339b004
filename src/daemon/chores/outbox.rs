//! Retries writes that the app's tables refused.

use super::{Context, Progress};
use crate::clock::Stopwatch;
use crate::metrics::Counter;
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let began = Stopwatch::start();
    let store = &on.dispatch.store;
    let limits = &on.dispatch.limits.daemon.chores;
    let mut written = 0;
    let mut progress = Progress::More;
    for _ in 0..limits.outbox {
        match store.bounded(store.outbox_next()).await? {
            Some(true) => written += 1,
            Some(false) => {}
            None => {
                progress = Progress::Done;
                break;
            }
        }
        if began.elapsed() >= limits.step {
            break;
        }
    }
    if written > 0 {
        on.dispatch.metrics.count(Counter::OutboxWritten, written);
        tracing::info!(
            writes = written,
            "a write that the app's tables had refused succeeded"
        );
    }
    Ok(progress)
}
