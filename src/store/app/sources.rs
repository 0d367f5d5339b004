//! The rows of source tables that messages follow: what becomes of a message is written to its row. The other way, from
//! the row to the message, triggers in the app's statements do it (`triggers/sources.sql`).

use std::sync::atomic::Ordering;

use crate::store::{Sql, Store, StoreError, prepared};

static WRITE_BACK: &Sql = sql!("sql/write_back.sql");

impl Store {
    /// Writes outcomes to the rows that messages follow, at most so many; returns how many were written.
    pub async fn write_back(&self, most: u32) -> Result<u32, StoreError> {
        const STEP: &str = "writing outcomes to source tables";
        let client = self.client().await?;
        let write = prepared(&client, WRITE_BACK, STEP).await?;
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let row = client.query_one(&write, &[&most]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let written: Option<i32> = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        self.has_sources.store(written.is_some(), Ordering::Relaxed);
        Ok(written.map_or(0, i32::unsigned_abs))
    }

    /// Whether outcomes are written to source tables, as far as the latest [`write_back`](Self::write_back) shows.
    pub fn has_sources(&self) -> bool {
        self.has_sources.load(Ordering::Relaxed)
    }
}
