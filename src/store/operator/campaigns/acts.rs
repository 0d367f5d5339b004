//! What a person does to a campaign. Each act is one transaction, which locks the campaign first.

use tokio_postgres::{Client, GenericClient, Row};
use uuid::Uuid;

use super::{Approved, BATCH, Campaign, moment};
use crate::message::Moment;
use crate::plan::campaign::Planned;
use crate::store::operator::Actor;
use crate::store::operator::acts::{BEGIN, CANCEL};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError, micros};

static LOCK: &Sql = sql!("../sql/campaign_lock.sql");
static PLANNED: &Sql = sql!("../sql/campaign_planned.sql");
static PUT: &Sql = sql!("../sql/campaign_put.sql");
static PACE: &Sql = sql!("../sql/campaign_pace.sql");
static SCHEDULED: &Sql = sql!("../sql/campaign_begin.sql");
static PENDING: &Sql = sql!("../sql/campaign_pending.sql");
static MOVE: &Sql = sql!("../sql/campaign_move.sql");
static END: &Sql = sql!("../sql/campaign_end.sql");

/// The most messages that an act moves or cancels.
const ACT_MAX: i64 = 1_000_000;

/// Begins an act on a campaign, within a transaction: it is a user's, by that name, and no other act goes on. `false`:
/// the campaign is cancelled.
pub async fn lock(client: &impl GenericClient, id: Uuid, who: &Actor) -> Result<bool, StoreError> {
    const STEP: &str = "locking a campaign";
    let named = client.query_one(BEGIN.text(), &[&who.as_str()]).await;
    named.map_err(StoreError::at(STEP))?;
    let locked = client.query_opt(LOCK.text(), &[&id]).await;
    Ok(locked.map_err(StoreError::at(STEP))?.is_some())
}

/// How many messages of a campaign are scheduled already, and when the last of them is due by the plan.
pub async fn planned(client: &Client, id: Uuid) -> Result<(i64, Option<Moment>), StoreError> {
    const STEP: &str = "reading the plan of a campaign";
    let row = client.query_one(PLANNED.text(), &[&id]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    let read = || Ok((row.try_get("messages")?, moment(&row, "last_at")?));
    read().map_err(StoreError::unreadable(STEP))
}

/// Schedules approved messages, each with its time, and gives the campaign its pace. Returns the ids of their rows;
/// `None`: one was changed meanwhile, and the transaction is to be rolled back.
pub async fn put(
    client: &Client,
    campaign: &Campaign,
    messages: &[Approved],
    plan: &[Planned],
) -> Result<Option<Vec<Uuid>>, StoreError> {
    const STEP: &str = "scheduling a campaign";
    let Some(first) = plan.first() else {
        return Ok(Some(Vec::new()));
    };
    let pacing = campaign.settings.pacing;
    let (min, max) = pacing.pace();
    client
        .execute(
            PACE.text(),
            &[
                &campaign.id,
                &micros(min),
                &micros(max),
                &pacing.seed,
                &first.position,
            ],
        )
        .await
        .map_err(StoreError::at(STEP))?;
    // Ascending: messages that are deferred to the same opening are sent in this order.
    let mut ids: Vec<Uuid> = messages.iter().map(|_| Uuid::now_v7()).collect();
    ids.sort_unstable();
    let all: Vec<_> = messages.iter().zip(plan).zip(&ids).collect();
    let from = campaign.settings.from.as_deref();
    for batch in all.chunks(BATCH) {
        let rows: Vec<i64> = batch.iter().map(|((one, _), _)| one.id).collect();
        let ids: Vec<Uuid> = batch.iter().map(|(_, id)| **id).collect();
        let due = batch.iter().map(|((_, slot), _)| PgTimestamp(slot.at));
        let due: Vec<PgTimestamp> = due.collect();
        let drafts = batch.iter().map(|((one, _), _)| &one.draft);
        let numbers: Vec<&str> = drafts
            .clone()
            .map(|one| one.phone_number.as_str())
            .collect();
        let texts: Vec<&str> = drafts.map(|one| one.content.as_str()).collect();
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&campaign.id, &from, &rows, &ids, &due, &numbers, &texts];
        let put = client.execute(PUT.text(), &params).await;
        if put.map_err(StoreError::at(STEP))? < batch.len() as u64 {
            return Ok(None);
        }
    }
    let begun = client
        .execute(SCHEDULED.text(), &[&campaign.id, &PgTimestamp(first.at)])
        .await;
    begun.map_err(StoreError::at(STEP))?;
    Ok(Some(ids))
}

/// The messages of a campaign that are still to be sent, with their due times, in their order; locked.
///
/// With `with_later_parts` also those of which parts were sent: these can be cancelled, and not moved.
pub async fn pending(
    client: &impl GenericClient,
    id: Uuid,
    with_later_parts: bool,
) -> Result<Vec<(Uuid, Moment)>, StoreError> {
    const STEP: &str = "reading the messages of a campaign";
    let rows = client
        .query(PENDING.text(), &[&id, &ACT_MAX, &with_later_parts])
        .await;
    let one = |row: &Row| {
        let at = row.try_get::<_, PgTimestamp>("due_at")?.0;
        Ok((row.try_get("id")?, at))
    };
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(one).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
}

/// Moves them; returns how many.
pub async fn move_all(client: &Client, to: &[(Uuid, Moment)]) -> Result<u64, StoreError> {
    let mut moved = 0;
    for batch in to.chunks(BATCH) {
        let ids: Vec<Uuid> = batch.iter().map(|(id, _)| *id).collect();
        let times: Vec<_> = batch.iter().map(|(_, at)| PgTimestamp(*at)).collect();
        let done = client.execute(MOVE.text(), &[&ids, &times]).await;
        moved += done.map_err(StoreError::at("moving the messages of a campaign"))?;
    }
    Ok(moved)
}

/// Cancels a campaign, and these messages of it; returns how many.
pub async fn cancel(
    client: &impl GenericClient,
    id: Uuid,
    messages: &[Uuid],
    who: &Actor,
) -> Result<u64, StoreError> {
    const STEP: &str = "cancelling a campaign";
    let ended = client.execute(END.text(), &[&id]).await;
    ended.map_err(StoreError::at(STEP))?;
    let reason = format!("cancelled with its campaign by {}", who.as_str());
    let mut cancelled = 0;
    for batch in messages.chunks(BATCH) {
        let done = client.execute(CANCEL.text(), &[&batch, &reason]).await;
        cancelled += done.map_err(StoreError::at(STEP))?;
    }
    Ok(cancelled)
}
