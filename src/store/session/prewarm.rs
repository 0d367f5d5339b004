//! Opens the pool's connections before a message needs one: connecting, setting up the session and
//! planning a claim take tens of milliseconds, which would make it late.

use futures_util::future::join_all;

use crate::store::path::accepted::RECORD_ACCEPTED;
use crate::store::path::claims::{CLAIM, READ_ROWS};
use crate::store::path::outcomes::RECORD_SETTLED;
use crate::store::{Store, StoreError, prepared};

impl Store {
    /// Opens the missing connections of the pool and prepares on each the statements that messages
    /// wait for. Does nothing while all are open.
    pub async fn open(&self) -> Result<(), StoreError> {
        const STEP: &str = "preparing a connection";
        let pool = self.pool.status();
        if pool.size >= pool.max_size {
            return Ok(());
        }
        // All at once: one that is returned to the pool would be the next to be taken.
        let opened = join_all((0..pool.max_size).map(|_| self.client())).await;
        let (clients, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        let clients: Vec<_> = clients.into_iter().flatten().collect();
        if let Some(Err(error)) = refused.into_iter().next() {
            if error.is_full() {
                self.shrink(clients.len());
            }
            return Err(error);
        }
        for client in &clients {
            for sql in [CLAIM, READ_ROWS, RECORD_ACCEPTED, RECORD_SETTLED] {
                prepared(client, sql, STEP).await?;
            }
        }
        Ok(())
    }

    /// The server has room for no more than `opened` connections here: it is better to wait for one
    /// of those than to be refused another.
    fn shrink(&self, opened: usize) {
        let kept = opened.max(1);
        tracing::warn!(
            connections = kept,
            "the server has no room for as many connections as the daemon uses: it goes on with fewer, \
             and more slowly, until it is started again. Raise max_connections, or the limit of role \
             or database; `punctual doctor` says which"
        );
        self.pool.resize(kept);
    }
}
