//! What is due and was not sent.

use std::collections::BTreeSet;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::limits::HealthLimits;
use crate::message::{LaneKey, Moment, Routes};
use crate::store::path::rows::{lane, lane_address};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, prepared};

static OVERDUE: &Sql = sql!("sql/overdue.sql");
static RETRY: &Sql = sql!("sql/overdue_retry.sql");
static LOCKED: &Sql = sql!("sql/overdue_locked.sql");

const STEP: &str = "looking for what is due and was not sent";

/// Why messages that are due have not been sent, as far as their rows show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverdueKind {
    /// Nothing in the rows keeps them.
    Stuck,
    /// They are paused.
    Paused,
    /// They wait for their pace.
    Paced,
    /// A request failed, and they wait for the next one.
    Retry,
}

/// Messages of one kind and one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverdueGroup {
    /// What keeps them.
    pub kind: OverdueKind,
    /// Their lane; unless it was asked for, without the host, and without an account that only their sender shows.
    pub lane: LaneKey,
    /// How many, counted up to [`HealthLimits::counted`] of their kind.
    pub messages: u64,
    /// For how long the oldest of them has been due.
    pub oldest: Duration,
    /// Other transactions have locked the oldest stuck ones of their channel.
    pub is_locked: bool,
}

/// What is due and was not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overdue(pub Vec<OverdueGroup>);

impl Overdue {
    /// How many of a kind.
    pub fn count(&self, kind: OverdueKind) -> u64 {
        let groups = self.0.iter().filter(|group| group.kind == kind);
        groups.map(|group| group.messages).sum()
    }
}

impl Store {
    /// What has been due for longer than the check's patience, and not before `quarantined`. `by_lane`: the lanes
    /// are exact.
    pub async fn overdue(
        &self,
        limits: &HealthLimits,
        quarantined: Option<Moment>,
        by_lane: bool,
    ) -> Result<Overdue, StoreError> {
        let at = StoreError::at(STEP);
        let client = self.client().await?;
        let (late, before) = (micros(limits.patience), quarantined.map(PgTimestamp));
        let (counted, tried) = (i64::from(limits.counted), i64::from(limits.tried));
        let sender = self.default_sender.as_deref();
        let params: [&(dyn ToSql + Sync); 6] =
            [&late, &before, &counted, &tried, &sender, &by_lane];
        let overdue = prepared(&client, OVERDUE, STEP).await?;
        let mut rows = client.query(&overdue, &params).await.map_err(&at)?;
        let params: [&(dyn ToSql + Sync); 4] = [&late, &counted, &sender, &by_lane];
        let retry = prepared(&client, RETRY, STEP).await?;
        rows.extend(client.query(&retry, &params).await.map_err(&at)?);
        let groups = rows.iter().map(|row| Counted::read(row, &self.routes));
        let groups: Vec<_> = groups
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))?;
        let tried: Vec<Uuid> = groups.iter().flat_map(|one| &one.tried).copied().collect();
        let locked = locked(client, &tried).await?;
        let groups = groups.into_iter().map(|one| OverdueGroup {
            is_locked: one.channels.iter().any(|own| locked.contains(own)),
            ..one.group
        });
        Ok(Overdue(groups.collect()))
    }
}

/// The channels of these messages of which other transactions have locked all.
async fn locked(mut client: Object, tried: &[Uuid]) -> Result<BTreeSet<String>, StoreError> {
    if tried.is_empty() {
        return Ok(BTreeSet::new());
    }
    let at = StoreError::at(STEP);
    let tx = client.transaction().await.map_err(&at)?;
    let statement = prepared(&tx, LOCKED, STEP).await?;
    let rows = tx.query(&statement, &[&tried]).await.map_err(&at)?;
    tx.rollback().await.map_err(&at)?;
    let locked = rows.iter().map(|row| row.try_get("channel"));
    let locked = locked.collect::<Result<_, _>>();
    locked.map_err(StoreError::unreadable(STEP))
}

/// A group as it is counted.
struct Counted {
    group: OverdueGroup,
    /// Of the messages that are stuck, those to be tried for a lock.
    tried: Vec<Uuid>,
    /// The channels of the messages that are stuck.
    channels: Vec<String>,
}

impl Counted {
    fn read(row: &Row, routes: &Routes) -> Result<Self, tokio_postgres::Error> {
        let (tried, channels): (Option<_>, Option<_>) =
            (row.try_get("tried")?, row.try_get("channels")?);
        Ok(Self {
            group: group(row, routes)?,
            tried: tried.unwrap_or_default(),
            channels: channels.unwrap_or_default(),
        })
    }
}

fn group(row: &Row, routes: &Routes) -> Result<OverdueGroup, tokio_postgres::Error> {
    let kind = match row.try_get("kind")? {
        "paused" => OverdueKind::Paused,
        "paced" => OverdueKind::Paced,
        "retry" => OverdueKind::Retry,
        _ => OverdueKind::Stuck,
    };
    let (messages, oldest): (i64, i64) = (row.try_get("messages")?, row.try_get("oldest_us")?);
    Ok(OverdueGroup {
        kind,
        lane: routes.first(&lane(row, lane_address(row)?, routes)?),
        messages: messages.unsigned_abs(),
        oldest: Duration::from_micros(oldest.max(0).unsigned_abs()),
        is_locked: false,
    })
}
