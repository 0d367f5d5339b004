//! What the server says of itself: its clock, and whether it can prepare transactions.

use crate::message::Moment;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static NOW: &Sql = sql!("sql/now.sql");
static PREPARES: &Sql = sql!("sql/prepares.sql");

impl Store {
    /// The database's clock.
    pub async fn now(&self) -> Result<Moment, StoreError> {
        const STEP: &str = "reading the database's clock";
        let client = self.client().await?;
        let now = prepared(&client, NOW, STEP).await?;
        let row = client
            .query_one(&now, &[])
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(row
            .try_get::<_, PgTimestamp>(0)
            .map_err(StoreError::unreadable(STEP))?
            .0)
    }

    /// Whether transactions can be prepared, which cannot notify.
    pub async fn prepares_transactions(&self) -> Result<bool, StoreError> {
        const STEP: &str = "reading whether transactions can be prepared";
        let client = self.client().await?;
        let row = client.query_one(PREPARES.text(), &[]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        row.try_get("prepares")
            .map_err(StoreError::unreadable(STEP))
    }
}
