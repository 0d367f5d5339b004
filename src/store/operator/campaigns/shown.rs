//! What people see of campaigns and their messages on the page and by the API.

use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use super::{Campaign, Count, Draft, moment};
use crate::message::parts::SEPARATOR;
use crate::message::{MessageId, Moment};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::user::UserSession;
use crate::store::{Sql, Store, StoreError};

static SHOWN: &Sql = sql!("../sql/campaign_shown.sql");
static TALLIES: &Sql = sql!("../sql/campaign_tallies.sql");
static DECISIONS: &Sql = sql!("../sql/campaign_decisions.sql");

/// Campaigns whose messages are counted for a list.
const COUNTED_MAX: i64 = 25;

/// Decisions that are listed.
const DECISIONS_MAX: i64 = 100;

/// How far a campaign is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = CampaignTally))]
pub struct Tally {
    /// Messages that nobody has decided about.
    pub suggested: u64,
    /// Those that are approved, and not scheduled.
    pub approved: u64,
    /// Those that are rejected.
    pub rejected: u64,
    /// Those that were scheduled.
    pub scheduled: u64,
    /// Those of the scheduled ones that are still to be sent.
    pub waiting: u64,
}

/// A message of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its position, from 1.
    pub position: i32,
    /// Whom it is for, and what it says.
    pub draft: Draft,
    /// `SUG`, `APR`, `REJ`, `SCH`, `sent`, `failed`, `cancelled`, `unconfirmed` or `deleted`.
    pub status: String,
    /// Who approved or rejected it, and when.
    pub decided: Option<(String, Moment)>,
    /// Its row of `scheduled_messages`.
    pub message: Option<MessageId>,
    /// When that is due, and was sent.
    pub times: (Option<Moment>, Option<Moment>),
    /// Why it was not sent.
    pub reason: Option<String>,
    /// What it is, in short: another one, once it was changed.
    pub seen: String,
}

/// Which messages of a campaign are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those after this position.
    pub after: i32,
    /// In these statuses; none: in any.
    pub statuses: Vec<String>,
    /// With this in their name, number or text.
    pub search: Option<String>,
    /// At most so many.
    pub limit: i64,
}

/// What was decided, or changed, at once.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = CampaignEntry))]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// Who says it was.
    pub who: Option<String>,
    /// The database role, which nobody can invent.
    pub role: String,
    /// The status before.
    pub was: String,
    /// The status since then; the same as before: the messages were changed.
    pub status: String,
    /// How many messages.
    pub messages: u64,
    /// The position of the first of them.
    pub first: i32,
    /// The position of the last of them.
    pub last: i32,
}

impl Store {
    /// What divides texts into parts.
    pub async fn part_separator(&self) -> Result<String, StoreError> {
        let client = self.client().await?;
        let known = UserSession::new(&**client).part_separator().await?;
        Ok(known.unwrap_or_else(|| SEPARATOR.to_owned()))
    }

