//! How much is pending beyond the window: a count over an index, made for whoever looks at the
//! debug endpoint, and so never more than one at a time nor more than one a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::message::{Moment, Uptime};
use crate::store::Store;

/// Counted up to this.
const MOST: i64 = 1_000_000;

/// A count this old still serves.
const FRESH: Duration = Duration::from_secs(1);

/// How long a question waits for the count, or for its turn to have it made.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Beyond {
    store: Store,
    latest: Arc<Mutex<Option<(Uptime, u64)>>>,
}

impl Beyond {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            latest: Arc::default(),
        }
    }

    /// How many pending messages are due after `until`; `None` if the database does not say.
    pub(super) async fn count(&self, until: Moment, now: Uptime) -> Option<u64> {
        let count = async {
            let mut latest = self.latest.lock().await;
            if let Some((at, count)) = *latest
                && now.since(at) < FRESH
            {
                return Some(count);
            }
            let count = self.store.beyond(until, MOST).await.ok()?;
            *latest = Some((now, count));
            Some(count)
        };
        timeout(PATIENCE, count).await.ok()?
    }
}
