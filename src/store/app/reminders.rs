//! Messages that missed a change of the calendar event they remind of, or the opt-out of their user. The triggers
//! on these tables change messages in the app's own transaction. They do not wait long for locks, and the app's own
//! triggers may fail in them: they record what they could not change, and that is done here.

use crate::store::{Sql, Store, StoreError, prepared};

static FOLLOW_MISSED: &Sql = sql!("sql/follow_missed.sql");

impl Store {
    /// Applies missed changes to messages, at most so many; returns to how many.
    pub async fn follow_missed(&self, most: u32) -> Result<u64, StoreError> {
        const STEP: &str = "applying changes that messages have missed";
        let client = self.client().await?;
        let follow = prepared(&client, FOLLOW_MISSED, STEP).await?;
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let row = client.query_opt(&follow, &[&most]).await;
        let followed = row
            .map_err(StoreError::at(STEP))?
            .map(|row| row.try_get::<_, i32>("followed"))
            .transpose()
            .map_err(StoreError::unreadable(STEP))?;
        Ok(followed.map_or(0, |n| u64::from(n.unsigned_abs())))
    }
}
