//! The pauses that are in force, as the reactor knows them. The claim checks them too (`claim.sql`).

use tokio_postgres::Row;

use crate::message::{Moment, Pause, PauseKey, PauseScope};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

pub(in crate::store) static PAUSES: &Sql = sql!("sql/pauses_in_force.sql");
static PRUNE: &Sql = sql!("sql/pauses_prune.sql");

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
