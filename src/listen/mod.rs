//! The notification channel: a separate connection that LISTENs, and verifies that notifications arrive. The change
//! feed (`feed.rs`) is listened to in the same way.
//!
//! `LISTEN` succeeds through a pooler in transaction mode and delivers nothing, and a socket
//! whose other end is gone is silent too. So a nonce is notified from *another* connection,
//! at the start and every few seconds; the channel is up only once the nonce has arrived.

use futures_util::stream::poll_fn;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use crate::limits::daemon::ChannelLimits;
use crate::store::{ConnectError, Dsn, DsnError, PATIENCE, Store, StoreError, refusal_of};

mod feed;
mod notification;
mod poll;
mod proof;
mod visible;
mod way;

pub use feed::{Unfed, check_fed};
pub use notification::Notification;
pub use poll::{Unpolled, check_polled, poll};
pub use proof::{Unproven, prove};
pub use visible::when_visible;
use way::Missed;
pub use way::Way;

/// The channel, as the triggers name it.
pub const CHANNEL: &str = "punctual";

/// What the listener reports.
#[derive(Debug)]
pub enum Heard {
    /// The channel is verified: commits from now on are notified.
    Up {
        /// But for those of transactions that were prepared, which the server permits; or none is, where changes are
        /// polled.
        unnotified: bool,
    },
    /// Whether a change feed is there that this instance does not hear and that should have ended: as long as it is,
    /// what is committed is written for it, and not notified.
    Deafened(bool),
    /// Where changes are polled: the database answers. What else is notified elsewhere may have changed.
    Polled,
    /// The channel is closed, or deaf.
    Down {
        /// The reason, for people.
        reason: String,
        /// Whether there was a connection to the database.
        connected: bool,
    },
    /// The change feed is verified: commits from now on arrive by it.
    Fed,
    /// There is no change feed; what is committed is notified.
    Unfed {
        /// The reason, for people.
        reason: String,
    },
    /// A notification that rows changed.
    Notification(Notification),
    /// The same by a change feed, and whose: the low half of a transaction's id. It may be before others see what the
    /// transaction has changed ([`when_visible`]).
    Written(u32, Notification),
}

/// The reason when a nonce did not arrive.
const DEAF: &str = "notifications do not arrive: a pooler in transaction mode, or a dead connection \
     (use a direct or session-mode connection, on Supabase port 5432, or set PUNCTUAL_CHANGES=poll)";

