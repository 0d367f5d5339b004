//! The rows the app owns: conversations and messages. Written in the transaction that records
//! the outcome, behind a savepoint: if a constraint, trigger or policy of the app's refuses,
//! the outcome stands and the write goes to the outbox.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deadpool_postgres::Transaction;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::message::{MessageId, Moment};
use crate::policy::Cleared;
use crate::reactor::{Record, Settlement};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{StoreError, prepared};

const FIND: &str = sql!("sql/conversations_find.sql");
const LOCK: &str = sql!("sql/conversations_lock.sql");
const CREATE: &str = sql!("sql/conversations_create.sql");
const HOLD: &str = sql!("sql/conversations_hold.sql");
const HOLD_ATTEMPT: &str = sql!("sql/attempt_hold.sql");
const EXIST: &str = sql!("sql/conversations_exist.sql");
const WRITE: &str = sql!("sql/messages_write.sql");
const CONSTRAINTS_NOW: &str = sql!("sql/constraints_now.sql");
const STATUS: &str = sql!("sql/messages_status.sql");
const OUTBOX_ADD: &str = sql!("sql/outbox_add.sql");

/// A write into the app's tables. Kept as JSON in the outbox, so its fields stay.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::store) enum Write {
    /// A message that was sent.
    Delivered(Delivered),
    /// How far it has come: the row with this sid takes what its attempt has reached by then.
    Status { status_of: String },
}

impl Write {
    /// A sent message, beside its id.
    fn of(delivered: Delivered) -> (Uuid, Self) {
        (delivered.id, Self::Delivered(delivered))
    }
}

/// A sent message as the app is to see it. Kept as JSON in the outbox, so its fields stay.
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
    pub(in crate::store) fn new(
        record: &Record<Arc<Cleared>>,
        conversation: Option<Uuid>,
        to: String,
        body: String,
    ) -> Self {
        // What was sent, which was rendered if the row has variables.
        let sent = record.payload.as_ref().map(|p| p.body().to_owned());
        // The number as it was sent to, not as it was typed: conversations are found by it.
        let sent_to = record.payload.as_ref().map(|p| p.to().as_str().to_owned());
        let sid = match &record.settlement {
            Settlement::Accepted { sid } => sid.0.clone(),
            Settlement::Settled { .. } => String::new(),
        };
        Self {
            id: record.id.0,
            conversation,
            to: sent_to.unwrap_or(to),
            from: record
                .payload
                .as_ref()
                .map(|p| p.from().as_str().to_owned()),
            body: sent.unwrap_or(body),
            sid,
            sent_at_us: record.finished.map_or(0, Moment::as_micros),
        }
    }

    fn is_in(&self, conversations: &HashSet<Uuid>) -> bool {
        self.conversation
            .is_some_and(|c| conversations.contains(&c))
    }

    /// A message that the provider was the first to tell of.
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

/// Writes what the app is to see. An error is the connection's or our own tables'; what the
/// app's tables refuse is in the outbox afterwards.
pub(in crate::store) async fn write_behind_savepoint(
    tx: &mut Transaction<'_>,
    delivered: Vec<Delivered>,
) -> Result<(), StoreError> {
    const STEP: &str = "writing sent messages to the app's tables";
    if delivered.is_empty() {
        return Ok(());
    }
    let savepoint = tx.savepoint("app").await.map_err(StoreError::at(STEP))?;
    match write(&savepoint, delivered.clone()).await {
        Ok(held_up) => {
            savepoint.commit().await.map_err(StoreError::at(STEP))?;
            let why = "the conversation is held by another transaction";
            to_outbox(tx, held_up.into_iter().map(Write::of).collect(), why).await
        }
        Err(refused) if refused.is_refusal() => {
            savepoint.rollback().await.map_err(StoreError::at(STEP))?;
            tracing::warn!(
                messages = delivered.len(),
                error = %refused,
                "the app's tables refused sent messages; they are kept in punctual.outbox and retried one by one"
            );
            let writes = delivered.into_iter().map(Write::of).collect();
            to_outbox(tx, writes, &refused.to_string()).await
        }
        Err(broken) => Err(broken),
    }
}

