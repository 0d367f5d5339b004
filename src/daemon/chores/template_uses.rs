//! Counts in the app's tables how often each template was used, and, if that is wanted, what users were sent on a day.

use super::{Context, Progress};
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    store.bounded(store.count_template_uses()).await?;
    let most = on.dispatch.limits.daemon.chores.counts_shown;
    let shown = store.bounded(store.show_counts(most)).await?;
    Ok(Progress::of(shown.into(), most))
}