    /// The latest campaigns, and how far they are.
    pub async fn campaigns(&self) -> Result<Vec<(Campaign, Tally)>, StoreError> {
        const STEP: &str = "counting the messages of campaigns";
        let client = self.client().await?;
        let all = super::latest(&**client, COUNTED_MAX).await?;
        let ids: Vec<Uuid> = all.iter().map(|one| one.id).collect();
        let rows = client.query(TALLIES.text(), &[&ids]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read = |row: &Row| Ok((row.try_get("id")?, tally(row)?));
        let read: Result<Vec<(Uuid, Tally)>, _> = rows.iter().map(read).collect();
        let tallies = read.map_err(StoreError::unreadable(STEP))?;
        let of = |id: Uuid| tallies.iter().find(|(own, _)| *own == id);
        let with = all.into_iter().map(|one| {
            let tally = of(one.id).map(|(_, tally)| *tally);
            (one, tally.unwrap_or_default())
        });
        Ok(with.collect())
    }

    /// The campaign of this name, or this id, and how many of its messages are in which status.
    pub async fn campaign(
        &self,
        named: &str,
    ) -> Result<Option<(Campaign, Vec<Count>)>, StoreError> {
        let client = self.client().await?;
        let Some(campaign) = super::find(&**client, named).await? else {
            return Ok(None);
        };
        let counts = super::counts(&**client, campaign.id).await?;
        Ok(Some((campaign, counts)))
    }

    /// Messages of the campaign of this name, or this id, in their order. `None`: there is none.
    pub async fn campaign_messages(
        &self,
        named: &str,
        wanted: &Wanted,
    ) -> Result<Option<Vec<Shown>>, StoreError> {
        let client = self.client().await?;
        let Some(campaign) = super::find(&**client, named).await? else {
            return Ok(None);
        };
        shown(&**client, campaign.id, wanted).await.map(Some)
    }

    /// What was decided in the campaign of this name, or this id, and changed, the latest first.
    pub async fn campaign_decisions(&self, named: &str) -> Result<Option<Vec<Entry>>, StoreError> {
        const STEP: &str = "reading the decisions of a campaign";
        let client = self.client().await?;
        let Some(campaign) = super::find(&**client, named).await? else {
            return Ok(None);
        };
        let params: [&(dyn ToSql + Sync); 2] = [&campaign.id, &DECISIONS_MAX];
        let rows = client.query(DECISIONS.text(), &params).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read = rows.iter().map(entry).collect::<Result<_, _>>();
        read.map(Some).map_err(StoreError::unreadable(STEP))
    }
}

/// Messages of a campaign, in their order.
pub(super) async fn shown(
    client: &impl GenericClient,
    campaign: Uuid,
    wanted: &Wanted,
) -> Result<Vec<Shown>, StoreError> {
    const STEP: &str = "reading the messages of a campaign";
    // As the table has them: what becomes of a scheduled one is not there.
    let own = |status: &String| match status.as_str() {
        "SUG" | "APR" | "REJ" => status.clone(),
        _ => "SCH".to_owned(),
    };
    let kept: Vec<String> = wanted.statuses.iter().map(own).collect();
    let params: [&(dyn ToSql + Sync); 6] = [
        &campaign,
        &wanted.after,
        &wanted.statuses,
        &wanted.search,
        &wanted.limit,
        &kept,
    ];
    let rows = client.query(SHOWN.text(), &params).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(one).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
}

fn one(row: &Row) -> Result<Shown, tokio_postgres::Error> {
    let decided_at = moment(row, "decided_at")?;
    let decided_by: Option<String> = row.try_get("decided_by")?;
    let message: Option<Uuid> = row.try_get("message_id")?;
    Ok(Shown {
        position: row.try_get("position")?,
        draft: Draft {
            customer_name: row.try_get("customer_name")?,
            phone_number: row.try_get("phone_number")?,
            content: row.try_get("content")?,
        },
        status: row.try_get("status")?,
        decided: decided_by.zip(decided_at),
        message: message.map(MessageId),
        times: (moment(row, "due_at")?, moment(row, "sent_at")?),
        reason: row.try_get("reason")?,
        seen: row.try_get("seen")?,
    })
}

fn tally(row: &Row) -> Result<Tally, tokio_postgres::Error> {
    let n = |column: &str| row.try_get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(Tally {
        suggested: n("suggested")?,
        approved: n("approved")?,
        rejected: n("rejected")?,
        scheduled: n("scheduled")?,
        waiting: n("waiting")?,
    })
}

fn entry(row: &Row) -> Result<Entry, tokio_postgres::Error> {
    Ok(Entry {
        at: row.try_get::<_, PgTimestamp>("at")?.0,
        who: row.try_get("who")?,
        role: row.try_get("role")?,
        was: row.try_get("was")?,
        status: row.try_get("status")?,
        messages: row.try_get::<_, i64>("messages")?.unsigned_abs(),
        first: row.try_get("first")?,
        last: row.try_get("last")?,
    })
}