/// Why there may be no feed where commits would wait for it.
const WAITED_FOR: &str = "synchronous_standby_names has a daemon's connection too, so every commit would wait for a \
     daemon: name the standbys one by one, and not this application_name; or set PUNCTUAL_CHANGES=notify";

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("DATABASE_URL {0}")]
    Address(#[source] DsnError),
    #[error("cannot connect: {0}")]
    Connect(#[source] ConnectError),
    #[error("LISTEN failed: {}", refusal_of(.0))]
    Listen(#[source] tokio_postgres::Error),
    #[error("the server makes no slot: {}", refusal_of(.0))]
    Begin(#[source] tokio_postgres::Error),
    #[error("the connection was lost: {}", refusal_of(.0))]
    Broken(#[source] tokio_postgres::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("cannot notify from another connection: {0}")]
    Notify(#[source] StoreError),
    #[error("{}", DEAF)]
    Deaf,
    #[error(
        "a nonce does not arrive: the server is behind with the log, or the connection is dead"
    )]
    Behind,
    #[error(
        "another instance needs notifications (PUNCTUAL_CHANGES=notify, or an earlier version)"
    )]
    Others,
    #[error("{}", WAITED_FOR)]
    Standby,
    #[error("internal error: no receiver for notifications")]
    Unheard,
}

/// Listens until `heard` is closed. Reconnects with backoff; every loss is reported.
pub async fn listen(
    dsn: Dsn,
    store: Store,
    heard: mpsc::Sender<Heard>,
    limits: ChannelLimits,
    way: Way,
) {
    let mut failures = 0_u32;
    loop {
        let mut was_up = false;
        let lost = match session(&dsn, &store, &heard, &mut was_up, &limits, &way).await {
            Lost::Unheard => return,
            lost => lost,
        };
        if !was_up && matches!(lost, Lost::Deaf) {
            // This connection is new, and leads to the current server. Those that notify may not: if
            // another server has taken over, the previous one may still respond on them.
            store.distrust();
        }
        failures = if was_up {
            1
        } else {
            failures.saturating_add(1)
        };
        if heard.send(way.down(&lost)).await.is_err() {
            return;
        }
        let pause = match lost {
            Lost::Others | Lost::Standby => limits.proof_every,
            _ => limits.reconnect.spread(failures, Uuid::new_v4()),
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = way.changed() => {}
        }
    }
}

/// One connection, from its start to its end.
async fn session(
    dsn: &Dsn,
    store: &Store,
    heard: &mpsc::Sender<Heard>,
    was_up: &mut bool,
    limits: &ChannelLimits,
    way: &Way,
) -> Lost {
    if let Err(lost) = way.is_free(store, limits).await {
        return lost;
    }
    let (client, mut connection) = match way.connect(dsn).await {
        Ok(connected) => connected,
        Err(lost) => return lost,
    };
    let mut messages = std::pin::pin!(poll_fn(move |cx| connection.poll_message(cx)));
    let subscribed = way.subscribe(&client, limits);
    match meanwhile(subscribed, &mut messages, heard, way).await {
        Ok(Ok(())) => {}
        Ok(Err(lost)) | Err(lost) => return lost,
    }
    match prove_for_ever(&mut messages, store, heard, was_up, limits, way).await {
        Err(lost) => lost,
        Ok(never) => match never {},
    }
}

/// Waits for this. The connection only moves while its messages are polled, and what it brings does not wait.
async fn meanwhile<T>(
    done: impl Future<Output = T>,
    messages: &mut (impl Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Unpin),
    heard: &mpsc::Sender<Heard>,
    way: &Way,
) -> Result<T, Lost> {
    let mut done = std::pin::pin!(done);
    loop {
        tokio::select! {
            done = &mut done => return Ok(done),
            message = messages.next() => pass_on(message, None, heard, way).await?,
        };
    }
}

async fn prove_for_ever(
    messages: &mut (impl Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Unpin),
    store: &Store,
    heard: &mpsc::Sender<Heard>,
    was_up: &mut bool,
    limits: &ChannelLimits,
    way: &Way,
) -> Result<std::convert::Infallible, Lost> {
    let mut missed = Missed::default();
    loop {
        let before = missed;
        missed = meanwhile(way.look(store, limits), messages, heard, way).await??;
        // Also that there is none any more: there may have been one before this connection.
        if missed.fed || before.fed || !*was_up {
            let deafened = Heard::Deafened(missed.fed);
            heard.send(deafened).await.map_err(|_| Lost::Unheard)?;
        }
        // Commits may wait for whatever is in the way now.
        tokio::select! {
            proven = prove_once(messages, store, heard, limits, way) => proven?,
            lost = way.hindered(store, limits) => return Err(lost),
        }
        if !*was_up {
            *was_up = true;
            heard
                .send(way.up(missed))
                .await
                .map_err(|_| Lost::Unheard)?;
        }
        let every = if missed.fed {
            limits.deafened_every
        } else {
            limits.proof_every
        };
        let mut pause = std::pin::pin!(sleep(every));
        let mut distrusted = std::pin::pin!(store.distrusted());
        let mut changed = std::pin::pin!(way.changed());
        loop {
            tokio::select! {
                message = messages.next() => {
                    pass_on(message, None, heard, way).await?;
                }
                () = &mut pause => break,
                // This one leads to the same server.
                () = &mut distrusted => break,
                () = &mut changed => break,
            }
        }
    }
}

/// Has a nonce notified, and waits for it.
async fn prove_once(
    messages: &mut (impl Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Unpin),
    store: &Store,
    heard: &mpsc::Sender<Heard>,
    limits: &ChannelLimits,
    way: &Way,
) -> Result<(), Lost> {
    let nonce = Uuid::new_v4();
    let payload = Notification::nonce(nonce);
    // It is a commit, which waits for a slow disk like any other: it may take as long as the server
    // is observed to work on it.
    let notify = store.within_at_work(limits.proof_within, PATIENCE, way.send(store, &payload));
    let mut notify = std::pin::pin!(notify);
    let mut too_late = std::pin::pin!(sleep(limits.proof_within));
    let mut notified = false;
    let mut proven = false;
    while !(proven && notified) {
        tokio::select! {
            done = &mut notify, if !notified => {
                match done {
                    Ok(()) => {}
                    // Either connection may be the silent one.
                    Err(StoreError::Silent { .. } | StoreError::Mute) => return Err(way.deaf()),
                    Err(other) => return Err(Lost::Notify(other)),
                }
                notified = true;
                too_late.set(sleep(limits.proof_within));
            }
            message = messages.next() => proven |= pass_on(message, Some(nonce), heard, way).await?,
            () = &mut too_late, if notified => return Err(way.deaf()),
        }
    }
    Ok(())
}

/// Passes on a message of the connection. Returns whether it was the nonce.
async fn pass_on(
    message: Option<Result<AsyncMessage, tokio_postgres::Error>>,
    nonce: Option<Uuid>,
    heard: &mpsc::Sender<Heard>,
    way: &Way,
) -> Result<bool, Lost> {
    let notification = match message {
        None => return Err(Lost::Closed),
        Some(Err(e)) => return Err(Lost::Broken(e)),
        Some(Ok(AsyncMessage::Notification(n))) if n.channel() == CHANNEL => n,
        Some(Ok(_)) => return Ok(false),
    };
    let from = notification.process_id();
    match Notification::parse(notification.payload()) {
        Some(Notification::Nonce(heard)) => Ok(nonce == Some(heard)),
        Some(notification) => {
            let said = way.heard(from, notification);
            let sent = heard.send(said).await;
            sent.map_err(|_| Lost::Unheard)?;
            Ok(false)
        }
        None => {
            tracing::debug!("ignored a notification that cannot be parsed");
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests;
