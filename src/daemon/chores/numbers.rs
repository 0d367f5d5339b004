//! Checks the numbers of messages a week before they are due, and an hour before, so that people can correct them. Each
//! message is read once for each of the two; one that is written later than that is judged by its claim alone.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{Context, Progress};
use crate::metrics::Gauge;
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let dispatch = &on.dispatch;
    let (store, limits) = (&dispatch.store, &dispatch.limits.daemon.chores);
    let mut has_more = false;
    for ahead in limits.numbers_ahead {
        let read = store.recipients_ahead(ahead, limits.numbers);
        let read = store.bounded(read).await?;
        has_more |= read.has_more;
        // A herd takes a while.
        let rules = Arc::clone(&dispatch.rules);
        let judged = spawn_blocking(move || {
            let faults = read.faults(&rules);
            (read, faults)
        });
        let (read, faults) = match judged.await {
            Ok(judged) => judged,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The process is ending.
            Err(_) => return Ok(Progress::Done),
        };
        let keep = store.keep_number_faults(ahead, read.until, &faults, limits.numbers);
        store.bounded(keep).await?;
        if !faults.is_empty() {
            tracing::warn!(
                messages = faults.len(),
                "the numbers of pending messages may not receive texts: see punctual.number_faults"
            );
        }
    }
    let faults = store.bounded(store.count_number_faults()).await?;
    // At most 10,000.
    dispatch.metrics.set(
        Gauge::NumberFaults,
        u32::try_from(faults).unwrap_or(u32::MAX).into(),
    );
    Ok(if has_more {
        Progress::More
    } else {
        Progress::Later(limits.numbers_every)
    })
}
