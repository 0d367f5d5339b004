//! The rows the app owns: conversations and messages. Written in the transaction that records the
//! outcome, behind a savepoint: if a constraint, trigger or policy of the app's refuses, the
//! outcome is committed and the write is put in the outbox. The functions of
//! `triggers/messages.sql` do that; the statements that record call them.

use deadpool_postgres::Transaction;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::message::{MessageId, Moment};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError, prepared};

static HOLD_ATTEMPT: &Sql = sql!("sql/attempt_hold.sql");
static WRITE_SENT: &Sql = sql!("sql/write_sent.sql");
static WRITE_MESSAGES: &Sql = sql!("sql/write_messages.sql");
static WRITE_STATUSES_OF_GROUP: &Sql = sql!("sql/write_statuses_of_group.sql");
static WRITE_REPLY: &Sql = sql!("sql/write_reply.sql");
static OUTBOX_REPLY: &Sql = sql!("sql/outbox_reply.sql");
static WRITE_STATUSES: &Sql = sql!("sql/write_statuses.sql");

/// A write into the app's tables. Kept as JSON in the outbox, so its fields must not change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::store) enum Write {
    /// A message that was sent.
    Delivered(Delivered),
    /// A status: the row with this sid takes the one that its attempt has reached by then.
    Status { status_of: String },
    /// A reply.
    Reply(KeptReply),
    /// An opt-out: the preferences of the users with this number take what it has come to by then.
    OptOut { theirs: String },
}

/// A reply as the app's tables show it. Kept as JSON in the outbox, so its fields must not change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::store) struct KeptReply {
    pub(in crate::store) reply: String,
    pub(in crate::store) theirs: String,
    pub(in crate::store) ours: String,
    pub(in crate::store) text: String,
    /// Microseconds since the Unix epoch.
    pub(in crate::store) at_us: i64,
}

/// A sent message as the app's tables show it. Kept as JSON in the outbox, so its fields must not
/// change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::store) struct Delivered {
    id: Uuid,
    conversation: Option<Uuid>,
    to: String,
    from: Option<String>,
    body: String,
    sid: String,
    /// Microseconds since the Unix epoch.
    sent_at_us: i64,
}

impl Delivered {
    /// A message whose first proof is the provider's report.
    pub(in crate::store) fn proven(
        message: MessageId,
        conversation: Option<Uuid>,
        to: String,
        from: Option<String>,
        body: String,
        sid: String,
        at: Moment,
    ) -> Self {
        Self {
            id: message.0,
            conversation,
            to,
            from,
            body,
            sid,
            sent_at_us: at.as_micros(),
        }
    }
}

/// Writes the app's rows. An error concerns the connection or Punctual's own tables; what the app's
/// tables refuse is in the outbox afterwards.
pub(in crate::store) async fn write_behind_savepoint(
    tx: &Transaction<'_>,
    delivered: &[Delivered],
) -> Result<(), StoreError> {
    if delivered.is_empty() {
        return Ok(());
    }
    let row = call(tx, WRITE_SENT, delivered).await?;
    let refusal: Option<String> = row.try_get(0).map_err(StoreError::unreadable(WRITING))?;
    if let Some(refusal) = refusal {
        warn_of_refusal(&refusal);
    }
    Ok(())
}

/// The outcome of messages is recorded, and their rows in the app's tables are not yet.
pub(in crate::store) fn warn_of_refusal(refusal: &str) {
    tracing::warn!(
        error = refusal,
        "the app's tables refused sent messages; they are kept in punctual.outbox and retried one by one"
    );
}

/// Why the app's tables refused a write, as the functions of `triggers/messages.sql` report it.
pub(in crate::store) struct Refusal {
    /// The code and the names, for logs.
    pub(in crate::store) names: String,
    /// The server's message, which may be the app's own: only for a person who requests it.
    pub(in crate::store) words: Option<String>,
}

impl Refusal {
    pub(in crate::store) fn read(
        row: &Row,
        step: &'static str,
    ) -> Result<Option<Self>, StoreError> {
        let read = || -> Result<_, tokio_postgres::Error> {
            let names: Option<String> = row.try_get(0)?;
            let words = row.try_get(1)?;
            Ok(names.map(|names| Self { names, words }))
        };
        read().map_err(StoreError::unreadable(step))
    }
}

/// Writes a message that waited in the outbox; returns why it still does, if it does.
pub(in crate::store) async fn write_again(
    tx: &Transaction<'_>,
    delivered: &Delivered,
) -> Result<Option<Refusal>, StoreError> {
    hold_attempt(tx, delivered).await?;
    let row = call(tx, WRITE_MESSAGES, std::slice::from_ref(delivered)).await?;
    Refusal::read(&row, WRITING)
}

const WRITING: &str = "writing sent messages to the app's tables";

