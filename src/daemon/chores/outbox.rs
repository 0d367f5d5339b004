//! Retries writes that the app's tables refused.

use super::{Context, Progress, STEP_TIME};
use crate::clock::Stopwatch;
use crate::metrics::Counter;
use crate::store::StoreError;

/// Writes in one step; each is a transaction.
const WRITES: u32 = 50;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let began = Stopwatch::start();
    let store = &on.dispatch.store;
    let mut written = 0;
    let mut progress = Progress::More;
    for _ in 0..WRITES {
        match store.bounded(store.outbox_next()).await? {
            Some(true) => written += 1,
            Some(false) => {}
            None => {
                progress = Progress::Done;
                break;
            }
        }
        if began.elapsed() >= STEP_TIME {
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
