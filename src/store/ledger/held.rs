//! What is held after a restore, as the provider's list is searched for it.

use tokio_postgres::Row;

use crate::message::{MessageId, Moment};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Store, StoreError, prepared};

const ROWS: &str = sql!("sql/held_rows.sql");
const FRESH: &str = sql!("sql/held_fresh.sql");

/// A held row.
///
/// `Debug` tells neither number nor text.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// The message.
    pub id: MessageId,
    /// To whom it goes, as the row has it, white space around it taken off.
    pub to: String,
    /// By whom, where the row says so.
    pub from: Option<String>,
    /// SHA-256 of the text, as [`text_key`](super::enquiries::text_key) has it; `None`: it comes
    /// of a template.
    pub text: Option<Vec<u8>>,
    /// It was not sent before this.
    pub since: Moment,
    /// When it was written, or put back by its user.
    pub touched: Option<Moment>,
    /// Counts its user's edits.
    pub version: i64,
}

impl std::fmt::Debug for HeldRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldRow")
            .field("id", &self.id)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Rows that are due before `before`, to the numbers that follow `after`, in the order of
    /// their numbers; `most` of them.
    pub async fn held(
        &self,
        before: Moment,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<HeldRow>, StoreError> {
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
    pub async fn held_fresh(
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

fn read(row: &Row) -> Result<HeldRow, tokio_postgres::Error> {
    Ok(HeldRow {
        id: MessageId(row.try_get("id")?),
        to: row.try_get("number")?,
        from: row.try_get("from_number")?,
        text: row.try_get("text")?,
        since: row.try_get::<_, PgTimestamp>("since")?.0,
        touched: row
            .try_get::<_, Option<PgTimestamp>>("touched")?
            .map(|at| at.0),
        version: row.try_get("version")?,
    })
}
