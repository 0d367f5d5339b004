//! Sends on the notification channel.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::store::{Sql, Store, StoreError, prepared};

static NOTIFY: &Sql = sql!("sql/notify.sql");

impl Store {
    /// Sends a payload on the notification channel, over a connection of the pool.
    pub async fn notify(&self, payload: &str) -> Result<(), StoreError> {
        const STEP: &str = "notifying";
        let client = self.client().await?;
        let notify = prepared(&client, NOTIFY, STEP).await?;
        client
            .query(&notify, &[&payload])
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }
}

/// Sends a payload on the notification channel, in a session without settings. In one protocol message, with
/// nothing prepared: a pooler may pass each message to another session.
pub async fn notify_plainly(client: &Client, payload: &str) -> Result<(), StoreError> {
    client
        .query_typed(NOTIFY.text(), &[(&payload, Type::TEXT)])
        .await
        .map_err(StoreError::at("notifying"))?;
    Ok(())
}
