//! The table as its users have it: a session like the app's own, guarded and heard by the
//! triggers. For the demo and for people without an app.

use tokio_postgres::Client;

use super::StoreError;
use super::at::At;
use crate::message::{MessageId, Moment, Status};

const INSERT: &str = include_str!("sql/user_insert.sql");
const RESCHEDULE: &str = include_str!("sql/user_reschedule.sql");
const EDIT: &str = include_str!("sql/user_edit.sql");
const CANCEL: &str = include_str!("sql/user_cancel.sql");
const DELETE: &str = include_str!("sql/user_delete.sql");
const FATE: &str = include_str!("sql/user_fate.sql");

/// A session that writes the table as the app does.
pub struct UserSession(Client);

impl UserSession {
    /// Over a client whose connection somebody polls.
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    /// Schedules a message.
    pub async fn insert(&self, to: &str, body: &str, at: Moment) -> Result<MessageId, StoreError> {
        const STEP: &str = "inserting a message";
        let row = self
            .0
            .query_one(INSERT, &[&to, &body, &At(at)])
            .await
            .map_err(StoreError::at(STEP))?;
        let id = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        Ok(MessageId(id))
    }

    /// Moves a message that is still pending; whether it was.
    pub async fn reschedule(&self, id: MessageId, at: Moment) -> Result<bool, StoreError> {
        let n = self.0.execute(RESCHEDULE, &[&id.0, &At(at)]).await;
        Ok(n.map_err(StoreError::at("rescheduling a message"))? > 0)
    }

    /// Changes the text of a message that is still pending; whether it was.
    pub async fn edit(&self, id: MessageId, body: &str) -> Result<bool, StoreError> {
        let n = self.0.execute(EDIT, &[&id.0, &body]).await;
        Ok(n.map_err(StoreError::at("editing a message"))? > 0)
    }

    /// Cancels a message; whether there was one. Too late is an error of the guard's.
    pub async fn cancel(&self, id: MessageId) -> Result<bool, StoreError> {
        let n = self.0.execute(CANCEL, &[&id.0]).await;
        Ok(n.map_err(StoreError::at("cancelling a message"))? > 0)
    }

    /// Deletes a message; whether there was one. Too late is an error of the guard's.
    pub async fn delete(&self, id: MessageId) -> Result<bool, StoreError> {
        let n = self.0.execute(DELETE, &[&id.0]).await;
        Ok(n.map_err(StoreError::at("deleting a message"))? > 0)
    }

    /// Where a message stands, and why; `None`: there is none.
    pub async fn fate(
        &self,
        id: MessageId,
    ) -> Result<Option<(Status, Option<String>)>, StoreError> {
        const STEP: &str = "looking a message up";
        let row = self
            .0
            .query_opt(FATE, &[&id.0])
            .await
            .map_err(StoreError::at(STEP))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let status: &str = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        let reason = row.try_get(1).map_err(StoreError::unreadable(STEP))?;
        Ok(status.parse().ok().map(|status| (status, reason)))
    }
}
