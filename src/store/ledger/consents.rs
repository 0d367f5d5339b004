//! The log of consents: who has agreed to what, and who has withdrawn it.

use serde::Serialize;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::message::Moment;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError};

static RECORD: &Sql = sql!("sql/consent_record.sql");
static PAGE: &Sql = sql!("sql/consents_page.sql");
static OF: &Sql = sql!("sql/consents_of.sql");

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct Consent {
    pub id: i64,
    pub recipient: String,
    pub user_id: Option<Uuid>,
    pub is_given: bool,
    pub scope: String,
    pub our_number: Option<String>,
    pub how: String,
    pub shown: Option<String>,
    pub at: Moment,
    pub recorded_at: Moment,
    pub role: String,
    pub actor: Option<String>,
}

/// What is to be recorded.
#[derive(Clone, Debug)]
pub struct NewConsent<'a> {
    /// A phone number or another address.
    pub recipient: &'a str,
    /// How it was given or withdrawn.
    pub how: &'a str,
    /// The words that the person was shown.
    pub shown: Option<&'a str>,
    /// Given, or withdrawn.
    pub is_given: bool,
    /// Of what kind of messages.
    pub scope: &'a str,
    /// When; `None`: now.
    pub at: Option<Moment>,
}

/// Records it, and returns the id of its row.
pub async fn record(client: &Client, new: &NewConsent<'_>) -> Result<i64, StoreError> {
    const STEP: &str = "recording a consent";
    let at = new.at.map(PgTimestamp);
    let params: [&(dyn ToSql + Sync); 6] = [
        &new.recipient,
        &new.how,
        &new.shown,
        &new.is_given,
        &new.scope,
        &at,
    ];
    let row = client.query_one(RECORD.text(), &params).await;
    let row = row.map_err(StoreError::at(STEP))?;
    row.try_get("id").map_err(StoreError::unreadable(STEP))
}

/// The rows after one of them, at most so many: of all recipients, or of one, also of one that was forgotten.
pub async fn page(
    client: &Client,
    after: i64,
    most: i64,
    of: Option<&str>,
) -> Result<Vec<Consent>, StoreError> {
    const STEP: &str = "reading the log of consents";
    let rows = match &of {
        None => client.query(PAGE.text(), &[&after, &most]).await,
        Some(of) => client.query(OF.text(), &[&after, &most, of]).await,
    };
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read: Result<_, _> = rows.iter().map(consent).collect();
    read.map_err(StoreError::unreadable(STEP))
}

fn consent(row: &Row) -> Result<Consent, tokio_postgres::Error> {
    let at = |column| Ok::<_, tokio_postgres::Error>(row.try_get::<_, PgTimestamp>(column)?.0);
    Ok(Consent {
        id: row.try_get("id")?,
        recipient: row.try_get("recipient")?,
        user_id: row.try_get("user_id")?,
        is_given: row.try_get("is_given")?,
        scope: row.try_get("scope")?,
        our_number: row.try_get("our_number")?,
        how: row.try_get("how")?,
        shown: row.try_get("shown")?,
        at: at("at")?,
        recorded_at: at("recorded_at")?,
        role: row.try_get("role")?,
        actor: row.try_get("actor")?,
    })
}
