//! The pauses that are in force, as the reactor knows them. The claim checks them too (`claim.sql`).

use std::time::Duration;

use tokio_postgres::Row;

use crate::clock::Stopwatch;
use crate::message::{Moment, Pause, PauseKey, PauseScope};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

pub(in crate::store) static PAUSES: &Sql = sql!("sql/pauses_in_force.sql");
static PRUNE: &Sql = sql!("sql/pauses_prune.sql");

impl Store {
    /// The pauses that are in force, and how long the statement took, without the wait for a connection.
    pub async fn pauses(&self) -> Result<(Vec<Pause>, Duration), StoreError> {
        const STEP: &str = "reading the pauses";
        let client = self.client().await?;
        let statement = prepared(&client, PAUSES, STEP).await?;
        let asked = Stopwatch::start();
        let rows = client.query(&statement, &[]).await;
        let way = asked.elapsed();
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read = rows.iter().map(read).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(StoreError::unreadable(STEP))?;
        // A scope of a later version: the claim of that version knows it.
        Ok((read.into_iter().flatten().collect(), way))
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
