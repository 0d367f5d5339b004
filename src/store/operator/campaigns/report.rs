//! What a campaign has come to.

use serde::Deserialize;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::BATCH;
use crate::store::{Sql, StoreError};

static REPORT: &Sql = sql!("../sql/campaign_report.sql");
static TEXTS: &Sql = sql!("../sql/campaign_texts.sql");

/// What became of the messages of a campaign, and what people answered.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Report {
    /// How many it has.
    pub messages: i64,
    /// Those that are still to be sent.
    pub waiting: i64,
    /// Those that the provider accepted.
    pub sent: i64,
    /// Those of them that arrived, as far as that is reported.
    pub delivered: i64,
    /// Those that failed.
    pub failed: i64,
    /// Those that were cancelled.
    pub cancelled: i64,
    /// Those of which it is not known whether they were sent.
    pub unconfirmed: i64,
    /// How many people replied.
    pub replied: i64,
    /// How many texts they wrote, commands aside.
    pub replies: i64,
    /// How many people opted out after a message of it.
    pub opted_out: i64,
    /// What they cost, by what the provider has said, for each currency.
    pub prices: Vec<Priced>,
    /// What others cost, by the app's own figures; `None`: none is known.
    pub cost_usd: Option<f64>,
    /// Of how many messages that is known.
    pub cost_known_of: i64,
    /// Why messages were not sent, the most frequent reason first.
    pub reasons: Vec<Ended>,
}

/// What messages cost in one currency.
#[derive(Clone, Debug, PartialEq, Deserialize, serde::Serialize)]
pub struct Priced {
    /// The currency.
    pub unit: String,
    /// The sum.
    pub amount: f64,
    /// Of how many messages.
    pub messages: i64,
}

/// Messages that were not sent, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Ended {
    /// `failed`, `cancelled` or `unconfirmed`.
    pub status: String,
    /// A sentence, without numbers and texts.
    pub reason: Option<String>,
    /// How many.
    pub messages: i64,
}

/// What the campaign has come to.
pub async fn report(client: &Client, id: Uuid) -> Result<Report, StoreError> {
    const STEP: &str = "reading what a campaign has come to";
    let row = client.query_one(REPORT.text(), &[&id]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    read(&row).map_err(StoreError::unreadable(STEP))
}

fn read(row: &Row) -> Result<Report, tokio_postgres::Error> {
    let reasons: serde_json::Value = row.try_get("reasons")?;
    let prices: serde_json::Value = row.try_get("prices")?;
    Ok(Report {
        messages: row.try_get("messages")?,
        waiting: row.try_get("waiting")?,
        sent: row.try_get("sent")?,
        delivered: row.try_get("delivered")?,
        failed: row.try_get("failed")?,
        cancelled: row.try_get("cancelled")?,
        unconfirmed: row.try_get("unconfirmed")?,
        replied: row.try_get("replied")?,
        replies: row.try_get("replies")?,
        opted_out: row.try_get("opted_out")?,
        prices: serde_json::from_value(prices).unwrap_or_default(),
        cost_usd: row.try_get("cost_usd")?,
        cost_known_of: row.try_get("cost_known_of")?,
        reasons: serde_json::from_value(reasons).unwrap_or_default(),
    })
}

/// The texts that were sent, one after the other.
pub async fn sent_texts(
    client: &Client,
    id: Uuid,
    mut take: impl FnMut(&str),
) -> Result<(), StoreError> {
    const STEP: &str = "reading the texts of a campaign";
    let most = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let mut after = 0;
    loop {
        let rows = client.query(TEXTS.text(), &[&id, &after, &most]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        for row in &rows {
            let read = row.try_get("position").and_then(|position: i32| {
                let text: Option<&str> = row.try_get("body")?;
                Ok((position, text))
            });
            let (position, text) = read.map_err(StoreError::unreadable(STEP))?;
            after = position;
            if let Some(text) = text {
                take(text);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}
