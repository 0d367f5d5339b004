//! Reads what is paused.

use std::time::Duration;

use super::{ASKING_PATIENCE, Dispatch, Input};

impl Dispatch {
    /// Reads the pauses.
    pub async fn read_pauses(&self) -> Input {
        let read = self.store.pauses();
        match self.store.within(ASKING_PATIENCE, read).await {
            Ok((pauses, way)) => Input::Pauses {
                pauses: Some(pauses),
                way,
            },
            Err(error) => {
                tracing::warn!(%error, "the pauses could not be read; nothing starts until they are");
                Input::Pauses {
                    pauses: None,
                    way: Duration::ZERO,
                }
            }
        }
    }
}
