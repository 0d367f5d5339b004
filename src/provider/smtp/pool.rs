//! The connections to the SMTP server: those in use, those that are being opened, and those that wait for a message.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use crate::clock;
use crate::message::Uptime;

/// The most connections at once: more than servers let one client have is refused by them.
pub(super) const CONNECTIONS: usize = 16;

/// How long an unused connection is kept. Servers wait for minutes (RFC 5321, 4.5.3.2), relays of providers for less.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The connections to one server.
pub(super) struct Pool {
    /// Each connection has one of these while it is open, and while it is being opened.
    permits: Arc<Semaphore>,
    /// Connections that wait for a message, and since when; the latest last.
    unused: Mutex<Vec<(Uptime, Connection)>>,
    /// Notified of each that is kept.
    kept: Notify,
}

/// What a message is sent by.
pub(super) enum Next {
    /// This connection.
    Unused(Box<Connection>),
    /// One that is to be opened.
    Permit(OwnedSemaphorePermit),
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            unused: Mutex::default(),
            kept: Notify::new(),
        }
    }
}

impl Pool {
    /// An unused connection, or a permit to open one. As long as there is neither, it is waited for.
    pub(super) async fn next(&self) -> Next {
        loop {
            let mut kept = pin!(self.kept.notified());
            kept.as_mut().enable();
            if let Some((_, connection)) = self.unused().pop() {
                return Next::Unused(Box::new(connection));
            }
            tokio::select! {
                // Never closed.
                Ok(permit) = Arc::clone(&self.permits).acquire_owned() => return Next::Permit(permit),
                () = kept => {}
            }
        }
    }

    /// A permit to open a connection, in place of an unused one if need be.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return permit;
            }
            match self.next().await {
                Next::Unused(connection) => drop(connection),
                Next::Permit(permit) => return permit,
            }
        }
    }

    /// Permits to open what is missing of so many unused connections. One is left for messages.
    pub(super) fn missing(&self, connections: usize) -> Vec<OwnedSemaphorePermit> {
        let missing = connections.saturating_sub(self.unused().len());
        let permit = |_| {
            let is_left = self.permits.available_permits() > 1;
            is_left.then(|| Arc::clone(&self.permits).try_acquire_owned().ok())?
        };
        (0..missing.min(CONNECTIONS)).map_while(permit).collect()
    }

    /// Keeps a connection for the next message.
    pub(super) fn keep(&self, connection: Connection) {
        self.unused().push((clock::reading().up, connection));
        self.kept.notify_one();
    }

    fn unused(&self) -> MutexGuard<'_, Vec<(Uptime, Connection)>> {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::reading().up;
        unused.retain(|(since, _)| now.since(*since) < IDLE_MAX);
        unused
    }
}
