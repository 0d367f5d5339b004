//! What is held after a restore, as the provider's list is searched for it.

use tokio_postgres::Row;

use super::look_ups::text_key;
use crate::message::{MessageId, Moment};
use crate::proof::quarantine::QuarantinedRow;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Store, StoreError, prepared};

const ROWS: &str = sql!("sql/quarantine_rows.sql");
const FRESH: &str = sql!("sql/quarantine_fresh.sql");

impl Store {
    /// Rows that are due before `before`, to the numbers that follow `after`, in the order of
    /// their numbers; `most` of them.
    pub async fn quarantined(
        &self,
        before: Moment,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<QuarantinedRow>, StoreError> {
        const STEP: &str = "reading what is held";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let client = self.client().await?;
        let statement = prepared(&client, ROWS, STEP).await?;
        let rows = client
            .query(&statement, &[&PgTimestamp(before), &after, &most])
            .await
            .map_err(StoreError::at(STEP))?;
        rows.iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// Of what is due before `before`, some that were written after `after`.
    pub async fn quarantine_fresh(
        &self,
        before: Moment,
        after: Moment,
        most: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        const STEP: &str = "looking for what was written since the hold";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let client = self.client().await?;
        let statement = prepared(&client, FRESH, STEP).await?;
        let rows = client
            .query(
                &statement,
                &[&PgTimestamp(before), &PgTimestamp(after), &most],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        rows.iter()
            .map(|row| Ok(MessageId(row.try_get(0)?)))
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }
}

fn read(row: &Row) -> Result<QuarantinedRow, tokio_postgres::Error> {
    Ok(QuarantinedRow {
        id: MessageId(row.try_get("id")?),
        to: row.try_get("number")?,
        from: row.try_get("from_number")?,
        text: text_key(row.try_get("text")?),
        since: row.try_get::<_, PgTimestamp>("since")?.0,
        touched: row
            .try_get::<_, Option<PgTimestamp>>("touched")?
            .map(|at| at.0),
        version: row.try_get("version")?,
    })
}
