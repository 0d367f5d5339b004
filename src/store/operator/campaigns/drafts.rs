//! The messages of a campaign before they are scheduled: added, approved, rejected.

use std::ops::RangeInclusive;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, GenericClient, Row};
use uuid::Uuid;

use super::{BATCH, Settings};
use crate::message::E164;
use crate::message::parts::{divided, is_blank};
use crate::policy::BusinessHours;
use crate::provider;
use crate::store::operator::Actor;
use crate::store::{Sql, StoreError, micros};

static DEFAULTS: &Sql = sql!("../sql/campaign_defaults.sql");
static MAKE: &Sql = sql!("../sql/campaign_make.sql");
static KNOWN: &Sql = sql!("../sql/campaign_known.sql");
static LAST: &Sql = sql!("../sql/campaign_last.sql");
static ADD: &Sql = sql!("../sql/campaign_add.sql");
static MEANT: &Sql = sql!("../sql/campaign_meant.sql");
static DECIDE: &Sql = sql!("../sql/campaign_decide.sql");
static APPROVED: &Sql = sql!("../sql/campaign_approved.sql");

/// The most characters of a name.
const NAME_MAX: usize = 200;

/// A message as it is imported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Draft {
    /// Whom it is for, by name.
    pub customer_name: Option<String>,
    /// Their number.
    pub phone_number: String,
    /// The text, in parts where it has the separator.
    pub content: String,
}

impl Draft {
    /// As a person gives it, if it can be sent. The reason why not has neither number nor text.
    pub fn read(
        name: Option<&str>,
        number: &str,
        content: &str,
        separator: Option<&str>,
    ) -> Result<Self, String> {
        let number: E164 = number
            .parse()
            .map_err(|why| format!("phone_number: {why}"))?;
        let content = content.trim();
        check(content, separator).map_err(|why| format!("content: {why}"))?;
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        if name.is_some_and(|name| name.chars().count() > NAME_MAX || name.contains('\0')) {
            return Err(format!(
                "customer_name: it has more than {NAME_MAX} characters, or a null character"
            ));
        }
        Ok(Self {
            customer_name: name.map(ToOwned::to_owned),
            phone_number: number.as_str().to_owned(),
            content: content.to_owned(),
        })
    }
}

/// Why a text cannot be sent.
fn check(text: &str, separator: Option<&str>) -> Result<(), String> {
    if is_blank(text) {
        return Err("it is empty".into());
    }
    // Postgres has no such character in a text.
    if text.contains('\0') {
        return Err("it contains a null character".into());
    }
    divided(text, separator, provider::TEXTS.max_chars).map(drop)
}

/// One that the campaign has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which of those that were asked about, from 0.
    pub index: usize,
    /// Its position in the campaign.
    pub position: i32,
}

/// One that was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Its row.
    pub id: i64,
    /// Its position in the campaign, from 1.
    pub position: i32,
    /// What it is.
    pub draft: Draft,
}

/// Messages of a campaign by their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// These positions.
    pub positions: RangeInclusive<i32>,
    /// Only if they are as somebody saw them.
    pub seen: Option<String>,
}

impl From<RangeInclusive<i32>> for Rows {
    fn from(positions: RangeInclusive<i32>) -> Self {
        Self {
            positions,
            seen: None,
        }
    }
}

/// What is decided of which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Approved, or else rejected.
    pub is_approved: bool,
    /// Of those in these statuses.
    pub of: Vec<String>,
    /// Of these.
    pub rows: Vec<Rows>,
    /// With this in their name, number or text.
    pub search: Option<String>,
}

/// The messages that a decision is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    /// How many.
    pub messages: u64,
    /// What they are together: something else, once one of them was changed, or another is in its place.
    pub seen: String,
}

