//! Corrects messages that are `sending` without an open attempt: pending again if the ledger shows that nothing was
//! sent, else unconfirmed.

use super::{Context, Progress};
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    let limits = &on.dispatch.limits.daemon.chores;
    let (unchanged, most) = (limits.without_attempt_unchanged, limits.without_attempt);
    let corrected = store
        .bounded(store.correct_without_attempt(unchanged, most))
        .await?;
    let rows = corrected.pending + corrected.unconfirmed;
    if rows > 0 {
        tracing::error!(
            pending = corrected.pending,
            unconfirmed = corrected.unconfirmed,
            "corrected: sending without an attempt; another program set them so, or a restore lost their attempts"
        );
    }
    Ok(Progress::of(rows, most))
}
