//! Has `punctual.retain` (`triggers/retention.sql`) delete what is long over, one bounded step after the other.

use std::time::Duration;

use crate::message::Retention;
use crate::store::{Sql, Store, StoreError, prepared};

static RETAIN: &Sql = sql!("sql/retain.sql");

/// What is walked through, in this order. The attempts first, because whatever else there is of a message goes with
/// them.
const PARTS: [&str; 5] = ["attempts", "receipts", "notes", "history", "rest"];

/// How far a walk through what is kept has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    part: usize,
    after: Option<String>,
}

/// What a step has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Messages of which everything was deleted.
    pub deleted: u64,
    /// Attempts and changes whose texts were blanked.
    pub blanked: u64,
    /// Where the next step goes on; `None`: the walk is at its end.
    pub next: Option<Walk>,
}

impl Store {
    /// One step, which reads at most `most` rows.
    pub async fn retain(
        &self,
        walk: &Walk,
        retention: Retention,
        most: u32,
    ) -> Result<Retained, StoreError> {
        const STEP: &str = "deleting what is long over";
        let Some(part) = PARTS.get(walk.part) else {
            return Ok(Retained::default());
        };
        let seconds = |kept: Option<Duration>| kept.map(|kept| kept.as_secs_f64());
        let client = self.client().await?;
        let statement = prepared(&client, RETAIN, STEP).await?;
        let row = client
            .query_one(
                &statement,
                &[
                    part,
                    &walk.after,
                    &seconds(retention.messages),
                    &seconds(retention.texts),
                    &i32::try_from(most).unwrap_or(i32::MAX),
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        let read = || -> Result<_, tokio_postgres::Error> {
            let (deleted, blanked): (i32, i32) = (row.try_get("deleted")?, row.try_get("blanked")?);
            Ok((row.try_get("next")?, deleted, blanked))
        };
        let (after, deleted, blanked): (Option<String>, _, _) =
            read().map_err(StoreError::unreadable(STEP))?;
        let part = walk.part + usize::from(after.is_none());
        Ok(Retained {
            deleted: deleted.unsigned_abs().into(),
            blanked: blanked.unsigned_abs().into(),
            next: (part < PARTS.len()).then_some(Walk { part, after }),
        })
    }
}
