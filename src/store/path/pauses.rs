//! What is paused. The claim checks it too (`claim.sql`).

use tokio_postgres::{Client, Row};

use crate::message::{Moment, Pause, PauseKey, PauseScope};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

pub(in crate::store) static PAUSES: &Sql = sql!("sql/pauses_in_force.sql");
static PRUNE: &Sql = sql!("sql/pauses_prune.sql");
static KEEP: &Sql = sql!("sql/pause_keep.sql");
static END: &Sql = sql!("sql/pause_end.sql");
static LIST: &Sql = sql!("sql/pause_list.sql");
static EXPIRED: &Sql = sql!("sql/pause_expired.sql");

/// The messages that would be cancelled are counted up to this.
pub const EXPIRED_MAX: i64 = 10_000;

/// A pause as people see it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The kind of thing that is paused.
    pub scope: String,
    /// Which one; empty for everything.
    pub what: String,
    /// When it ends; `infinity`: when somebody resumes.
    pub until: Moment,
    /// The reason that was given.
    pub why: Option<String>,
    /// The database role that made it.
    pub who: String,
    /// When.
    pub at: Moment,
}

impl Store {
    /// The pauses that are in force.
    pub async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        const STEP: &str = "reading the pauses";
        let client = self.client().await?;
        let statement = prepared(&client, PAUSES, STEP).await?;
        let rows = client.query(&statement, &[]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read = rows.iter().map(read).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(StoreError::unreadable(STEP))?;
        // A scope of a later version: the claim of that version knows it.
        Ok(read.into_iter().flatten().collect())
    }

    /// Removes pauses that ended before this: what they stopped has been sent, or is too late by now.
    pub async fn forget_pauses(&self, ended_before: Moment) -> Result<(), StoreError> {
        const STEP: &str = "forgetting pauses that are over";
        let client = self.client().await?;
        let statement = prepared(&client, PRUNE, STEP).await?;
        let pruned = client
            .execute(&statement, &[&PgTimestamp(ended_before)])
            .await;
        pruned.map_err(StoreError::at(STEP))?;
        Ok(())
    }
}

fn read(row: &Row) -> Result<Option<Pause>, tokio_postgres::Error> {
    let scope: &str = row.try_get("scope")?;
    let (what, PgTimestamp(until)) = (row.try_get("what")?, row.try_get("until")?);
    let key = PauseScope::of(scope).map(|scope| PauseKey { scope, what });
    Ok(key.map(|key| Pause { key, until }))
}

/// Pauses something, or changes how long and why it is paused. Returns it as the table has it now.
pub async fn pause(
    client: &Client,
    key: &PauseKey,
    until: Moment,
    why: Option<&str>,
) -> Result<Listed, StoreError> {
    const STEP: &str = "pausing";
    let (scope, until) = (key.scope.as_str(), PgTimestamp(until));
    let row = client
        .query_one(KEEP.text(), &[&scope, &key.what, &until, &why])
        .await;
    let row = row.map_err(StoreError::at(STEP))?;
    listed(&row).map_err(StoreError::unreadable(STEP))
}

/// Ends a pause that is in force. Returns whether there was one.
pub async fn resume(client: &Client, key: &PauseKey) -> Result<bool, StoreError> {
    const STEP: &str = "ending a pause";
    let ended = client
        .execute(END.text(), &[&key.scope.as_str(), &key.what])
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
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&scope, &key.what, &default_sender, &EXPIRED_MAX];
    let row = client.query_one(EXPIRED.text(), &params).await;
    let n: i64 = row
        .map_err(StoreError::at(STEP))?
        .try_get(0)
        .map_err(StoreError::unreadable(STEP))?;
    Ok(n.unsigned_abs())
}

/// The pauses that are in force, as people see them.
pub async fn list(client: &Client) -> Result<Vec<Listed>, StoreError> {
    const STEP: &str = "reading the pauses";
    let rows = client.query(LIST.text(), &[]).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(listed).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
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
