//! What differs between LISTEN and a change feed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::{CHANNEL, Heard, Lost, Notification};
use crate::limits::daemon::ChannelLimits;
use crate::store::{Connection, Dsn, Store, StoreError, feed};

/// By which way hints come.
#[derive(Clone, Debug)]
pub enum Way {
    /// LISTEN.
    Notices,
    /// A replication slot.
    Feed {
        /// An instance that has been silent for this long is dead.
        silence: Duration,
        /// Notified when one has started or stopped.
        others: Arc<Notify>,
    },
}

impl Way {
    pub(super) async fn connect(&self, dsn: &Dsn) -> Result<(Client, Connection), Lost> {
        let connected = match self {
            Self::Notices => dsn.connect_to_primary().await,
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
            Self::Notices => {
                let listen = format!("listen {CHANNEL}");
                let listening = timeout(limits.proof_within, client.batch_execute(&listen)).await;
                listening.map_err(|_| Lost::Deaf)?.map_err(Lost::Listen)
            }
            Self::Feed { .. } => feed::begin(client).await.map_err(Lost::Begin),
        }
    }

    pub(super) async fn send(&self, store: &Store, payload: &str) -> Result<(), StoreError> {
        match self {
            Self::Notices => store.notify(payload).await,
            Self::Feed { .. } => store.emit(payload).await,
        }
    }

    /// Why a nonce does not arrive.
    pub(super) const fn deaf(&self) -> Lost {
        match self {
            Self::Notices => Lost::Deaf,
            Self::Feed { .. } => Lost::Behind,
        }
    }

    /// Nobody is in the way.
    pub(super) async fn is_free(&self, store: &Store) -> Result<(), Lost> {
        let Self::Feed { silence, .. } = self else {
            return Ok(());
        };
        match store.bounded(store.notices_needed(*silence)).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(Lost::Others),
            Err(error) => Err(Lost::Notify(error)),
        }
    }

    pub(super) async fn up(&self, store: &Store) -> Result<Heard, Lost> {
        if let Self::Feed { .. } = self {
            return Ok(Heard::Fed);
        }
        let prepares = store.bounded(store.prepares_transactions()).await;
        let unnotified = prepares.map_err(Lost::Notify)?;
        Ok(Heard::Up { unnotified })
    }

    pub(super) fn down(&self, lost: &Lost) -> Heard {
        let reason = lost.to_string();
        match self {
            Self::Notices => Heard::Down {
                reason,
                connected: matches!(lost, Lost::Listen(_) | Lost::Deaf),
            },
            Self::Feed { .. } => Heard::Unfed { reason },
        }
    }

    /// Until it may be otherwise who needs what.
    pub(super) async fn changed(&self) {
        match self {
            Self::Notices => std::future::pending().await,
            Self::Feed { others, .. } => others.notified().await,
        }
    }

    /// What one process has said, or one transaction has written.
    pub(super) const fn heard(&self, from: i32, notification: Notification) -> Heard {
        match self {
            Self::Notices => Heard::Notification(notification),
            Self::Feed { .. } => Heard::Written(from.cast_unsigned(), notification),
        }
    }
}
