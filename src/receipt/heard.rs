//! Reports and replies that a provider receives without HTTP, such as a modem's. They are recorded like callbacks; then
//! the provider deletes its copy.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{CallbackHandler, CallbackRejected};
use crate::provider::Heard;
use crate::schedule::Backoff;

/// Between two tries to record something.
const PAUSE: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// After so many tries the provider keeps it, and the next thing is recorded: a row of it may be locked for long.
const TRIES: u32 = 6;

impl CallbackHandler {
    /// Records what is heard, one after the other, until no provider is left.
    pub async fn listen(self, mut heard: mpsc::Receiver<Heard>) {
        while let Some(heard) = heard.recv().await {
            let Heard { callback, recorded } = heard;
            let mut tries = 0;
            let result = loop {
                match self.record(&callback).await {
                    // Later, while others are recorded.
                    Err(CallbackRejected::NotYet) => break Err(CallbackRejected::NotYet),
                    Err(_) if tries < TRIES => tries += 1,
                    result => break result,
                }
                sleep(PAUSE.pause(tries)).await;
            };
            match result {
                // A provider that has lost its connection asks nobody again.
                Ok(()) => drop(recorded.send(())),
                Err(CallbackRejected::NotYet) => {
                    tracing::debug!("a report is about no message that is recorded yet");
                }
                Err(error) => {
                    tracing::warn!(%error, "what a provider received could not be recorded; it keeps it");
                }
            }
        }
    }
}
