//! Checks the journal: that it can be written, and is still where the next daemon looks for it; has the database
//! note that it is incomplete if its file cannot be marked; syncs responses that the database has not recorded. The
//! disk may be slow, so this is not done in the event loop.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::dispatch::Dispatch;
use crate::journal::{Condition, Journal};
use crate::metrics::Gauge;

/// Checks until it is dropped: during a shutdown too, because requests are still in flight.
pub(super) async fn keep(journal: Arc<Journal>, dispatch: Dispatch) {
    let limits = dispatch.limits.daemon.journal;
    let (store, metrics) = (dispatch.store, dispatch.metrics);
    // Whether the database has noted that the journal is incomplete.
    let mut is_noted = false;
    let mut next = interval(limits.every);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut checks = 0_u32;
    loop {
        next.tick().await;
        checks = checks.wrapping_add(1);
        let is_sync_due = checks.is_multiple_of(limits.sync_at);
        let checked = {
            let journal = Arc::clone(&journal);
            spawn_blocking(move || {
                let condition = journal.check();
                let synced = if is_sync_due { journal.sync() } else { Ok(()) };
                (condition, synced)
            })
            .await
        };
        let Ok((condition, synced)) = checked else {
            // The process is ending, or the check panicked; then the next one panics too.
            continue;
        };
        let is_complete = condition == Condition::Complete;
        metrics.set(Gauge::Journal, f64::from(u8::from(is_complete)));
        if let Err(error) = synced {
            tracing::warn!(%error, "responses in the journal could not be synced to the disk");
        }
        let note = match condition {
            Condition::Complete if is_noted => Some(false),
            Condition::Blocking(_) => Some(true),
            Condition::Complete | Condition::Incomplete(_) => None,
        };
        if let Some(note) = note {
            match store.bounded(store.journal_is_incomplete(note)).await {
                Ok(()) if note => journal.noted_as_incomplete(),
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "the database could not note whether the journal is complete; retrying");
                    continue;
                }
            }
            is_noted = note;
        }
    }
}
