//! Messages that missed a change of the calendar event they remind of. The trigger on the calendar
//! moves and cancels messages in the app's own transaction, and waits for nobody for long: what it
//! could not reach it notes, and that is done here.

use crate::store::{Store, StoreError, prepared};

const FOLLOW_MISSED: &str = sql!("sql/follow_missed.sql");

/// Messages that follow in one statement, and are held by it: a transaction of the app's that moves
/// their events again waits for 100 ms.
const BATCH: i32 = 25;

impl Store {
    /// Has what missed a change of its event follow; how many messages did.
    pub async fn follow_missed(&self) -> Result<u64, StoreError> {
        const STEP: &str = "having messages follow their calendar events";
        let mut total = 0;
        loop {
            let client = self.client().await?;
            let follow = prepared(&client, FOLLOW_MISSED, STEP).await?;
            let row = client.query_opt(&follow, &[&BATCH]).await;
            let followed = row
                .map_err(StoreError::at(STEP))?
                .map(|row| row.try_get::<_, i32>("followed"))
                .transpose()
                .map_err(StoreError::unreadable(STEP))?
                .unwrap_or(0);
            total += u64::from(followed.unsigned_abs());
            // The end, or the rest is held by somebody and comes next time.
            if followed < BATCH {
                return Ok(total);
            }
        }
    }
}