/// Writes messages into their conversations, found by number or created. Returns those whose
/// conversation somebody holds.
pub(in crate::store) async fn write(
    tx: &Transaction<'_>,
    mut delivered: Vec<Delivered>,
) -> Result<Vec<Delivered>, StoreError> {
    const STEP: &str = "writing sent messages to the app's tables";
    find_conversations(tx, &mut delivered).await?;
    let mut held = conversations(tx, HOLD, &delivered).await?;
    if delivered.iter().any(|d| !d.is_in(&held)) {
        // Somebody holds it, or it is gone: then there is another, or a new one.
        let there = conversations(tx, EXIST, &delivered).await?;
        for message in delivered.iter_mut().filter(|d| !d.is_in(&there)) {
            message.conversation = None;
        }
        find_conversations(tx, &mut delivered).await?;
        held = conversations(tx, HOLD, &delivered).await?;
    }
    let (ready, held_up): (Vec<_>, Vec<_>) = delivered.into_iter().partition(|d| d.is_in(&held));
    if ready.is_empty() {
        return Ok(held_up);
    }

    let ids: Vec<Uuid> = ready.iter().map(|d| d.id).collect();
    let conversations: Vec<Option<Uuid>> = ready.iter().map(|d| d.conversation).collect();
    let bodies: Vec<&str> = ready.iter().map(|d| d.body.as_str()).collect();
    let from: Vec<Option<&str>> = ready.iter().map(|d| d.from.as_deref()).collect();
    let to: Vec<&str> = ready.iter().map(|d| d.to.as_str()).collect();
    let sids: Vec<&str> = ready.iter().map(|d| d.sid.as_str()).collect();
    let at: Vec<PgTimestamp> = ready
        .iter()
        .map(|d| PgTimestamp(Moment::from_micros(d.sent_at_us)))
        .collect();
    let statement = prepared(tx, WRITE, STEP).await?;
    tx.execute(
        &statement,
        &[&ids, &conversations, &bodies, &from, &to, &sids, &at],
    )
    .await
    .map_err(StoreError::at(STEP))?;
    tx.batch_execute(CONSTRAINTS_NOW)
        .await
        .map_err(StoreError::at(STEP))?;
    Ok(held_up)
}

/// Holds the attempt of a message that is written late: see `messages_write.sql`.
pub(in crate::store) async fn hold_attempt(
    tx: &Transaction<'_>,
    delivered: &Delivered,
) -> Result<(), StoreError> {
    const STEP: &str = "holding an attempt";
    let statement = prepared(tx, HOLD_ATTEMPT, STEP).await?;
    tx.execute(&statement, &[&delivered.sid])
        .await
        .map_err(StoreError::at(STEP))?;
    Ok(())
}

/// The conversations of these messages, as far as `sql` finds them.
async fn conversations(
    tx: &Transaction<'_>,
    sql: &'static str,
    delivered: &[Delivered],
) -> Result<HashSet<Uuid>, StoreError> {
    const STEP: &str = "looking for conversations";
    let mut wanted: Vec<Uuid> = delivered.iter().filter_map(|d| d.conversation).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let statement = prepared(tx, sql, STEP).await?;
    tx.query(&statement, &[&wanted])
        .await
        .map_err(StoreError::at(STEP))?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))
}

