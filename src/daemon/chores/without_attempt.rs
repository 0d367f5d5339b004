//! Corrects messages that are `sending` without an open attempt: pending again if the ledger shows that nothing was
//! sent, else unconfirmed.

use std::time::Duration;

use super::{Context, Progress};
use crate::store::StoreError;

/// They come from restores and from other programs, so seldom.
pub(super) const EVERY: Duration = Duration::from_secs(30);

/// How long such a row must not have changed. A claim, which changes it, commits within seconds.
const UNCHANGED: Duration = Duration::from_secs(60);

/// Rows in one step.
const ROWS: u32 = 1_000;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    let corrected = store
        .bounded(store.correct_without_attempt(UNCHANGED, ROWS))
        .await?;
    let rows = corrected.pending + corrected.unconfirmed;
    if rows > 0 {
        tracing::error!(
            pending = corrected.pending,
            unconfirmed = corrected.unconfirmed,
            "corrected: sending without an attempt; another program set them so, or a restore lost their attempts"
        );
    }
    Ok(Progress::of(rows, ROWS))
}
