//! What the server says of itself: its clock, what commits need not notify, and how transactions begin.

use tokio_postgres::Client;

use crate::message::Moment;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static NOW: &Sql = sql!("sql/now.sql");
static UNNOTIFIED: &Sql = sql!("sql/unnotified.sql");
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

/// What commits need not notify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unnotified {
    /// Transactions can be prepared, and cannot notify then.
    pub prepares: bool,
    /// There is a change feed, to which triggers write in place of notifying.
    pub is_fed: bool,
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

    /// What commits need not notify.
    pub async fn unnotified(&self) -> Result<Unnotified, StoreError> {
        const STEP: &str = "reading what is not notified";
        let client = self.client().await?;
        let row = client.query_one(UNNOTIFIED.text(), &[]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let read = || {
            Ok(Unnotified {
                prepares: row.try_get("prepares")?,
                is_fed: row.try_get("is_fed")?,
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }
}
