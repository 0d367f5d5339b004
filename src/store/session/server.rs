//! What the server says of itself: its clock, whether it can prepare transactions, and how transactions begin.

use tokio_postgres::Client;

use crate::message::Moment;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static NOW: &Sql = sql!("sql/now.sql");
static PREPARES: &Sql = sql!("sql/prepares.sql");
static DEFAULTS: &Sql = sql!("sql/session_defaults.sql");

/// How transactions of a role begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDefaults {
    /// In Postgres's words.
    pub isolation: String,
    /// Nothing can be written.
    pub is_read_only: bool,
}

impl SessionDefaults {
    /// Reads them.
    pub async fn read(client: &Client) -> Result<Self, StoreError> {
        const STEP: &str = "reading how transactions begin";
        let row = client.query_one(DEFAULTS.text(), &[]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let read = || {
            Ok(Self {
                isolation: row.try_get("isolation")?,
                is_read_only: row.try_get("is_read_only")?,
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }
}

impl Store {
    /// How transactions begin, in one of the sessions.
    pub async fn session_defaults(&self) -> Result<SessionDefaults, StoreError> {
        SessionDefaults::read(&*self.client().await?).await
    }

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
