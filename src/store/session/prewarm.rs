//! Opens the pool's connections before a message needs one: to connect, to make the session's
//! settings and to plan a claim takes tens of milliseconds, which would be its lateness.

use futures_util::future::try_join_all;

use crate::store::path::accepted::RECORD_ACCEPTED;
use crate::store::path::claims::{CLAIM, READ_ROWS};
use crate::store::path::outcomes::RECORD_SETTLED;
use crate::store::{Store, StoreError, prepared};

impl Store {
    /// Opens what is missing of the pool and prepares on each connection the statements that
    /// messages wait for. Does nothing while all are open.
    pub async fn open(&self) -> Result<(), StoreError> {
        const STEP: &str = "preparing a connection";
        let pool = self.pool.status();
        if pool.size >= pool.max_size {
            return Ok(());
        }
        // All at once: one that is given back would be the next to be handed out.
        let clients = try_join_all((0..pool.max_size).map(|_| self.client())).await?;
        for client in &clients {
            for sql in [CLAIM, READ_ROWS, RECORD_ACCEPTED, RECORD_SETTLED] {
                prepared(client, sql, STEP).await?;
            }
        }
        Ok(())
    }
}
