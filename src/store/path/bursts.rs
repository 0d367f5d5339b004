//! Texts to new numbers, counted by what they say before they are sent.

use uuid::Uuid;

use super::outcomes::notify_ids;
use crate::message::MessageId;
use crate::policy::{Burst, TextWords};
use crate::store::{Sql, Store, StoreError, prepared};

static COUNT: &Sql = sql!("sql/texts_count.sql");
static FREE: &Sql = sql!("sql/texts_free.sql");
static PRUNE: &Sql = sql!("sql/texts_prune.sql");

/// What became of a text that so many others say the same as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equal {
    /// It waits for a person.
    Held {
        /// It is the first one, or one of the first together.
        has_begun: bool,
    },
    /// A person has let it go.
    LetGo,
}

impl Store {
    /// Counts these, in their order: the message, what it says, and to whom it is. Returns those of them that are held,
    /// and those that a person has freed.
    pub async fn count_texts(
        &self,
        texts: &[(MessageId, TextWords, &str)],
        burst: Burst,
    ) -> Result<Vec<(MessageId, Equal)>, StoreError> {
        const STEP: &str = "counting equal texts";
        let ids: Vec<Uuid> = texts.iter().map(|(id, ..)| id.0).collect();
        let says: Vec<&str> = texts.iter().map(|(_, says, _)| says.as_str()).collect();
        let numbers: Vec<&str> = texts.iter().map(|(.., to)| *to).collect();
        let span = i64::try_from(burst.span.as_micros()).unwrap_or(i64::MAX);
        let client = self.client().await?;
        let count = prepared(&client, COUNT, STEP).await?;
        let rows = client
            .query(
                &count,
                &[
                    &ids,
                    &says,
                    &numbers,
                    &i64::from(burst.most),
                    &span,
                    &burst.why(),
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        let read = |row: &tokio_postgres::Row| -> Result<_, tokio_postgres::Error> {
            let equal = if row.try_get("is_held")? {
                Equal::Held {
                    has_begun: row.try_get("has_begun")?,
                }
            } else {
                Equal::LetGo
            };
            Ok((MessageId(row.try_get("id")?), equal))
        };
        let read = rows.iter().map(read).collect::<Result<_, _>>();
        read.map_err(StoreError::unreadable(STEP))
    }

    /// Makes what is held no longer due again, some `most` messages; returns how many, and whether any were held.
    pub async fn free_texts(&self, most: u32) -> Result<(u64, bool), StoreError> {
        const STEP: &str = "freeing equal texts";
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let free = prepared(&tx, FREE, STEP).await?;
        let row = tx.query_one(&free, &[&i64::from(most)]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let read = || -> Result<_, tokio_postgres::Error> {
            let due: Vec<Uuid> = row.try_get("due")?;
            Ok((due, row.try_get::<_, i64>("n")?, row.try_get("is_held")?))
        };
        let (due, n, is_held) = read().map_err(StoreError::unreadable(STEP))?;
        let due: Vec<_> = due.into_iter().map(MessageId).collect();
        notify_ids(&tx, &due).await?;
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok((n.unsigned_abs(), is_held))
    }

    /// Forgets what was counted more than a day ago, some `most` rows; returns how many.
    pub async fn forget_texts(&self, most: u32) -> Result<u64, StoreError> {
        const STEP: &str = "forgetting equal texts";
        let client = self.client().await?;
        let prune = prepared(&client, PRUNE, STEP).await?;
        let row = client.query_one(&prune, &[&i64::from(most)]).await;
        let n: i64 = row
            .map_err(StoreError::at(STEP))?
            .try_get("n")
            .map_err(StoreError::unreadable(STEP))?;
        Ok(n.unsigned_abs())
    }
}
