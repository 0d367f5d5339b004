//! Reads what is upcoming.

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::{Dispatch, Input};
use crate::message::Moment;

impl Dispatch {
    /// Reads the window from a moment on (`None`: all that is due) up to another, at most so many rows of it, part by
    /// part. The end is sent on the same channel as the parts, after the last.
    pub async fn load(
        &self,
        (from, until): (Option<Moment>, Moment),
        most: usize,
        parts: mpsc::Sender<Input>,
    ) {
        let pass_on = |rows| -> BoxFuture<'static, ()> {
            let parts = parts.clone();
            Box::pin(async move {
                // The receiver is gone, so the rest is not needed either.
                let _ = parts.send(Input::Loaded(rows)).await;
            })
        };
        let loaded = self
            .store
            .load((from, until), most, self.rules.max_lateness, pass_on)
            .await;
        let (paces, reached) = match loaded {
            Ok(reached) => {
                let paces = self.store.paces(None, until);
                (self.store.bounded(paces).await, reached)
            }
            Err(error) => (Err(error), None),
        };
        let complete = paces.is_ok();
        match paces {
            // See above.
            Ok(paces) => drop(parts.send(Input::PacesLoaded(paces)).await),
            Err(error) => tracing::warn!(%error, "the window could not be loaded"),
        }
        let _ = parts.send(Input::LoadEnded { complete, reached }).await;
    }
}
