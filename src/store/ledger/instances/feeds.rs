//! What instances publish for the live pages of the others.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Row;

use super::INSTANCES_MAX;
use crate::forecast::{Feeds, InstanceFeed};
use crate::message::{InstanceId, Moment};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, millis, prepared};

static FEEDS: &Sql = sql!("../sql/instance_feeds.sql");

impl Store {
    /// What the instances have published that run, were heard within the last hour, or have just stopped.
    pub async fn feeds(&self, silence: Duration) -> Result<Feeds, StoreError> {
        const STEP: &str = "reading what the instances have published for live pages";
        let client = self.client().await?;
        let statement = prepared(&client, FEEDS, STEP).await?;
        let rows = client
            .query(&statement, &[&millis(silence), &INSTANCES_MAX])
            .await
            .map_err(StoreError::at(STEP))?;
        let read = || -> Result<Feeds, tokio_postgres::Error> {
            let mut feeds = Feeds::default();
            for row in &rows {
                feeds.at = row.try_get::<_, PgTimestamp>("now")?.0;
                feeds.all.push(feed(row)?);
            }
            Ok(feeds)
        };
        read().map_err(StoreError::unreadable(STEP))
    }
}

fn feed(row: &Row) -> Result<InstanceFeed, tokio_postgres::Error> {
    let (at, feed): (Option<Value>, Option<Value>) = (row.try_get("at")?, row.try_get("feed")?);
    // What a later version publishes may have another form.
    let at: Option<Moment> = at.and_then(|at| serde_json::from_value(at).ok());
    let feed = feed.and_then(|feed| serde_json::from_value(feed).ok());
    Ok(InstanceFeed {
        instance: InstanceId(row.try_get("id")?),
        is_running: row.try_get("is_running")?,
        at: at.unwrap_or_default(),
        feed: feed.filter(|_| at.is_some()),
    })
}
