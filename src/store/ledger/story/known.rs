//! What an id stands for that is no message's: rows of the app's that messages follow.

use serde::Serialize;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::STEP;
use crate::message::MessageId;
use crate::store::{Sql, StoreError};

static OF: &Sql = sql!("../sql/story_of.sql");

/// A row of the app's, and the message that follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownRow {
    /// `None`: none follows it.
    pub message: Option<MessageId>,
    /// The table.
    pub table: String,
    /// The row's key.
    pub key: String,
    /// The status of a row without a message.
    pub status: Option<String>,
    /// Why it has none, if the row says so.
    pub reason: Option<String>,
}

/// The rows that this id stands for: its own, or an event's deliveries.
pub async fn known_as(client: &Client, id: Uuid) -> Result<Vec<KnownRow>, StoreError> {
    let rows = client.query(OF.text(), &[&id]).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let all: Result<_, _> = rows.iter().map(read).collect();
    all.map_err(StoreError::unreadable(STEP))
}

fn read(row: &Row) -> Result<KnownRow, tokio_postgres::Error> {
    Ok(KnownRow {
        message: row.try_get::<_, Option<Uuid>>(0)?.map(MessageId),
        table: row.try_get(1)?,
        key: row.try_get(2)?,
        status: row.try_get(3)?,
        reason: row.try_get(4)?,
    })
}
