//! Counts in the app's templates how often each was used.

use super::{Context, Progress};
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let store = &on.dispatch.store;
    store.bounded(store.count_template_uses()).await?;
    Ok(Progress::Done)
}
