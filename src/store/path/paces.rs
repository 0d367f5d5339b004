//! The messages of paces: their claim, and when the next of each may start.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use super::rows::{lane, lane_address};
use crate::message::{
    AccountNumber, AttemptToken, Claim, MessageId, Moment, PaceDue, PaceId, PaceScope, PacedClaim,
    Routes, Sender,
};
use crate::schedule::PACE_SLACK;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, prepared};

static CLAIM: &Sql = sql!("sql/claim_paced.sql");
static PRUNE: &Sql = sql!("sql/paces_prune.sql");
static LOAD: &Sql = sql!("sql/paces_load.sql");
static CHARGE: &Sql = sql!("sql/pace_charge.sql");

/// The result of a claim for paces.
#[derive(Debug)]
pub struct PacesClaimed {
    /// What was won, by pace.
    pub won: HashMap<PaceId, PacedClaim<Claim>>,
    /// What was cancelled instead, because the recipients have opted out.
    pub opted_out: HashMap<PaceId, MessageId>,
    /// The database's clock during the statement, if the response has it.
    pub now: Option<Moment>,
}

impl Store {
    /// Claims the next message of each of these paces, under a token drawn for it, and one that names no account by
    /// that which was chosen for its pace; the first `left_out` of each are passed over. [`Self::paces`] shows when
    /// the next message of the others may start. After an error other than a refusal the claim may be committed
    /// nonetheless.
    pub async fn claim_paced(
        &self,
        asks: &[(PaceId, AttemptToken, Duration)],
        via: &[Option<AccountNumber>],
        lease: Duration,
        left_out: u32,
    ) -> Result<PacesClaimed, StoreError> {
        const STEP: &str = "claiming messages of paces";
        let paces: Vec<Uuid> = asks.iter().map(|(id, ..)| id.0).collect();
        let tokens: Vec<Uuid> = asks.iter().map(|(_, token, _)| token.0).collect();
        let (slack, left_out) = (micros(PACE_SLACK), i64::from(left_out));
        let rate_slacks: Vec<i64> = asks.iter().map(|(.., slack)| micros(*slack)).collect();
        let via: Vec<_> = via.iter().map(|via| self.account(*via)).collect();
        let by_token: HashMap<Uuid, &str> = tokens
            .iter()
            .zip(&via)
            .filter_map(|(t, v)| Some((*t, (*v)?)))
            .collect();
        let claimed = self
            .claim_rows(
                CLAIM,
                STEP,
                (&paces, &tokens, &via),
                lease,
                &[&slack, &left_out, &rate_slacks],
            )
            .await?;
        let read = |row| read_paced(row, self.read_won(row, &by_token)?);
        let won = claimed.rows.iter().map(read);
        let won = won.collect::<Result<_, _>>();
        let opted_out = claimed.opted_out.iter();
        let opted_out = opted_out.map(|(id, row)| Ok((PaceId(row.try_get("pace")?), *id)));
        let opted_out = opted_out.collect::<Result<_, _>>();
        Ok(PacesClaimed {
            won: won.map_err(StoreError::unreadable(STEP))?,
            opted_out: opted_out.map_err(StoreError::unreadable(STEP))?,
            now: claimed.now,
        })
    }

    /// Corrects by so many segments what messages were charged to the rate of their sender. Returns when each rate that
    /// was corrected has room for the next segment; a later message may have taken it since.
    pub async fn charge(
        &self,
        corrections: &[(PaceId, AttemptToken, i32)],
    ) -> Result<Vec<(PaceId, Moment)>, StoreError> {
        const STEP: &str = "correcting the charge of a sender's rate";
        let rates: Vec<Uuid> = corrections.iter().map(|(rate, ..)| rate.0).collect();
        let tokens: Vec<Uuid> = corrections.iter().map(|(_, token, _)| token.0).collect();
        let segments: Vec<i32> = corrections.iter().map(|(.., n)| *n).collect();
        let client = self.client().await?;
        let charge = prepared(&client, CHARGE, STEP).await?;
        let rows = client.query(&charge, &[&rates, &tokens, &segments]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let one = |row: &Row| -> Result<_, tokio_postgres::Error> {
            let next = row.try_get::<_, PgTimestamp>("next_at")?.0;
            Ok((PaceId(row.try_get("id")?), next))
        };
        let read = rows.iter().map(one).collect::<Result<_, _>>();
        read.map_err(StoreError::unreadable(STEP))
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
        let read = rows
            .iter()
            .map(|row| read_due(row, &self.routes))
            .collect::<Result<_, _>>();
        read.map_err(StoreError::unreadable(STEP))
    }
}

/// The claim is due at its slot. Its lateness counts from when there was one for it: an outage since then is lateness.
fn read_paced(
    row: &Row,
    mut claim: Claim,
) -> Result<(PaceId, PacedClaim<Claim>), tokio_postgres::Error> {
    let slot = row.try_get::<_, PgTimestamp>("slot")?.0;
    let late_from = claim
        .wanted_at
        .max(row.try_get::<_, PgTimestamp>("late_from")?.0);
    let waited = late_from.since(claim.wanted_at);
    claim.due = claim.due.max(slot);
    claim.wanted_at = late_from;
    let paced = PacedClaim {
        id: claim.id,
        priority: claim.facts.priority,
        claim,
        latest: row.try_get::<_, PgTimestamp>("latest")?.0,
        rate: row.try_get::<_, Option<Uuid>>("rate")?.map(PaceId),
        charged: row.try_get("charged")?,
        waited,
        next: row.try_get::<_, PgTimestamp>("next_at")?.0,
    };
    Ok((PaceId(row.try_get("pace")?), paced))
}

fn read_due(row: &Row, routes: &Routes) -> Result<PaceDue, tokio_postgres::Error> {
    let scope: &str = row.try_get("scope")?;
    Ok(PaceDue {
        id: PaceId(row.try_get("id")?),
        scope: scope.to_owned(),
        what: shown(scope, row.try_get("what")?),
        at: row.try_get::<_, PgTimestamp>("next_at")?.0,
        lane: lane(row, lane_address(row)?, routes)?,
    })
}

/// Which one, for people: senders are masked.
pub(in crate::store) fn shown(scope: &str, what: &str) -> String {
    if scope != PaceScope::Sender.as_str() {
        return what.to_owned();
    }
    what.parse::<Sender>()
        .map_or_else(|_| "a pool of senders".to_owned(), |sender| sender.masked())
}
