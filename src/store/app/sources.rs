//! The rows of source tables that messages follow: what becomes of a message is written to its row. The other way, from
//! the row to the message, triggers in the app's statements do it (`triggers/sources.sql`).

use std::sync::atomic::Ordering;

use crate::store::{Sql, Store, StoreError, prepared};

static WRITE_BACK: &Sql = sql!("sql/write_back.sql");
static USER_NOTICES: &Sql = sql!("sql/send_user_notices.sql");

impl Store {
    /// Writes outcomes to the rows that messages follow, and notifies users of theirs, if that is wanted: at most so
    /// many of each. Returns the greater number.
    pub async fn write_back(&self, most: u32) -> Result<u32, StoreError> {
        const STEP: &str = "writing outcomes to source tables";
        let written = self.outcomes(WRITE_BACK, most, STEP).await?;
        let noticed = self
            .outcomes(USER_NOTICES, most, "notifying users of outcomes")
            .await?;
        let follows = written.is_some() || noticed.is_some();
        self.follows_outcomes.store(follows, Ordering::Relaxed);
        Ok(written.max(noticed).unwrap_or(0))
    }

    /// How many it was; `None`: nothing is wanted.
    async fn outcomes(
        &self,
        sql: &'static Sql,
        most: u32,
        step: &'static str,
    ) -> Result<Option<u32>, StoreError> {
        let client = self.client().await?;
        let statement = prepared(&client, sql, step).await?;
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let row = client.query_one(&statement, &[&most]).await;
        let row = row.map_err(StoreError::at(step))?;
        let done: Option<i32> = row.try_get(0).map_err(StoreError::unreadable(step))?;
        Ok(done.map(i32::unsigned_abs))
    }

    /// Whether anybody wants outcomes, as far as the latest [`write_back`](Self::write_back) shows.
    pub fn follows_outcomes(&self) -> bool {
        self.follows_outcomes.load(Ordering::Relaxed)
    }
}
