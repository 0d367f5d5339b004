//! Tries the app's refused writes again, each in a transaction of its own.

use std::time::Duration;

use super::preferences;
use super::rows::{self, Write};
use crate::schedule::Backoff;
use crate::store::{Sql, Store, StoreError, millis, prepared};

static DUE: &Sql = sql!("sql/outbox_due.sql");
static DONE: &Sql = sql!("sql/outbox_done.sql");
static AGAIN: &Sql = sql!("sql/outbox_again.sql");

/// An app that refuses a write may be fixed later, so writes are retried without end, less and less often.
const PAUSE: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(3600));

impl Store {
    /// Tries the next write of the outbox. `None`: none is due; otherwise whether it succeeded.
    pub async fn outbox_next(&self) -> Result<Option<bool>, StoreError> {
        const STEP: &str = "retrying a write of the outbox";
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let due = prepared(&tx, DUE, STEP).await?;
        let Some(row) = tx
            .query_opt(&due, &[&1_i64, &self.steady_now()])
            .await
            .map_err(StoreError::at(STEP))?
        else {
            return Ok(None);
        };
        let read = || -> Result<(i64, serde_json::Value, i32), tokio_postgres::Error> {
            Ok((
                row.try_get("id")?,
                row.try_get("write")?,
                row.try_get("attempts")?,
            ))
        };
        let (id, write, attempts) = read().map_err(StoreError::unreadable(STEP))?;

        let refused = match serde_json::from_value::<Write>(write) {
            Err(e) => Some(rows::Refusal {
                names: format!("not a write of this version: {e}"),
                words: None,
            }),
            Ok(Write::Delivered(delivered)) => rows::write_again(&tx, &delivered).await?,
            Ok(Write::Reply(kept)) => rows::write_reply_again(&tx, &kept).await?,
            Ok(Write::OptOut { theirs }) => preferences::write_opt_out_again(&tx, &theirs).await?,
            Ok(Write::Status { status_of }) => rows::write_status_again(&tx, &status_of).await?,
        };
        match &refused {
            None => {
                let done = prepared(&tx, DONE, STEP).await?;
                tx.execute(&done, &[&id])
                    .await
                    .map_err(StoreError::at(STEP))?;
            }
            Some(error) => {
                let again = prepared(&tx, AGAIN, STEP).await?;
                let pause = PAUSE.pause(u32::try_from(attempts).unwrap_or(0) + 1);
                let (pause, now) = (millis(pause), self.steady_now());
                tx.execute(&again, &[&id, &error.names, &error.words, &pause, &now])
                    .await
                    .map_err(StoreError::at(STEP))?;
            }
        }
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok(Some(refused.is_none()))
    }
}
