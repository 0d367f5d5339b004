//! The messages of paces: their claim, and when the next of each may start.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::claims::{LANE_ADDRESS, lane, read_claim};
use super::pauses::EXPIRED_MAX;
use crate::message::{AttemptToken, Claim, Moment, PaceDue, PaceId, PacedAnswer, PacedClaim};
use crate::schedule::{LEAD_MAX, PACE_SLACK};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, millis, prepared};

static CLAIM: &Sql = sql!("sql/claim_paced.sql");
static LOAD: &Sql = sql!("sql/paces_load.sql");
static KEEP: &Sql = sql!("sql/pace_keep.sql");
static WAITING: &Sql = sql!("sql/pace_waiting.sql");
static END: &Sql = sql!("sql/pace_end.sql");
static LIST: &Sql = sql!("sql/pace_list.sql");

/// The result of a claim for paces.
#[derive(Debug)]
pub struct PacesClaimed {
    /// One result for each pace.
    pub answers: Vec<(PaceId, PacedAnswer<Claim>)>,
    /// The database's clock during the statement, if the response has it.
    pub now: Option<Moment>,
}

impl Store {
    /// Claims the next message of each of these paces, under a token drawn for it; the first `left_out` of each are
    /// passed over. Of those without a claim is read when their next message may start, up to `until`; where that
    /// cannot be read they are missing in the answers. After an error other than a refusal the claim may be
    /// committed nonetheless.
    pub async fn claim_paced(
        &self,
        asks: &[(PaceId, AttemptToken)],
        lease: Duration,
        until: Moment,
        left_out: u32,
    ) -> Result<PacesClaimed, StoreError> {
        const STEP: &str = "claiming messages of paces";
        let paces: Vec<Uuid> = asks.iter().map(|(id, _)| id.0).collect();
        let tokens: Vec<Uuid> = asks.iter().map(|(_, token)| token.0).collect();
        let client = self.client().await?;
        let claim = prepared(&client, CLAIM, STEP).await?;
        let (mark, expected) = self.history_check();
        let rows = client
            .query(
                &claim,
                &[
                    &paces,
                    &tokens,
                    &self.instance.0,
                    &millis(lease),
                    &micros(LEAD_MAX),
                    &self.default_sender.as_deref(),
                    &&*self.timezone,
                    &self.app_counts,
                    &expected.beats,
                    &expected.claimed,
                    &expected.recorded,
                    &micros(PACE_SLACK),
                    &i64::from(left_out),
                ],
            )
            .await
            .inspect_err(|error| self.refused(error, mark))
            .map_err(StoreError::at(STEP))?;
        drop(client);
        let mut now = None;
        let mut won = HashMap::with_capacity(rows.len());
        for row in &rows {
            let read = || {
                Ok((
                    row.try_get("pace")?,
                    row.try_get::<_, PgTimestamp>("now")?.0,
                ))
            };
            let (pace, at) = read().map_err(StoreError::unreadable(STEP))?;
            let claim = read_paced(row).map_err(StoreError::unreadable(STEP))?;
            now = Some(at);
            won.insert(PaceId(pace), claim);
        }
        let witness = won.values().next().map(|paced| paced.claim.token);
        if let Some(lineage) = &self.lineage
            && !lineage.witness(|own| own.claimed(mark, witness))
        {
            return Err(StoreError::AnotherHistory);
        }
        let paces = asks.iter().map(|(id, _)| *id);
        let others: Vec<PaceId> = paces.filter(|id| !won.contains_key(id)).collect();
        let mut waits: Option<HashMap<_, _>> = match self.waits(&others, until).await {
            Ok(waits) => Some(waits.into_iter().map(|due| (due.id, due)).collect()),
            Err(error) if won.is_empty() => return Err(error),
            // What was won must be sent on time.
            Err(error) => {
                tracing::warn!(paces = others.len(), %error, "paces could not be read; retrying");
                None
            }
        };
        let answers = asks.iter().filter_map(|(id, _)| {
            let answer = match won.remove(id) {
                Some(claim) => PacedAnswer::Won(Box::new(claim)),
                None => waits
                    .as_mut()?
                    .remove(id)
                    .map_or(PacedAnswer::Idle, PacedAnswer::Wait),
            };
            Some((*id, answer))
        });
        Ok(PacesClaimed {
            answers: answers.collect(),
            now,
        })
    }

    /// When the next message of each of these paces may start, up to `until`; what is missing has none.
    async fn waits(&self, paces: &[PaceId], until: Moment) -> Result<Vec<PaceDue>, StoreError> {
        if paces.is_empty() {
            return Ok(Vec::new());
        }
        self.paces(Some(paces), until).await
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
fn read_paced(row: &Row) -> Result<PacedClaim<Claim>, tokio_postgres::Error> {
    let slot = row.try_get::<_, PgTimestamp>("slot")?.0;
    let mut claim = read_claim(row)?;
    let waited = slot.since(claim.wanted_at);
    claim.due = claim.due.max(slot);
    claim.wanted_at = claim.wanted_at.max(slot);
    Ok(PacedClaim {
        id: claim.id,
        priority: claim.facts.priority,
        claim,
        latest: slot + PACE_SLACK,
        waited,
        next: row.try_get::<_, PgTimestamp>("next_at")?.0,
    })
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
