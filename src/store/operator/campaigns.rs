//! Campaigns as people see them: which there are, and what has become of their messages.

mod acts;
mod approval;
mod drafts;
mod report;
mod shown;

use std::time::Duration;

use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use crate::message::Moment;
use crate::plan::campaign::{Pacing, Skips};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError};

pub use acts::{cancel, lock, move_all, pending, planned, put};
pub use approval::{Done, Edited, Refused};
pub use drafts::{
    Approved, Decision, Draft, Known, Meant, Rows, add, approved, decide, default_hours, known,
    make, meant,
};
pub use report::{Ended, Priced, Report, report, sent_texts};
pub use shown::{Entry, Shown, Tally, Wanted};

static FIND: &Sql = sql!("sql/campaign_find.sql");
static LIST: &Sql = sql!("sql/campaign_list.sql");
static COUNTS: &Sql = sql!("sql/campaign_counts.sql");

/// Rows of one statement.
const BATCH: usize = 5_000;

/// Campaigns that are listed.
const LISTED_MAX: i64 = 200;

/// What a person says of a campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// The time zone of its hours.
    pub timezone: String,
    /// When its messages may be sent, as `policy::BusinessHours` reads it.
    pub hours: String,
    /// How they are paced.
    pub pacing: Pacing,
    /// Whom they are from; `None`: the sender of rows that name none.
    pub from: Option<String>,
    /// Whether it sends nothing more to whom has replied.
    pub stop_on_reply: bool,
}

/// A campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct Campaign {
    /// Its id, which its messages have as `campaign_id`.
    pub id: Uuid,
    /// What a person said of it.
    pub settings: Settings,
    /// `draft`, `scheduled`, `paused`, `done` or `cancelled`.
    pub state: String,
    /// When the first of its messages was planned to be due.
    pub first_at: Option<Moment>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Moment,
}

/// How many of its messages are in a status.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = CampaignCount))]
pub struct Count {
    /// `SUG`, `APR`, `REJ`, `SCH`, `sent`, `failed`, `cancelled`, `unconfirmed` or `deleted`.
    pub status: String,
    /// How many.
    pub messages: u64,
    /// When the first of them is due, of scheduled ones.
    pub first_at: Option<Moment>,
    /// When the last of them is due.
    pub last_at: Option<Moment>,
}

/// The campaign with this name, or this id.
pub async fn find(
    client: &impl GenericClient,
    named: &str,
) -> Result<Option<Campaign>, StoreError> {
    const STEP: &str = "looking for a campaign";
    let id: Option<Uuid> = named.parse().ok();
    let row = client.query_opt(FIND.text(), &[&named, &id]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    let read = row.as_ref().map(campaign).transpose();
    read.map_err(StoreError::unreadable(STEP))
}

/// The latest campaigns.
pub async fn list(client: &impl GenericClient) -> Result<Vec<Campaign>, StoreError> {
    latest(client, LISTED_MAX).await
}

/// The latest campaigns, at most so many.
async fn latest(client: &impl GenericClient, most: i64) -> Result<Vec<Campaign>, StoreError> {
    const STEP: &str = "reading the campaigns";
    let rows = client.query(LIST.text(), &[&most]).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(campaign).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
}

/// How many of its messages are in which status.
pub async fn counts(client: &impl GenericClient, id: Uuid) -> Result<Vec<Count>, StoreError> {
    const STEP: &str = "counting the messages of a campaign";
    let rows = client.query(COUNTS.text(), &[&id]).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(count).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
}

fn campaign(row: &Row) -> Result<Campaign, tokio_postgres::Error> {
    let skips: i32 = row.try_get("skip_per_mille")?;
    let pacing = Pacing {
        seed: row.try_get("seed")?,
        gaps: (span(row, "gap_min")?, span(row, "gap_max")?),
        skips: Skips {
            per_mille: skips.unsigned_abs(),
            length: (span(row, "skip_min")?, span(row, "skip_max")?),
        },
    };
    Ok(Campaign {
        id: row.try_get("id")?,
        settings: Settings {
            name: row.try_get("name")?,
            timezone: row.try_get("timezone")?,
            hours: row.try_get("hours")?,
            pacing,
            from: row.try_get("from_number")?,
            stop_on_reply: row.try_get("stop_on_reply")?,
        },
        state: row.try_get("state")?,
        first_at: moment(row, "first_at")?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get::<_, PgTimestamp>("created_at")?.0,
    })
}

fn count(row: &Row) -> Result<Count, tokio_postgres::Error> {
    let messages: i64 = row.try_get("messages")?;
    Ok(Count {
        status: row.try_get("status")?,
        messages: messages.unsigned_abs(),
        first_at: moment(row, "first_at")?,
        last_at: moment(row, "last_at")?,
    })
}

fn moment(row: &Row, column: &str) -> Result<Option<Moment>, tokio_postgres::Error> {
    let at: Option<PgTimestamp> = row.try_get(column)?;
    Ok(at.map(|at| at.0))
}

fn span(row: &Row, column: &str) -> Result<Duration, tokio_postgres::Error> {
    let us: i64 = row.try_get(column)?;
    Ok(Duration::from_micros(us.unsigned_abs()))
}
