//! How people set paces, and what they see of them.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::message::{Moment, PaceKey};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError, micros};

static KEEP: &Sql = sql!("sql/pace_keep.sql");
static WAITING: &Sql = sql!("sql/pace_waiting.sql");
static END: &Sql = sql!("sql/pace_end.sql");
static LIST: &Sql = sql!("sql/pace_list.sql");

/// The messages that wait for a pace are counted up to this.
const COUNTED_MAX: i64 = 10_000;

/// A pace as people see it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Listed {
    /// The kind of thing that has it.
    pub scope: String,
    /// Which one.
    pub what: String,
    /// The shortest gap, in seconds.
    pub gap_min_s: f64,
    /// The longest.
    pub gap_max_s: f64,
    /// Of a sender: segments at once after it has sent nothing for a while.
    pub burst: i32,
    /// When the next message may start.
    pub next_at: Moment,
    /// Messages that were claimed for a slot.
    pub taken: i64,
    /// The database role that set it.
    pub who: String,
    /// When.
    pub at: Moment,
}

/// Sets a pace, or changes it. `burst`: segments at once, of a sender; 1 for a campaign.
pub async fn set(
    client: &Client,
    key: &PaceKey,
    (min, max): (Duration, Duration),
    burst: i32,
) -> Result<(), StoreError> {
    const STEP: &str = "setting a pace";
    let (scope, min, max) = (key.scope.as_str(), micros(min), micros(max));
    let set = client
        .execute(KEEP.text(), &[&scope, &key.what, &min, &max, &burst])
        .await;
    set.map(drop).map_err(StoreError::at(STEP))
}

/// How many due messages wait for a pace, counted up to 10,000: without it their lateness counts from when
/// they were due.
pub async fn waiting(
    client: &Client,
    key: &PaceKey,
    default_sender: Option<&str>,
) -> Result<u64, StoreError> {
    const STEP: &str = "counting the messages that wait for a pace";
    let scope = key.scope.as_str();
    let params: [&(dyn ToSql + Sync); 4] = [&scope, &key.what, &COUNTED_MAX, &default_sender];
    super::count(client, WAITING, &params, STEP).await
}

/// Removes a pace. Returns whether there was one.
pub async fn remove(client: &Client, key: &PaceKey) -> Result<bool, StoreError> {
    const STEP: &str = "removing a pace";
    let removed = client
        .execute(END.text(), &[&key.scope.as_str(), &key.what])
        .await;
    Ok(removed.map_err(StoreError::at(STEP))? > 0)
}

/// All paces, as people see them.
pub async fn list(client: &Client) -> Result<Vec<Listed>, StoreError> {
    super::all(client, LIST, listed, "reading the paces").await
}

fn listed(row: &Row) -> Result<Listed, tokio_postgres::Error> {
    Ok(Listed {
        scope: row.try_get("scope")?,
        what: row.try_get("what")?,
        gap_min_s: row.try_get("gap_min_s")?,
        gap_max_s: row.try_get("gap_max_s")?,
        burst: row.try_get("burst")?,
        next_at: row.try_get::<_, PgTimestamp>("next_at")?.0,
        taken: row.try_get("position")?,
        who: row.try_get("who")?,
        at: row.try_get::<_, PgTimestamp>("at")?.0,
    })
}
