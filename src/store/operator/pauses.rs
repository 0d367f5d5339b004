//! How people pause and resume, and what they see of pauses.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::message::{Moment, PauseKey, counted};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError};

static KEEP: &Sql = sql!("sql/pause_keep.sql");
static END: &Sql = sql!("sql/pause_end.sql");
static LIST: &Sql = sql!("sql/pause_list.sql");
static EXPIRED: &Sql = sql!("sql/pause_expired.sql");

/// The messages that would be cancelled are counted up to this.
pub const EXPIRED_MAX: i64 = 10_000;

/// A pause as people see it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Paused))]
pub struct Listed {
    /// The kind of thing that is paused.
    pub scope: String,
    /// Which one; empty for everything.
    pub what: String,
    /// When it ends; `infinity`: when somebody resumes.
    pub until: Moment,
    /// The reason that was given.
    pub why: Option<String>,
    /// Who made it: a name, or the database role.
    pub who: String,
    /// When.
    pub at: Moment,
}

impl Store {
    /// The same as [`pause`], over a connection of the pool.
    pub async fn pause(
        &self,
        key: &PauseKey,
        until: Moment,
        why: Option<&str>,
        who: &str,
    ) -> Result<(Listed, Option<Listed>), StoreError> {
        pause(&*self.client().await?, key, until, why, Some(who)).await
    }

    /// The same as [`resume`], over a connection of the pool; `who` does it.
    pub async fn resume(&self, key: &PauseKey, who: &str) -> Result<bool, StoreError> {
        end(&*self.client().await?, key, Some(who)).await
    }

    /// The same as [`expired`], over a connection of the pool.
    pub async fn expired(&self, key: &PauseKey) -> Result<u64, StoreError> {
        expired(&*self.client().await?, key, self.default_sender.as_deref()).await
    }

    /// The same as [`list`], over a connection of the pool.
    pub async fn paused(&self) -> Result<Vec<Listed>, StoreError> {
        list(&*self.client().await?).await
    }
}

/// Pauses something, or changes how long and why it is paused; `who` does, or the session's role. Returns it as the
/// table has it now, and the pause in force that it replaces.
pub async fn pause(
    client: &Client,
    key: &PauseKey,
    until: Moment,
    why: Option<&str>,
    who: Option<&str>,
) -> Result<(Listed, Option<Listed>), StoreError> {
    const STEP: &str = "pausing";
    let (scope, until) = (key.scope.as_str(), PgTimestamp(until));
    let row = client
        .query_one(KEEP.text(), &[&scope, &key.what, &until, &why, &who])
        .await;
    let row = row.map_err(StoreError::at(STEP))?;
    let read = || Ok((listed(&row)?, replaced(&row)?));
    read().map_err(StoreError::unreadable(STEP))
}

/// Ends a pause that is in force. Returns whether there was one.
pub async fn resume(client: &Client, key: &PauseKey) -> Result<bool, StoreError> {
    end(client, key, None).await
}

/// `who` ends it, or the session's role.
async fn end(client: &Client, key: &PauseKey, who: Option<&str>) -> Result<bool, StoreError> {
    const STEP: &str = "ending a pause";
    let ended = client
        .execute(END.text(), &[&key.scope.as_str(), &key.what, &who])
        .await;
    Ok(ended.map_err(StoreError::at(STEP))? > 0)
}

/// How many messages of a pause would be cancelled at its end: their `send_before` or their event's start has passed
/// meanwhile. Counted up to [`EXPIRED_MAX`].
pub async fn expired(
    client: &Client,
    key: &PauseKey,
    default_sender: Option<&str>,
) -> Result<u64, StoreError> {
    const STEP: &str = "counting the messages that have expired in a pause";
    let scope = key.scope.as_str();
    let params: [&(dyn ToSql + Sync); 4] = [&scope, &key.what, &default_sender, &EXPIRED_MAX];
    super::count(client, EXPIRED, &params, STEP).await
}

/// What the end of a pause cancels, as it was counted.
pub fn expired_words(expired: u64) -> String {
    let many = if expired >= EXPIRED_MAX.unsigned_abs() {
        "or more messages that have"
    } else {
        "messages that have"
    };
    let expired = counted(expired, "message that has", many);
    format!("{expired} expired meanwhile (by send_before or the start of the event)")
}

/// The pauses that are in force, as people see them.
pub async fn list(client: &Client) -> Result<Vec<Listed>, StoreError> {
    super::all(client, LIST, listed, "reading the pauses").await
}

fn listed(row: &Row) -> Result<Listed, tokio_postgres::Error> {
    Ok(Listed {
        scope: row.try_get("scope")?,
        what: row.try_get("what")?,
        until: row.try_get::<_, PgTimestamp>("until")?.0,
        why: row.try_get("why")?,
        who: row.try_get("who")?,
        at: row.try_get::<_, PgTimestamp>("at")?.0,
    })
}

/// The pause that another one has replaced.
fn replaced(row: &Row) -> Result<Option<Listed>, tokio_postgres::Error> {
    let Some(PgTimestamp(until)) = row.try_get("was_until")? else {
        return Ok(None);
    };
    Ok(Some(Listed {
        scope: row.try_get("scope")?,
        what: row.try_get("what")?,
        until,
        why: row.try_get("was_why")?,
        who: row.try_get("was_who")?,
        at: row.try_get::<_, PgTimestamp>("was_at")?.0,
    }))
}
