//! Whether there can be a change feed (docs/feed.md). The notification channel stays beside it: triggers notify
//! whenever no feed's slot is there, and always of all but rows.

use tokio_postgres::error::SqlState;

use super::WAITED_FOR;
use crate::store::feed::FeedCondition;
use crate::store::{ConnectError, Dsn, DsnError, StoreError};

/// Why there can be no change feed.
#[derive(Debug, thiserror::Error)]
pub enum Unfed {
    /// By a Unix socket.
    #[error("DATABASE_URL {0}")]
    Address(#[from] DsnError),
    /// No session, or none that replicates.
    #[error(transparent)]
    Connect(ConnectError),
    /// The database does not say how it is set.
    #[error(transparent)]
    Unknown(#[from] StoreError),
    /// The server's log has too little.
    #[error(
        "PUNCTUAL_CHANGES=feed needs wal_level = logical, and it is {0}: alter system set wal_level = 'logical', and \
         restart the server; or set PUNCTUAL_CHANGES=notify"
    )]
    Level(String),
    /// No publication.
    #[error(
        "PUNCTUAL_CHANGES=feed needs the publication punctual_feed: run `punctual migrate` with PUNCTUAL_CHANGES=feed"
    )]
    Publication,
    /// The app's commits would wait for the daemon.
    #[error("{}", WAITED_FOR)]
    Standby,
    /// Not a role that may replicate.
    #[error(
        "PUNCTUAL_CHANGES=feed needs a role that may replicate: alter role … replication (where a provider forbids \
         that: PUNCTUAL_CHANGES=notify). The server says: {0}"
    )]
    Role(ConnectError),
}

impl Unfed {
    /// Whether the database is away, perhaps only for a moment.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_away(),
            Self::Unknown(error) => error.is_away(),
            Self::Address(_)
            | Self::Level(_)
            | Self::Publication
            | Self::Standby
            | Self::Role(_) => false,
        }
    }
}

/// Checks that there can be a feed, all but the slot: with one that was left by a daemon, or while a transaction is
/// open, it is only a matter of time.
pub async fn check_fed(dsn: &Dsn) -> Result<FeedCondition, Unfed> {
    let read = dsn.with_session(FeedCondition::read);
    let condition = match read.await.map_err(Unfed::Connect)? {
        // The statement only saw its connection close.
        (Err(_), Some(lost)) => return Err(Unfed::Connect(lost)),
        (read, _) => read?,
    };
    if condition.wal_level != "logical" {
        return Err(Unfed::Level(condition.wal_level));
    }
    if !condition.is_published {
        return Err(Unfed::Publication);
    }
    if condition.is_waited_for {
        return Err(Unfed::Standby);
    }
    match dsn.clone().fed()?.connect_to_primary().await {
        Ok(_) => Ok(condition),
        Err(ConnectError::Refused { source, place })
            if source.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) =>
        {
            Err(Unfed::Role(ConnectError::Refused { source, place }))
        }
        Err(error) => Err(Unfed::Connect(error)),
    }
}
