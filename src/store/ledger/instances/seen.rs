//! The instances that run beside a database, for people.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::Row;

use super::INSTANCES_MAX;
use crate::message::{InstanceId, Moment};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, millis, prepared};

static INSTANCES: &Sql = sql!("../sql/instances.sql");

/// Every instance that was heard lately.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Instances))]
pub struct InstancesSeen {
    /// The instance that responds.
    pub own: InstanceId,
    /// The instances, the oldest first.
    pub instances: Vec<InstanceSeen>,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Instance))]
pub struct InstanceSeen {
    /// Which one.
    pub id: InstanceId,
    /// When it started.
    pub started_at: Moment,
    /// When it last wrote its heartbeat.
    pub heartbeat_at: Moment,
    /// How long ago that was, in microseconds, on the database's clock.
    pub silent_us: u64,
    /// Whether that is recent enough. If not, it hangs, has died, or has lost the database.
    pub is_running: bool,
    /// Whether its version may claim messages by the schema in force.
    pub may_claim: bool,
    /// Why it sends nothing, as it has published; empty: it sends, or its version publishes nothing.
    pub missing: Vec<String>,
}

impl Store {
    /// The instances that run, and those that fell silent within the last hour.
    pub async fn instances(&self, silence: Duration) -> Result<InstancesSeen, StoreError> {
        const STEP: &str = "reading the instances";
        let client = self.client().await?;
        let statement = prepared(&client, INSTANCES, STEP).await?;
        let rows = client
            .query(&statement, &[&millis(silence), &INSTANCES_MAX])
            .await
            .map_err(StoreError::at(STEP))?;
        let instances = rows.iter().map(seen).collect::<Result<_, _>>();
        Ok(InstancesSeen {
            own: self.instance,
            instances: instances.map_err(StoreError::unreadable(STEP))?,
        })
    }
}

fn seen(row: &Row) -> Result<InstanceSeen, tokio_postgres::Error> {
    let at = |column| -> Result<Moment, tokio_postgres::Error> {
        Ok(row.try_get::<_, PgTimestamp>(column)?.0)
    };
    let (heartbeat_at, now) = (at("heartbeat_at")?, at("now")?);
    Ok(InstanceSeen {
        id: InstanceId(row.try_get("id")?),
        started_at: at("started_at")?,
        heartbeat_at,
        silent_us: u64::try_from(now.micros_from(heartbeat_at)).unwrap_or(0),
        is_running: row.try_get("is_running")?,
        may_claim: row.try_get("may_claim")?,
        missing: row.try_get("missing")?,
    })
}
