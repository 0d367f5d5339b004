//! The table as its users have it: a session like the app's own, for which the guard and the
//! notification triggers run. For the demo and for people without an app.

use std::borrow::Borrow;

use jiff::civil::Time;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::message::facts::Template;
use crate::message::{MessageId, Moment, Status};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError};

static SCHEDULE: &Sql = sql!("sql/user_schedule.sql");
static SEPARATOR: &Sql = sql!("sql/user_separator.sql");
static TEMPLATES: &Sql = sql!("sql/user_templates.sql");
static INSERT: &Sql = sql!("sql/user_insert.sql");
static PREFER: &Sql = sql!("sql/user_prefer.sql");
static RESCHEDULE: &Sql = sql!("sql/user_reschedule.sql");
static EDIT: &Sql = sql!("sql/user_edit.sql");
static CANCEL: &Sql = sql!("sql/user_cancel.sql");
static DELETE: &Sql = sql!("sql/user_delete.sql");
static FATE: &Sql = sql!("sql/user_fate.sql");

/// A session that writes the table as the app does.
pub struct UserSession<C = Client>(C);

/// A message as a person schedules it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct Draft<'a> {
    pub channel: &'a str,
    pub to: &'a str,
    pub from: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub body: &'a str,
    pub at: Moment,
    pub user: Option<Uuid>,
    pub timezone: Option<&'a str>,
    pub send_before: Option<Moment>,
    pub priority: &'a str,
    pub dedup_key: Option<&'a str>,
    pub message_type: Option<&'a str>,
    pub template: Option<Uuid>,
    /// A JSON object.
    pub template_vars: Option<&'a str>,
    pub media: &'a [String],
}

/// Templates that are listed where none has the requested name.
const TEMPLATES_SHOWN: i32 = 10;

/// A template, as requested by name.
#[derive(Clone)]
pub struct Named {
    /// Its row.
    pub id: Uuid,
    /// What it is.
    pub template: Template,
    /// Whether it has the name; else it is one of the others.
    pub is_it: bool,
}

impl<C: Borrow<Client>> UserSession<C> {
    /// With a client whose connection is polled elsewhere.
    pub const fn new(client: C) -> Self {
        Self(client)
    }

    fn client(&self) -> &Client {
        self.0.borrow()
    }

    /// Does `work` in a transaction, so that nobody sees what it writes before all of it is done. What fails, or is not
    /// to be kept, is rolled back.
    pub async fn at_once<T, E>(
        &self,
        is_kept: bool,
        work: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        let failed = StoreError::at("scheduling a message");
        let client = self.client();
        client.batch_execute("begin").await.map_err(&failed)?;
        let done = work().await;
        let end = if is_kept && done.is_ok() {
            "commit"
        } else {
            "rollback"
        };
        client.batch_execute(end).await.map_err(&failed)?;
        Ok(done)
    }

    /// Does in such a transaction what may fail without the rest.
    pub async fn apart<T>(
        &self,
        work: impl AsyncFnOnce() -> Result<T, StoreError>,
    ) -> Result<Result<T, StoreError>, StoreError> {
        let failed = StoreError::at("scheduling a message");
        let client = self.client();
        let savepoint = "savepoint apart";
        client.batch_execute(savepoint).await.map_err(&failed)?;
        let done = work().await;
        if done.is_err() {
            let undo = "rollback to savepoint apart";
            client.batch_execute(undo).await.map_err(&failed)?;
        }
        Ok(done)
    }

