//! Verifies before the start that notifications arrive, on two plain connections.
//!
//! Behind a pooler in transaction mode a daemon would not only be deaf: the settings of its
//! sessions would remain in sessions that the app gets next. So this is done first, and sets
//! nothing.

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::time::timeout;
use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use super::{CHANNEL, DEAF, Notification};
use crate::limits::daemon::ChannelLimits;
use crate::store::{ConnectError, Dsn, StoreError, notify_plainly, refusal_of};

/// Why notifications do not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// No session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// `LISTEN` is refused, for example by a standby.
    #[error("LISTEN failed: {}", refusal_of(.0))]
    Listen(#[source] tokio_postgres::Error),
    /// `NOTIFY` is refused.
    #[error(transparent)]
    Notify(#[from] StoreError),
    /// The nonce did not arrive.
    #[error("{}", DEAF)]
    Deaf,
}

impl Unproven {
    /// Whether the database is away, perhaps only for a moment.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_away(),
            Self::Notify(error) => error.is_away(),
            Self::Listen(_) | Self::Deaf => false,
        }
    }
}

/// Listens on one connection, notifies a nonce from another, and waits for it.
pub async fn prove(dsn: &Dsn, limits: &ChannelLimits) -> Result<(), Unproven> {
    let (listener, mut hearing) = dsn.connect_to_primary().await?;
    let (notifier, speaking) = dsn.connect().await?;
    let nonce = Uuid::new_v4();
    let payload = Notification::nonce(nonce);
    let ask = async {
        let listen = format!("listen {CHANNEL}");
        let listening = listener.batch_execute(&listen).await;
        listening.map_err(Unproven::Listen)?;
        notify_plainly(&notifier, &payload).await?;
        // Until the nonce arrives, or the time-out.
        std::future::pending().await
    };
    let mut messages = poll_fn(|cx| hearing.poll_message(cx));
    let hear = async {
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(said) = message
                && Notification::parse(said.payload()) == Some(Notification::Nonce(nonce))
            {
                return Ok(());
            }
        }
        // The connection ended: a query on it gets the error, or runs into its time-out.
        std::future::pending().await
    };
    let speak = async {
        // The same for this one.
        let _ = speaking.await;
        std::future::pending().await
    };
    let proof = async {
        tokio::select! {
            failed = ask => failed,
            heard = hear => heard,
            never = speak => never,
        }
    };
    timeout(limits.proof_within, proof)
        .await
        .unwrap_or(Err(Unproven::Deaf))
}
