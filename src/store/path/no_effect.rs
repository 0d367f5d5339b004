//! Results that are in the ledger and have not changed their rows: a trigger of the app's on `scheduled_messages`
//! returns null. A row whose own outcome is lost stays `sending`, and becomes `unconfirmed` a minute later; one whose
//! report is lost stays, say, `sent`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock;
use crate::message::{MessageId, Uptime};
use crate::store::Store;

/// The latest results without an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEffect {
    /// How many there were since a result changed its row.
    pub results: u64,
    /// When the last of them was recorded.
    pub last: Uptime,
    /// Whether other results have changed their rows since.
    pub is_partial: bool,
}

/// What was seen of them. Clones are the same one.
#[derive(Clone, Default)]
pub(in crate::store) struct Effects(Arc<Mutex<Option<NoEffect>>>);

impl Effects {
    fn latest(&self) -> MutexGuard<'_, Option<NoEffect>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of a group of results that had no effect, and how many there are in all.
    pub(in crate::store) fn note(&self, without: &[MessageId], all: usize) {
        if !without.is_empty() {
            // Without ids it is one cause in the log, however many messages there are.
            tracing::error!(
                "results are in the ledger and did not change their rows: a trigger of scheduled_messages returns null; \
                 `punctual doctor` looks for it"
            );
        }
        for id in without {
            tracing::debug!(message.id = %id, "the result did not change its row");
        }
        let is_partial = without.len() < all;
        let mut latest = self.latest();
        if without.is_empty() {
            if let Some(latest) = latest.as_mut() {
                latest.is_partial |= is_partial;
            }
            return;
        }
        let before = latest.filter(|before| !before.is_partial);
        *latest = Some(NoEffect {
            results: before.map_or(0, |before| before.results) + without.len() as u64,
            last: clock::reading().up,
            is_partial,
        });
    }
}

impl Store {
    /// The latest results that did not change their rows; `None`: each has.
    pub fn results_without_effect(&self) -> Option<NoEffect> {
        *self.effects.latest()
    }
}