    /// Schedules a message with everything that a person may set; `None`: a trigger of the app's
    /// has dropped the row.
    pub async fn schedule(&self, draft: &Draft<'_>) -> Result<Option<MessageId>, StoreError> {
        const STEP: &str = "scheduling a message";
        if draft.to.is_empty() {
            // A person is to hear it at once if the message's type has no recipient either.
            let refuse = "set local punctual.validate = 'refuse'";
            let set = self.client().batch_execute(refuse).await;
            set.map_err(StoreError::at(STEP))?;
        }
        let row = self
            .client()
            .query_opt(
                SCHEDULE.text(),
                &[
                    &draft.to,
                    &draft.from,
                    &draft.body,
                    &PgTimestamp(draft.at),
                    &draft.user,
                    &draft.timezone,
                    &draft.send_before.map(PgTimestamp),
                    &draft.priority,
                    &draft.dedup_key,
                    &draft.message_type,
                    &draft.template,
                    &draft.template_vars,
                    &draft.channel,
                    &draft.media,
                    &draft.subject,
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        let id = row.map(|row| row.try_get(0)).transpose();
        Ok(id.map_err(StoreError::unreadable(STEP))?.map(MessageId))
    }

    /// The template of this key or id, first if there is one, and some others.
    pub async fn templates(&self, named: &str) -> Result<Vec<Named>, StoreError> {
        const STEP: &str = "looking for a template";
        let rows = self
            .client()
            .query(TEMPLATES.text(), &[&named, &TEMPLATES_SHOWN])
            .await
            .map_err(StoreError::at(STEP))?;
        let read = |row: &Row| -> Result<Named, tokio_postgres::Error> {
            let template = Template {
                name: row.try_get("name")?,
                text: row.try_get("message_template")?,
                required_vars: row.try_get("required_vars")?,
                max_length: row.try_get("max_length")?,
                is_active: row.try_get("is_active")?,
            };
            Ok(Named {
                id: row.try_get("id")?,
                template,
                is_it: row.try_get("is_it")?,
            })
        };
        rows.iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// What divides a text into parts, as the running daemon has it; empty: nothing does. `None`: it is not known, or
    /// this role may not read it.
    pub async fn part_separator(&self) -> Result<Option<String>, StoreError> {
        const STEP: &str = "reading the separator of parts";
        let row = self.client().query_one(SEPARATOR.text(), &[]).await;
        match row.map_err(StoreError::at(STEP)) {
            Ok(row) => row.try_get(0).map_err(StoreError::unreadable(STEP)),
            Err(refused) if refused.is_refusal() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Schedules a message, with or without a user.
    pub async fn insert(
        &self,
        user: Option<Uuid>,
        to: &str,
        body: &str,
        at: Moment,
    ) -> Result<MessageId, StoreError> {
        const STEP: &str = "inserting a message";
        let row = self
            .client()
            .query_one(INSERT.text(), &[&user, &to, &body, &PgTimestamp(at)])
            .await
            .map_err(StoreError::at(STEP))?;
        let id = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        Ok(MessageId(id))
    }

    /// Writes the preferences of a new user: the time zone, the quiet hours (by the clock there),
    /// and how many messages a day.
    pub async fn prefer(
        &self,
        user: Uuid,
        timezone: &str,
        quiet: (Time, Time),
        a_day: i32,
    ) -> Result<(), StoreError> {
        let us = |time: Time| {
            let since = time.duration_since(Time::midnight());
            i64::try_from(since.as_micros()).unwrap_or_default()
        };
        let (from, until) = (us(quiet.0), us(quiet.1));
        self.client()
            .execute(PREFER.text(), &[&user, &timezone, &from, &until, &a_day])
            .await
            .map_err(StoreError::at("writing a user's preferences"))?;
        Ok(())
    }

    /// Moves a message that is still pending; whether it was.
    pub async fn reschedule(&self, id: MessageId, at: Moment) -> Result<bool, StoreError> {
        let n = self
            .client()
            .execute(RESCHEDULE.text(), &[&id.0, &PgTimestamp(at)])
            .await;
        Ok(n.map_err(StoreError::at("rescheduling a message"))? > 0)
    }

    /// Changes the text of a message that is still pending; whether it was.
    pub async fn edit(&self, id: MessageId, body: &str) -> Result<bool, StoreError> {
        let n = self.client().execute(EDIT.text(), &[&id.0, &body]).await;
        Ok(n.map_err(StoreError::at("editing a message"))? > 0)
    }

    /// Cancels a message; whether there was one. If it is too late, the guard's error.
    pub async fn cancel(&self, id: MessageId) -> Result<bool, StoreError> {
        let n = self.client().execute(CANCEL.text(), &[&id.0]).await;
        Ok(n.map_err(StoreError::at("cancelling a message"))? > 0)
    }

    /// Deletes a message; whether there was one. If it is too late, the guard's error.
    pub async fn delete(&self, id: MessageId) -> Result<bool, StoreError> {
        let n = self.client().execute(DELETE.text(), &[&id.0]).await;
        Ok(n.map_err(StoreError::at("deleting a message"))? > 0)
    }

    /// The status of a message, and why; `None`: there is none.
    pub async fn fate(
        &self,
        id: MessageId,
    ) -> Result<Option<(Status, Option<String>)>, StoreError> {
        const STEP: &str = "reading the status of a message";
        let row = self
            .client()
            .query_opt(FATE.text(), &[&id.0])
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