async fn find_conversations(
    tx: &Transaction<'_>,
    delivered: &mut [Delivered],
) -> Result<(), StoreError> {
    const STEP: &str = "finding conversations";
    let mut numbers: Vec<String> = delivered
        .iter()
        .filter(|d| d.conversation.is_none())
        .map(|d| d.to.clone())
        .collect();
    if numbers.is_empty() {
        return Ok(());
    }
    numbers.sort_unstable();
    numbers.dedup();
    let mut found = find(tx, &numbers).await?;
    let missing: Vec<String> = numbers
        .into_iter()
        .filter(|n| !found.contains_key(n))
        .collect();
    if !missing.is_empty() {
        let lock = prepared(tx, LOCK, STEP).await?;
        tx.query(&lock, &[&missing])
            .await
            .map_err(StoreError::at(STEP))?;
        let create = prepared(tx, CREATE, STEP).await?;
        let created = tx.query(&create, &[&missing]).await;
        found.extend(by_number(&created.map_err(StoreError::at(STEP))?)?);
        // Made by another while we waited for the lock, or written another way by the app.
        let others: Vec<String> = missing
            .into_iter()
            .filter(|n| !found.contains_key(n))
            .collect();
        if !others.is_empty() {
            found.extend(find(tx, &others).await?);
        }
    }
    for message in delivered.iter_mut().filter(|d| d.conversation.is_none()) {
        message.conversation = found.get(&message.to).copied();
    }
    Ok(())
}

async fn find(
    tx: &Transaction<'_>,
    numbers: &[String],
) -> Result<HashMap<String, Uuid>, StoreError> {
    const STEP: &str = "finding conversations";
    let statement = prepared(tx, FIND, STEP).await?;
    let rows = tx
        .query(&statement, &[&numbers])
        .await
        .map_err(StoreError::at(STEP))?;
    by_number(&rows)
}

/// Conversations by their numbers, where there is one.
fn by_number(rows: &[tokio_postgres::Row]) -> Result<HashMap<String, Uuid>, StoreError> {
    const STEP: &str = "finding conversations";
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let read = || -> Result<(String, Option<Uuid>), tokio_postgres::Error> {
            Ok((row.try_get(0)?, row.try_get(1)?))
        };
        if let (number, Some(id)) = read().map_err(StoreError::unreadable(STEP))? {
            found.insert(number, id);
        }
    }
    Ok(found)
}

async fn to_outbox(
    tx: &Transaction<'_>,
    writes: Vec<(Uuid, Write)>,
    error: &str,
) -> Result<(), StoreError> {
    const STEP: &str = "keeping writes in the outbox";
    if writes.is_empty() {
        return Ok(());
    }
    let errors = vec![error; writes.len()];
    let (ids, writes): (Vec<Uuid>, Vec<serde_json::Value>) = writes
        .into_iter()
        .map(|(id, write)| {
            let json = serde_json::to_value(write);
            (id, json.expect("a struct of strings and numbers is JSON"))
        })
        .unzip();
    let statement = prepared(tx, OUTBOX_ADD, STEP).await?;
    tx.execute(&statement, &[&ids, &writes, &errors])
        .await
        .map_err(StoreError::at(STEP))?;
    Ok(())
}

/// Brings the app's row of a sent message up to what its attempt has reached. Behind a
/// savepoint, as the message itself was written: what the app refuses is in the outbox
/// afterwards.
pub(in crate::store) async fn tell_status(
    tx: &mut Transaction<'_>,
    message: MessageId,
    sid: &str,
) -> Result<(), StoreError> {
    const STEP: &str = "telling the app's tables of a receipt";
    let savepoint = tx.savepoint("app").await.map_err(StoreError::at(STEP))?;
    match write_status(&savepoint, sid).await {
        Ok(()) => savepoint.commit().await.map_err(StoreError::at(STEP)),
        Err(refused) if refused.is_refusal() => {
            savepoint.rollback().await.map_err(StoreError::at(STEP))?;
            tracing::warn!(
                message.id = %message,
                error = %refused,
                "the app's tables refused a receipt; it is kept in punctual.outbox and retried"
            );
            let write = Write::Status {
                status_of: sid.to_owned(),
            };
            to_outbox(tx, vec![(message.0, write)], &refused.to_string()).await
        }
        Err(broken) => Err(broken),
    }
}

pub(in crate::store) async fn write_status(
    tx: &Transaction<'_>,
    sid: &str,
) -> Result<(), StoreError> {
    const STEP: &str = "telling the app's tables of a receipt";
    let statement = prepared(tx, STATUS, STEP).await?;
    tx.execute(&statement, &[&sid])
        .await
        .map_err(StoreError::at(STEP))?;
    Ok(())
}
