//! Reads the keys of subscriptions to push messages, and ends subscriptions: what the provider `webpush` needs.
//!
//! With connections of its own, so that a herd of these messages holds up no claim and no record.

use std::time::Duration;

use deadpool_postgres::Pool;
use futures_util::future::{self, BoxFuture, FutureExt as _};
use tokio::time::timeout;
use tokio_postgres::Row;
use uuid::Uuid;

use super::held::Held;
use super::in_app::is_of_all;
use crate::provider::webpush::{Found, Subscriptions};
use crate::store::{Dsn, Sql, StoreError, prepared};

static KEYS: &Sql = sql!("sql/push_keys.sql");
static END: &Sql = sql!("sql/push_end.sql");

/// Connections at once. Each question is one row by its key.
const CONNECTIONS: usize = 2;

/// The table, over connections that are made when they are first needed.
pub struct PushSubscriptions {
    pool: Pool,
}

impl PushSubscriptions {
    /// Of this database.
    pub fn of(dsn: &Dsn) -> Self {
        Self {
            pool: dsn.pool(CONNECTIONS),
        }
    }

    async fn keys(&self, endpoint: &str, user: Option<Uuid>) -> Result<Found, StoreError> {
        const STEP: &str = "reading the keys of a push subscription";
        let client = Held::new(self.pool.get().await.map_err(StoreError::Connect)?);
        let statement = prepared(client.get(), KEYS, STEP).await?;
        let row = client
            .get()
            .query_opt(&statement, &[&endpoint, &user])
            .await;
        let row = row.map_err(StoreError::at(STEP))?;
        client.release();
        let read = |row: Row| -> Result<Found, tokio_postgres::Error> {
            Ok(Found::Live {
                p256dh: row.try_get(0)?,
                auth: row.try_get(1)?,
            })
        };
        row.map_or(Ok(Found::None), read)
            .map_err(StoreError::unreadable(STEP))
    }

    async fn note_end(&self, endpoint: &str, reason: &str) -> Result<(), StoreError> {
        const STEP: &str = "ending a push subscription";
        let client = Held::new(self.pool.get().await.map_err(StoreError::Connect)?);
        let statement = prepared(client.get(), END, STEP).await?;
        let done = client
            .get()
            .execute(&statement, &[&endpoint, &reason])
            .await;
        done.map_err(StoreError::at(STEP))?;
        client.release();
        Ok(())
    }
}

impl Subscriptions for PushSubscriptions {
    fn open(&self) -> BoxFuture<'_, ()> {
        async {
            let opened = future::join(self.pool.get(), self.pool.get()).await;
            drop(opened);
        }
        .boxed()
    }

    fn find<'a>(
        &'a self,
        endpoint: &'a str,
        user: Option<Uuid>,
        within: Duration,
    ) -> BoxFuture<'a, Found> {
        async move {
            match timeout(within, self.keys(endpoint, user)).await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) if is_of_all(&error) => Found::Refused(error.to_string()),
                Ok(Err(error)) => Found::Unknown(error.to_string()),
                Err(_) => Found::Unknown("the database did not respond in time".to_owned()),
            }
        }
        .boxed()
    }

    fn end<'a>(
        &'a self,
        endpoint: &'a str,
        reason: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, ()> {
        async move {
            const FAILED: &str = "a push subscription has ended, which could not be noted";
            match timeout(within, self.note_end(endpoint, reason)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "{FAILED}"),
                Err(_) => tracing::warn!("{FAILED}: the database did not respond in time"),
            }
        }
        .boxed()
    }
}
