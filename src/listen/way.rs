//! What differs between LISTEN and a change feed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::{CHANNEL, Heard, Lost, Notification};
use crate::limits::daemon::ChannelLimits;
use crate::store::{Connection, Dsn, FeedHindrance, PATIENCE, Store, StoreError, feed};

/// By which way hints come.
#[derive(Clone, Debug)]
pub enum Way {
    /// LISTEN.
    Notices {
        /// Whether this instance has a change feed too, which hears what is not notified because there is one.
        beside_feed: bool,
    },
    /// A replication slot.
    Feed {
        /// An instance that has been silent for this long is dead.
        silence: Duration,
        /// Notified when one has started or stopped.
        others: Arc<Notify>,
    },
}

/// What does not come by a way although it is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Missed {
    /// What transactions commit that were prepared.
    prepared: bool,
    /// What is written for a change feed of another instance, which should have ended.
    pub(super) fed: bool,
}

impl Way {
    pub(super) async fn connect(&self, dsn: &Dsn) -> Result<(Client, Connection), Lost> {
        let connected = match self {
            Self::Notices { .. } => dsn.connect_to_primary().await,
            Self::Feed { .. } => {
                let dsn = dsn.clone().fed().map_err(Lost::Address)?;
                dsn.connect_to_primary().await
            }
        };
        connected.map_err(Lost::Connect)
    }

    /// From its end on what is committed arrives.
    pub(super) async fn subscribe(
        &self,
        client: &Client,
        limits: &ChannelLimits,
    ) -> Result<(), Lost> {
        match self {
            Self::Notices { .. } => {
                let listen = format!("listen {CHANNEL}");
                let listening = timeout(limits.proof_within, client.batch_execute(&listen)).await;
                listening.map_err(|_| Lost::Deaf)?.map_err(Lost::Listen)
            }
            Self::Feed { .. } => feed::begin(client).await.map_err(Lost::Begin),
        }
    }

    pub(super) async fn send(&self, store: &Store, payload: &str) -> Result<(), StoreError> {
        match self {
            Self::Notices { .. } => store.notify(payload).await,
            Self::Feed { .. } => store.emit(payload).await,
        }
    }

    /// Why a nonce does not arrive.
    pub(super) const fn deaf(&self) -> Lost {
        match self {
            Self::Notices { .. } => Lost::Deaf,
            Self::Feed { .. } => Lost::Behind,
        }
    }

    /// Nobody is in the way, and what does not come by it.
    pub(super) async fn look(&self, store: &Store, limits: &ChannelLimits) -> Result<Missed, Lost> {
        match self {
            Self::Notices { beside_feed } => {
                let unnotified = self.asked(store, limits, store.unnotified()).await?;
                Ok(Missed {
                    prepared: unnotified.prepares,
                    fed: unnotified.is_fed && !beside_feed,
                })
            }
            Self::Feed { .. } => {
                let free = self.is_free(store, limits).await;
                free.map(|()| Missed::default())
            }
        }
    }

    /// Nobody is in the way.
    pub(super) async fn is_free(&self, store: &Store, limits: &ChannelLimits) -> Result<(), Lost> {
        let Self::Feed { silence, .. } = self else {
            return Ok(());
        };
        let hindrance = store.feed_hindrance(*silence);
        match self.asked(store, limits, hindrance).await? {
            None => Ok(()),
            Some(FeedHindrance::Notices) => Err(Lost::Others),
            Some(FeedHindrance::Standby) => Err(Lost::Standby),
        }
    }

    /// The response to a question that goes before a nonce, and has as long as one has to arrive: a dead way swallows
    /// it as well.
    async fn asked<T>(
        &self,
        store: &Store,
        limits: &ChannelLimits,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Lost> {
        let asked = store.within_at_work(limits.proof_within, PATIENCE, question);
        asked.await.map_err(|error| match error {
            StoreError::Silent { .. } | StoreError::Mute => self.deaf(),
            other => Lost::Notify(other),
        })
    }

    /// Until something is in the way.
    pub(super) async fn hindered(&self, store: &Store, limits: &ChannelLimits) -> Lost {
        loop {
            sleep(limits.proof_every).await;
            if let Err(lost) = self.is_free(store, limits).await {
                return lost;
            }
        }
    }

    pub(super) const fn up(&self, missed: Missed) -> Heard {
        match self {
            Self::Notices { .. } => Heard::Up {
                unnotified: missed.prepared,
            },
            Self::Feed { .. } => Heard::Fed,
        }
    }

    pub(super) fn down(&self, lost: &Lost) -> Heard {
        let reason = lost.to_string();
        match self {
            Self::Notices { .. } => Heard::Down {
                reason,
                connected: matches!(lost, Lost::Listen(_) | Lost::Deaf),
            },
            Self::Feed { .. } => Heard::Unfed { reason },
        }
    }

    /// Until it may be otherwise who needs what.
    pub(super) async fn changed(&self) {
        match self {
            Self::Notices { .. } => std::future::pending().await,
            Self::Feed { others, .. } => others.notified().await,
        }
    }

    /// What one process has said, or one transaction has written.
    pub(super) const fn heard(&self, from: i32, notification: Notification) -> Heard {
        match self {
            Self::Notices { .. } => Heard::Notification(notification),
            Self::Feed { .. } => Heard::Written(from.cast_unsigned(), notification),
        }
    }
}
