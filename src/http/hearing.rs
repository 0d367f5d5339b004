//! Hears what the other instances publish: one task for all viewers, while there are any. Its reads delay no viewer.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::HttpState;
use super::jobs::Kind;
use crate::limits::daemon::HeartbeatLimits;
use crate::store::Store;

/// How viewers and the task know of each other. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Hearing(Arc<Notifications>);

#[derive(Default)]
struct Notifications {
    /// There is a viewer.
    wanted: Notify,
    /// The others have been heard, or cannot be.
    heard: Notify,
}

impl HttpState {
    /// Hears the others for the first viewer, so that it begins with all that is known; not longer than a moment.
    pub(super) async fn hear_soon(&self) {
        let notifications = &self.hearing.0;
        let mut heard = std::pin::pin!(notifications.heard.notified());
        heard.as_mut().enable();
        notifications.wanted.notify_one();
        // With other viewers the task is at it anyway.
        if self.stories.is_some() && self.metrics.feed().followers() == 1 {
            // Without a result in time they are heard later.
            let _ = timeout(self.limits.first_hearing, heard).await;
        }
    }

    /// Hears the others, until it is dropped.
    pub(super) async fn keep_hearing(self) {
        let Some((store, _)) = &self.stories else {
            return std::future::pending().await;
        };
        let notifications = &self.hearing.0;
        loop {
            if self.metrics.feed().followers() == 0 {
                notifications.wanted.notified().await;
            }
            self.hear(store.clone()).await;
            notifications.heard.notify_waiters();
            sleep(self.limits.hear_every).await;
        }
    }

    async fn hear(&self, store: Store) {
        let (own, patience) = (store.instance(), self.limits.forecast);
        let silence = HeartbeatLimits::default().silence;
        let read = async move { store.within(patience, store.feeds(silence)).await };
        match self.jobs.run(Kind::Single, patience, read).await {
            Ok(Ok(feeds)) => self.metrics.hear(own, &feeds),
            // What was heard last is shown with its time.
            Err(_) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "what the other instances have published could not be read");
            }
        }
    }
}
