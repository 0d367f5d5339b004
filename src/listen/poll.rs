//! In place of the notification channel where there is none: behind a pooler in transaction mode, or on an engine
//! without NOTIFY. Nothing is heard there; the sweeps of the reactor find what has changed. What is left to do here is
//! to know whether the database answers, and to have others look for what they are notified of elsewhere.

use std::pin::pin;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::Heard;
use crate::limits::daemon::ChannelLimits;
use crate::store::{ConnectError, Dsn, PATIENCE, SessionDefaults, Store, StoreError};

/// Of the levels of isolation the only one in which a statement sees what others have just committed.
const ISOLATION: &str = "read committed";

/// Why changes cannot be polled.
#[derive(Debug, thiserror::Error)]
pub enum Unpolled {
    /// No session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database does not say how transactions begin.
    #[error(transparent)]
    Unknown(#[from] StoreError),
    /// Each transaction would have to set it before its first statement.
    #[error(
        "transactions of this role begin {isolation}{}, and where changes are polled no session can set that: \
         alter role … reset default_transaction_isolation, and reset default_transaction_read_only (or those of the database)",
        if *is_read_only { ", read only" } else { "" }
    )]
    Defaults {
        /// As Postgres calls it.
        isolation: String,
        /// Nothing could be claimed.
        is_read_only: bool,
    },
}

impl Unpolled {
    /// Whether the database is away, perhaps only for a moment.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_away(),
            Self::Unknown(error) => error.is_away(),
            // A primary that is read only may have been a standby a moment ago, but then its role is not.
            Self::Defaults { .. } => false,
        }
    }
}

/// Checks before the start that transactions begin as they must, in one of the pooler's sessions; the others are
/// checked as they come ([`poll`]).
pub async fn check_polled(dsn: &Dsn) -> Result<(), Unpolled> {
    let defaults = match dsn.with_session(SessionDefaults::read).await? {
        // The statement only saw its connection close.
        (Err(_), Some(lost)) => return Err(lost.into()),
        (read, _) => read?,
    };
    permitted(defaults)
}

/// Reports whether the database answers and transactions begin as they must, until `heard` is closed.
pub async fn poll(store: Store, heard: mpsc::Sender<Heard>, limits: ChannelLimits) {
    let mut failures = 0_u32;
    let mut is_up = false;
    loop {
        let (news, pause) = match asked(&store, &limits).await {
            Ok(()) if is_up => (Heard::Polled, limits.proof_every),
            Ok(()) => {
                (is_up, failures) = (true, 0);
                (Heard::Up { unnotified: true }, limits.proof_every)
            }
            Err(error) => {
                is_up = false;
                failures = failures.saturating_add(1);
                let down = Heard::Down {
                    reason: error.to_string(),
                    connected: false,
                };
                (down, limits.reconnect.spread(failures, Uuid::new_v4()))
            }
        };
        if heard.send(news).await.is_err() {
            return;
        }
        sleep(pause).await;
    }
}

/// Asks the database how transactions begin, in whichever session the pooler gives: they may have been made before the
/// role was changed, or after. It may take as long as the server is observed to work on it; and as long as a window is
/// read, for which a single session is taken.
async fn asked(store: &Store, limits: &ChannelLimits) -> Result<(), Unpolled> {
    let mut defaults = pin!(store.session_defaults());
    let defaults = loop {
        if store.is_reading_window() {
            match timeout(limits.proof_within, &mut defaults).await {
                Ok(defaults) => break defaults,
                Err(_) => continue,
            }
        }
        let answer = store.within_at_work(limits.proof_within, PATIENCE, &mut defaults);
        match answer.await {
            // It began meanwhile.
            Err(StoreError::Silent { .. }) if store.is_reading_window() => {}
            answer => break answer,
        }
    };
    permitted(defaults?)
}

fn permitted(defaults: SessionDefaults) -> Result<(), Unpolled> {
    if defaults.isolation == ISOLATION && !defaults.is_read_only {
        return Ok(());
    }
    let SessionDefaults {
        isolation,
        is_read_only,
    } = defaults;
    Err(Unpolled::Defaults {
        isolation,
        is_read_only,
    })
}