/// Calls a function of `triggers/messages.sql` that writes messages; returns its result.
async fn call(
    tx: &Transaction<'_>,
    sql: &'static Sql,
    delivered: &[Delivered],
) -> Result<Row, StoreError> {
    let ids: Vec<Uuid> = delivered.iter().map(|d| d.id).collect();
    let conversations: Vec<Option<Uuid>> = delivered.iter().map(|d| d.conversation).collect();
    let bodies: Vec<&str> = delivered.iter().map(|d| d.body.as_str()).collect();
    let from: Vec<Option<&str>> = delivered.iter().map(|d| d.from.as_deref()).collect();
    let to: Vec<&str> = delivered.iter().map(|d| d.to.as_str()).collect();
    let sids: Vec<&str> = delivered.iter().map(|d| d.sid.as_str()).collect();
    let at = |d: &Delivered| PgTimestamp(Moment::from_micros(d.sent_at_us));
    let at: Vec<PgTimestamp> = delivered.iter().map(at).collect();
    let statement = prepared(tx, sql, WRITING).await?;
    tx.query_one(
        &statement,
        &[&ids, &conversations, &bodies, &from, &to, &sids, &at],
    )
    .await
    .map_err(StoreError::at(WRITING))
}

const WRITING_REPLY: &str = "writing a reply to the app's tables";

/// Before a refused reply is tried again.
const REPLY_PAUSE_MS: i64 = 1_000;

/// Writes a reply; returns why the app's tables refused it, if they did.
pub(in crate::store) async fn write_reply_again(
    tx: &Transaction<'_>,
    kept: &KeptReply,
) -> Result<Option<Refusal>, StoreError> {
    let statement = prepared(tx, WRITE_REPLY, WRITING_REPLY).await?;
    let at = PgTimestamp(Moment::from_micros(kept.at_us));
    let row = tx
        .query_one(
            &statement,
            &[&kept.reply, &kept.theirs, &kept.ours, &kept.text, &at],
        )
        .await
        .map_err(StoreError::at(WRITING_REPLY))?;
    Refusal::read(&row, WRITING_REPLY)
}

/// The same; what they refuse is in the outbox afterwards.
pub(in crate::store) async fn write_reply(
    tx: &Transaction<'_>,
    kept: &KeptReply,
) -> Result<(), StoreError> {
    let Some(refusal) = write_reply_again(tx, kept).await? else {
        return Ok(());
    };
    tracing::warn!(
        error = refusal.names,
        "the app's tables refused a reply; it is kept in punctual.outbox and retried"
    );
    let write = serde_json::json!(kept);
    let statement = prepared(tx, OUTBOX_REPLY, WRITING_REPLY).await?;
    tx.execute(
        &statement,
        &[&write, &refusal.names, &refusal.words, &REPLY_PAUSE_MS],
    )
    .await
    .map_err(StoreError::at(WRITING_REPLY))?;
    Ok(())
}

/// Locks the attempt of a message that is written late: see `triggers/messages.sql`.
async fn hold_attempt(tx: &Transaction<'_>, delivered: &Delivered) -> Result<(), StoreError> {
    const STEP: &str = "locking an attempt";
    let statement = prepared(tx, HOLD_ATTEMPT, STEP).await?;
    tx.execute(&statement, &[&delivered.sid])
        .await
        .map_err(StoreError::at(STEP))?;
    Ok(())
}

/// Updates the app's rows of sent messages to the statuses that their attempts have reached. What
/// the app refuses, or has locked, is in the outbox afterwards.
pub(in crate::store) async fn write_statuses_of_group(
    tx: &Transaction<'_>,
    reached: &[(MessageId, &str)],
) -> Result<(), StoreError> {
    if reached.is_empty() {
        return Ok(());
    }
    let messages: Vec<Uuid> = reached.iter().map(|(message, _)| message.0).collect();
    let sids: Vec<&str> = reached.iter().map(|(_, sid)| *sid).collect();
    let row = call_for_statuses(tx, WRITE_STATUSES_OF_GROUP, &[&messages, &sids]).await?;
    let refusal: Option<String> = row
        .try_get(0)
        .map_err(StoreError::unreadable(WRITING_STATUSES))?;
    if let Some(refusal) = refusal {
        tracing::warn!(
            error = refusal,
            "the app's tables refused receipts; they are kept in punctual.outbox and retried one by one"
        );
    }
    Ok(())
}

/// Writes a status that waited in the outbox; returns why it still does, if it does.
pub(in crate::store) async fn write_status_again(
    tx: &Transaction<'_>,
    sid: &str,
) -> Result<Option<Refusal>, StoreError> {
    let row = call_for_statuses(tx, WRITE_STATUSES, &[&[sid].as_slice()]).await?;
    Refusal::read(&row, WRITING_STATUSES)
}

const WRITING_STATUSES: &str = "writing delivery statuses to the app's tables";

async fn call_for_statuses(
    tx: &Transaction<'_>,
    sql: &'static Sql,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Row, StoreError> {
    let statement = prepared(tx, sql, WRITING_STATUSES).await?;
    let row = tx.query_one(&statement, parameters).await;
    row.map_err(StoreError::at(WRITING_STATUSES))
}
