//! Manual decisions about unconfirmed messages.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::message::{MessageId, ProviderSid, Status};
use crate::store::app::rows::{self, Delivered};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, millis, prepared};

static ROW: &Sql = sql!("sql/resolve_row.sql");
static SID: &Sql = sql!("sql/resolve_sid.sql");
static LEDGER: &Sql = sql!("sql/resolve_ledger.sql");
static MOVE: &Sql = sql!("sql/resolve_move.sql");
static NOTIFY: &Sql = sql!("sql/notify_ids.sql");

const STEP: &str = "resolving an unconfirmed message";

/// A manual decision about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The provider accepted it, under this sid if it is known.
    Sent(Option<ProviderSid>),
    /// It is to be sent again, now.
    Resend,
    /// It is not to be sent.
    Cancel,
}

impl Decision {
    /// The row's new status.
    pub const fn status(&self) -> Status {
        match self {
            Self::Sent(_) => Status::Sent,
            Self::Resend => Status::Pending,
            Self::Cancel => Status::Cancelled,
        }
    }

    fn sentence(&self, by: &str) -> String {
        match self {
            Self::Sent(_) => format!("sent, says {by}"),
            Self::Resend => format!("sent again by decision of {by}"),
            Self::Cancel => format!("cancelled by {by} while unconfirmed: it may have been sent"),
        }
    }
}

/// The result of a manual decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The row is as decided.
    Done,
    /// There is no such row, or none that this role sees.
    Missing,
    /// There is nothing to resolve: the row has this status.
    NotInDoubt(String),
    /// The sid is another message's.
    SidTaken,
}

struct LockedRow {
    status: String,
    /// Whether a message of its channel has rows in the app's tables.
    has_app_rows: bool,
    conversation: Option<Uuid>,
    to: String,
    from: Option<String>,
    body: String,
}

impl Store {
    /// Settles a message that is `unconfirmed` as a person decides; `by` names them.
    pub async fn resolve(
        &self,
        id: MessageId,
        decision: &Decision,
        by: &str,
    ) -> Result<Resolved, StoreError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let Some(row) = lock(&tx, id).await? else {
            return Ok(Resolved::Missing);
        };
        if row.status != Status::Unconfirmed.as_str() {
            return Ok(Resolved::NotInDoubt(row.status));
        }
        let sid = match decision {
            Decision::Sent(sid) => sid.as_ref().map(|sid| sid.0.as_str()),
            Decision::Resend | Decision::Cancel => None,
        };
        if let Some(sid) = sid
            && is_anothers(&tx, sid, id).await?
        {
            return Ok(Resolved::SidTaken);
        }
        let is_sent = matches!(decision, Decision::Sent(_));
        let who = format!("person: {by}");
        let ask_ms = self.look_up_after.map(millis);
        let ledger = prepared(&tx, LEDGER, STEP).await?;
        tx.execute(&ledger, &[&id.0, &is_sent, &sid, &who, &ask_ms])
            .await
            .map_err(StoreError::at(STEP))?;
        let statement = prepared(&tx, MOVE, STEP).await?;
        let status = decision.status().as_str();
        let moved = tx
            .query_one(&statement, &[&id.0, &status, &sid, &decision.sentence(by)])
            .await
            .map_err(StoreError::at(STEP))?;
        let read = || Ok((moved.try_get("now")?, moved.try_get("goes_on")?));
        let (now, goes_on): (PgTimestamp, bool) = read().map_err(StoreError::unreadable(STEP))?;
        match decision {
            Decision::Sent(_) if !row.has_app_rows => {}
            Decision::Sent(_) => {
                let sid = sid.unwrap_or_default().to_owned();
                let LockedRow {
                    conversation,
                    to,
                    from,
                    body,
                    ..
                } = row;
                let written = Delivered::proven(id, conversation, to, from, body, sid, now.0);
                rows::write_behind_savepoint(&tx, &[written]).await?;
            }
            Decision::Resend | Decision::Cancel => {}
        }
        if goes_on || *decision == Decision::Resend {
            let notify = prepared(&tx, NOTIFY, STEP).await?;
            tx.execute(&notify, &[&id.0])
                .await
                .map_err(StoreError::at(STEP))?;
        }
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok(Resolved::Done)
    }
}

async fn lock(tx: &Transaction<'_>, id: MessageId) -> Result<Option<LockedRow>, StoreError> {
    let statement = prepared(tx, ROW, STEP).await?;
    let row = tx.query_opt(&statement, &[&id.0]).await;
    let read = |row: Row| -> Result<LockedRow, tokio_postgres::Error> {
        Ok(LockedRow {
            status: row.try_get("status")?,
            has_app_rows: row.try_get("has_app_rows")?,
            conversation: row.try_get("conversation_id")?,
            to: row.try_get("to_number")?,
            from: row.try_get("from_number")?,
            body: row.try_get("body")?,
        })
    };
    row.map_err(StoreError::at(STEP))?
        .map(read)
        .transpose()
        .map_err(StoreError::unreadable(STEP))
}

async fn is_anothers(tx: &Transaction<'_>, sid: &str, id: MessageId) -> Result<bool, StoreError> {
    let statement = prepared(tx, SID, STEP).await?;
    let row = tx.query_one(&statement, &[&sid, &id.0]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    row.try_get(0).map_err(StoreError::unreadable(STEP))
}
