//! Has jobs followed that were there before their type had a URL: after the start, because URLs are settings, and once
//! for each type.

use super::{Context, Progress};
use crate::store::StoreError;

/// How far it has come.
pub(super) enum Walk {
    /// Past this key; `None`: at the first one.
    Past(Option<String>),
    /// To the end.
    Done,
}

impl Default for Walk {
    fn default() -> Self {
        Self::Past(None)
    }
}

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let mut walk = on.jobs.lock().await;
    let Walk::Past(past) = &*walk else {
        return Ok(Progress::Done);
    };
    let store = &on.dispatch.store;
    let last = store.bounded(store.follow_jobs(past.as_deref())).await?;
    let is_done = last.is_none();
    *walk = if is_done {
        Walk::Done
    } else {
        Walk::Past(last)
    };
    Ok(if is_done {
        Progress::Done
    } else {
        Progress::More
    })
}
