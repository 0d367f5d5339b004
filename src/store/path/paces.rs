//! The messages of paces: their claim, and when the next of each may start.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::claims::{LANE_ADDRESS, lane, read_claim};
use super::pauses::EXPIRED_MAX;
use crate::message::{AttemptToken, Claim, Moment, PaceDue, PaceId, PacedClaim};
use crate::schedule::PACE_SLACK;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, prepared};

static CLAIM: &Sql = sql!("sql/claim_paced.sql");
static PRUNE: &Sql = sql!("sql/paces_prune.sql");
static LOAD: &Sql = sql!("sql/paces_load.sql");
static KEEP: &Sql = sql!("sql/pace_keep.sql");
static WAITING: &Sql = sql!("sql/pace_waiting.sql");
static END: &Sql = sql!("sql/pace_end.sql");
static LIST: &Sql = sql!("sql/pace_list.sql");

/// The result of a claim for paces.
#[derive(Debug)]
pub struct PacesClaimed {
    /// What was won, by pace.
    pub won: HashMap<PaceId, PacedClaim<Claim>>,
    /// The database's clock during the statement, if the response has it.
    pub now: Option<Moment>,
}

impl Store {
    /// Claims the next message of each of these paces, under a token drawn for it; the first `left_out` of each are
    /// passed over. [`Self::paces`] tells of the others when their next message may start. After an error other than a
    /// refusal the claim may be committed nonetheless.
    pub async fn claim_paced(
        &self,
        asks: &[(PaceId, AttemptToken)],
        lease: Duration,
        left_out: u32,
    ) -> Result<PacesClaimed, StoreError> {
        const STEP: &str = "claiming messages of paces";
        let paces: Vec<Uuid> = asks.iter().map(|(id, _)| id.0).collect();
        let tokens: Vec<Uuid> = asks.iter().map(|(_, token)| token.0).collect();
        let (slack, left_out) = (micros(PACE_SLACK), i64::from(left_out));
        let claimed = self
            .claim_rows(CLAIM, STEP, (&paces, &tokens), lease, &[&slack, &left_out])
            .await?;
        let won = claimed.rows.iter().map(read_paced);
        let won = won.collect::<Result<_, _>>();
        Ok(PacesClaimed {
            won: won.map_err(StoreError::unreadable(STEP))?,
            now: claimed.now,
        })
    }

    /// Removes the paces of campaigns that have nothing to send, and had nothing since then.
    pub async fn forget_paces(&self, unused_since: Moment) -> Result<(), StoreError> {
        const STEP: &str = "forgetting paces of campaigns that are over";
        let client = self.client().await?;
        let statement = prepared(&client, PRUNE, STEP).await?;
        let pruned = client
            .execute(&statement, &[&PgTimestamp(unused_since)])
            .await;
        pruned.map_err(StoreError::at(STEP))?;
        Ok(())
    }

    /// The paces that have a message due up to `until`: all, or of these.
    pub async fn paces(
        &self,
        only: Option<&[PaceId]>,
        until: Moment,
    ) -> Result<Vec<PaceDue>, StoreError> {
        const STEP: &str = "reading paces";
        let only: Option<Vec<Uuid>> = only.map(|ids| ids.iter().map(|id| id.0).collect());
        let client = self.client().await?;
        let load = prepared(&client, LOAD, STEP).await?;
        let sender = self.default_sender.as_deref();
        let rows = client
            .query(&load, &[&PgTimestamp(until), &only, &sender])
            .await
            .map_err(StoreError::at(STEP))?;
        let read = rows.iter().map(read_due).collect::<Result<_, _>>();
        read.map_err(StoreError::unreadable(STEP))
    }
}

/// The claim is due at its slot, and its lateness counts from there.
fn read_paced(row: &Row) -> Result<(PaceId, PacedClaim<Claim>), tokio_postgres::Error> {
    let slot = row.try_get::<_, PgTimestamp>("slot")?.0;
    let mut claim = read_claim(row)?;
    let waited = slot.since(claim.wanted_at);
    claim.due = claim.due.max(slot);
    claim.wanted_at = claim.wanted_at.max(slot);
    let paced = PacedClaim {
        id: claim.id,
        priority: claim.facts.priority,
        claim,
        latest: slot + PACE_SLACK,
        waited,
        next: row.try_get::<_, PgTimestamp>("next_at")?.0,
    };
    Ok((PaceId(row.try_get("pace")?), paced))
}

fn read_due(row: &Row) -> Result<PaceDue, tokio_postgres::Error> {
    let next = row.try_get::<_, PgTimestamp>("next_at")?.0;
    let due = row.try_get::<_, PgTimestamp>("due")?.0;
    Ok(PaceDue {
        id: PaceId(row.try_get("id")?),
        scope: row.try_get("scope")?,
        what: row.try_get("what")?,
        at: next.max(due),
        lane: lane(row, LANE_ADDRESS)?,
    })
}

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
    /// When the next message may start.
    pub next_at: Moment,
    /// Messages that were claimed for a slot.
    pub taken: i64,
    /// The database role that set it.
    pub who: String,
    /// When.
    pub at: Moment,
}

/// Sets the pace of a campaign, or changes its gaps.
pub async fn set(
    client: &Client,
    campaign: Uuid,
    (min, max): (Duration, Duration),
) -> Result<(), StoreError> {
    const STEP: &str = "setting a pace";
    let set = client
        .execute(
            KEEP.text(),
            &[&campaign.to_string(), &micros(min), &micros(max)],
        )
        .await;
    set.map(drop).map_err(StoreError::at(STEP))
}

/// How many due messages wait for the pace of a campaign, counted up to [`EXPIRED_MAX`]: without it their lateness counts
/// from when they were due.
pub async fn waiting(client: &Client, campaign: Uuid) -> Result<u64, StoreError> {
    const STEP: &str = "counting the messages that wait for a pace";
    let row = client
        .query_one(WAITING.text(), &[&campaign, &EXPIRED_MAX])
        .await;
    let n: i64 = row
        .map_err(StoreError::at(STEP))?
        .try_get(0)
        .map_err(StoreError::unreadable(STEP))?;
    Ok(n.unsigned_abs())
}

/// Removes the pace of a campaign. Returns whether there was one.
pub async fn remove(client: &Client, campaign: Uuid) -> Result<bool, StoreError> {
    const STEP: &str = "removing a pace";
    let removed = client.execute(END.text(), &[&campaign.to_string()]).await;
    Ok(removed.map_err(StoreError::at(STEP))? > 0)
}

/// All paces, as people see them.
pub async fn list(client: &Client) -> Result<Vec<Listed>, StoreError> {
    const STEP: &str = "reading the paces";
    let rows = client.query(LIST.text(), &[]).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(listed).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
}

fn listed(row: &Row) -> Result<Listed, tokio_postgres::Error> {
    Ok(Listed {
        scope: row.try_get("scope")?,
        what: row.try_get("what")?,
        gap_min_s: row.try_get("gap_min_s")?,
        gap_max_s: row.try_get("gap_max_s")?,
        next_at: row.try_get::<_, PgTimestamp>("next_at")?.0,
        taken: row.try_get("position")?,
        who: row.try_get("who")?,
        at: row.try_get::<_, PgTimestamp>("at")?.0,
    })
}