/// The time zone and the hours of campaigns that say no other, as the daemon has recorded them.
pub async fn default_hours(client: &Client) -> Result<(String, String), StoreError> {
    const STEP: &str = "reading the hours of campaigns";
    let row = client.query_one(DEFAULTS.text(), &[]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    let read = || Ok((row.try_get("timezone")?, row.try_get("hours")?));
    read().map_err(StoreError::unreadable(STEP))
}

/// Makes a campaign, as a draft; `who` does. `None`: there is one of this name.
pub async fn make(
    client: &Client,
    settings: &Settings,
    hours: &BusinessHours,
    who: &Actor,
) -> Result<Option<Uuid>, StoreError> {
    const STEP: &str = "making a campaign";
    let (from, until): (Vec<i64>, Vec<i64>) =
        hours.ranges().iter().map(|r| (r.start, r.end)).unzip();
    let pacing = settings.pacing;
    let skips = i32::try_from(pacing.skips.per_mille).unwrap_or(i32::MAX);
    let row = client
        .query_opt(
            MAKE.text(),
            &[
                &settings.name,
                &settings.timezone,
                &settings.hours,
                &from,
                &until,
                &micros(pacing.gaps.0),
                &micros(pacing.gaps.1),
                &skips,
                &micros(pacing.skips.length.0),
                &micros(pacing.skips.length.1),
                &settings.from,
                &pacing.seed,
                &who.as_str(),
                &settings.stop_on_reply,
            ],
        )
        .await
        .map_err(StoreError::at(STEP))?;
    let id = row.map(|row| row.try_get("id")).transpose();
    id.map_err(StoreError::unreadable(STEP))
}

/// Which of these messages a campaign has already.
pub async fn known(
    client: &Client,
    campaign: Uuid,
    drafts: &[Draft],
) -> Result<Vec<Known>, StoreError> {
    const STEP: &str = "comparing messages with those of a campaign";
    let mut all = Vec::new();
    for (batch, first) in drafts.chunks(BATCH).zip((0..).step_by(BATCH)) {
        let numbers: Vec<&str> = batch.iter().map(|one| one.phone_number.as_str()).collect();
        let texts: Vec<&str> = batch.iter().map(|one| one.content.as_str()).collect();
        let rows = client
            .query(KNOWN.text(), &[&campaign, &numbers, &texts])
            .await;
        let one = |row: &Row| {
            let nth: i64 = row.try_get("nth")?;
            Ok(Known {
                index: first + usize::try_from(nth - 1).unwrap_or_default(),
                position: row.try_get("position")?,
            })
        };
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read: Result<Vec<Known>, _> = rows.iter().map(one).collect();
        all.extend(read.map_err(StoreError::unreadable(STEP))?);
    }
    Ok(all)
}

/// Adds messages to a campaign, in this order, as suggested. Within a transaction that has locked it
/// ([`super::acts::lock`]).
pub async fn add(client: &Client, campaign: Uuid, drafts: &[Draft]) -> Result<(), StoreError> {
    const STEP: &str = "adding messages to a campaign";
    let last = client.query_one(LAST.text(), &[&campaign]).await;
    let last = last.map_err(StoreError::at(STEP))?.try_get(0);
    let mut last: i32 = last.map_err(StoreError::unreadable(STEP))?;
    for batch in drafts.chunks(BATCH) {
        let names: Vec<Option<&str>> = batch
            .iter()
            .map(|one| one.customer_name.as_deref())
            .collect();
        let numbers: Vec<&str> = batch.iter().map(|one| one.phone_number.as_str()).collect();
        let texts: Vec<&str> = batch.iter().map(|one| one.content.as_str()).collect();
        let added = client
            .execute(ADD.text(), &[&campaign, &last, &names, &numbers, &texts])
            .await;
        let added = added.map_err(StoreError::at(STEP))?;
        last = last.saturating_add(i32::try_from(added).unwrap_or(i32::MAX));
    }
    Ok(())
}

/// Which messages a decision is about.
pub async fn meant(
    client: &impl GenericClient,
    campaign: Uuid,
    decision: &Decision,
) -> Result<Meant, StoreError> {
    const STEP: &str = "counting the messages of a decision";
    let (first, last, seen) = decision.ranges();
    let (of, search) = (&decision.of, &decision.search);
    let params: [&(dyn ToSql + Sync); 6] = [&campaign, of, &first, &last, &seen, search];
    let row = client.query_one(MEANT.text(), &params).await;
    Meant::read(&row.map_err(StoreError::at(STEP))?).map_err(StoreError::unreadable(STEP))
}

/// Approves or rejects messages that were not scheduled; returns which.
pub async fn decide(
    client: &impl GenericClient,
    campaign: Uuid,
    decision: &Decision,
) -> Result<Meant, StoreError> {
    const STEP: &str = "deciding on messages of a campaign";
    let status = if decision.is_approved { "APR" } else { "REJ" };
    let (first, last, seen) = decision.ranges();
    let (of, search) = (&decision.of, &decision.search);
    let params: [&(dyn ToSql + Sync); 7] = [&campaign, of, &first, &last, &seen, search, &status];
    let row = client.query_one(DECIDE.text(), &params).await;
    Meant::read(&row.map_err(StoreError::at(STEP))?).map_err(StoreError::unreadable(STEP))
}

impl Meant {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let messages: i64 = row.try_get("messages")?;
        Ok(Self {
            messages: messages.unsigned_abs(),
            seen: row.try_get("seen")?,
        })
    }
}

impl Decision {
    /// Its messages, as statements take them.
    fn ranges(&self) -> (Vec<i32>, Vec<i32>, Vec<Option<&str>>) {
        let rows = self.rows.iter();
        let first = rows.clone().map(|rows| *rows.positions.start()).collect();
        let last = rows.clone().map(|rows| *rows.positions.end()).collect();
        (first, last, rows.map(|rows| rows.seen.as_deref()).collect())
    }
}

/// The approved messages of a campaign, in their order.
pub async fn approved(client: &Client, campaign: Uuid) -> Result<Vec<Approved>, StoreError> {
    const STEP: &str = "reading the approved messages of a campaign";
    let most = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let mut all: Vec<Approved> = Vec::new();
    loop {
        let after = all.last().map_or(0, |last| last.position);
        let rows = client
            .query(APPROVED.text(), &[&campaign, &after, &most])
            .await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read: Result<Vec<Approved>, _> = rows.iter().map(read_approved).collect();
        all.extend(read.map_err(StoreError::unreadable(STEP))?);
        if rows.len() < BATCH {
            return Ok(all);
        }
    }
}

fn read_approved(row: &Row) -> Result<Approved, tokio_postgres::Error> {
    Ok(Approved {
        id: row.try_get("id")?,
        position: row.try_get("position")?,
        draft: Draft {
            customer_name: row.try_get("customer_name")?,
            phone_number: row.try_get("phone_number")?,
            content: row.try_get("content")?,
        },
    })
}
