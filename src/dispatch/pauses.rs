//! Reads what is paused.

use super::{ASKING_PATIENCE, Dispatch, Input};

impl Dispatch {
    /// Reads the pauses.
    pub async fn read_pauses(&self) -> Input {
        let read = self.store.pauses();
        let pauses = self.store.within(ASKING_PATIENCE, read).await;
        if let Err(error) = &pauses {
            tracing::warn!(%error, "the pauses could not be read; nothing starts until they are");
        }
        Input::Pauses(pauses.ok())
    }
}
