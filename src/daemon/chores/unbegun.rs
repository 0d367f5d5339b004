//! Releases claims of this instance that were reaped, because it was suspended or cut off, and whose
//! request never began.

use super::{Context, Progress};
use crate::daemon::recovery;
use crate::store::StoreError;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    recovery::reaped_alive(&on.dispatch, &on.inputs).await?;
    Ok(Progress::Done)
}
