//! Measures what only the database knows, for the metrics and the live page.

use super::{Context, Progress};
use crate::metrics::Gauge;
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    let sampled = store.bounded(store.sample()).await?;
    let metrics = &on.dispatch.metrics;
    metrics.set(Gauge::NotifyQueue, sampled.notify_queue);
    metrics.set(Gauge::InDoubt, sampled.in_doubt);
    metrics.set(Gauge::Outbox, sampled.outbox);
    metrics.set(Gauge::FeedKept, sampled.feed_kept.unwrap_or(f64::NAN));
    Ok(Progress::Done)
}
