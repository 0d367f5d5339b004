//! Moves a row to where a callback leads it.

use deadpool_postgres::Transaction;

use super::{Again, Callback, STEP};
use crate::message::{MessageId, Status};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{StoreError, micros, prepared};

const MOVE: &str = sql!("../sql/receipt_move.sql");
const TELL: &str = sql!("../sql/tell_ids.sql");

/// The index that keeps two messages of one `dedup_key` from being under way.
const DEDUP: &str = "scheduled_messages_dedup_key";

/// How a row was moved.
pub(super) struct Moved {
    pub(super) to: Status,
    pub(super) at: PgTimestamp,
}

/// Moves the row, which is held. What has ended gave its `dedup_key` free: where another message has
/// taken it meanwhile, the row is not tried again, but has failed.
pub(super) async fn move_row(
    tx: &mut Transaction<'_>,
    message: MessageId,
    status: Status,
    again: Option<Again>,
    callback: &Callback,
) -> Result<Moved, StoreError> {
    if status != Status::Pending {
        let at = move_to(
            tx,
            message,
            status,
            None,
            callback,
            callback.error.as_deref(),
        )
        .await?;
        return Ok(Moved { to: status, at });
    }
    let savepoint = tx.savepoint("again").await.map_err(StoreError::at(STEP))?;
    let error = callback.error.as_deref();
    match move_to(&savepoint, message, status, again, callback, error).await {
        Ok(at) => {
            let tell = prepared(&savepoint, TELL, STEP).await?;
            savepoint
                .execute(&tell, &[&message.0])
                .await
                .map_err(StoreError::at(STEP))?;
            savepoint.commit().await.map_err(StoreError::at(STEP))?;
            Ok(Moved { to: status, at })
        }
        Err(refused) => {
            let Some(constraint) = refused.taken() else {
                return Err(refused);
            };
            savepoint.rollback().await.map_err(StoreError::at(STEP))?;
            tracing::warn!(message.id = %message, constraint,
                "not tried again: another message under way has its place");
            let why = not_again(constraint);
            // What the provider said stays at the end, where its code is looked for.
            let error = error.map_or_else(|| why.clone(), |error| format!("{why}: {error}"));
            let to = Status::Failed;
            let at = move_to(tx, message, to, None, callback, Some(&error)).await?;
            Ok(Moved { to, at })
        }
    }
}

/// Why a row cannot be under way again.
fn not_again(constraint: &str) -> String {
    match constraint {
        DEDUP => "not tried again, a newer message with the same dedup_key is under way".to_owned(),
        other => format!("not tried again, the table's own index {other} has no room for it"),
    }
}

async fn move_to(
    tx: &Transaction<'_>,
    message: MessageId,
    status: Status,
    again: Option<Again>,
    callback: &Callback,
    error: Option<&str>,
) -> Result<PgTimestamp, StoreError> {
    let statement = prepared(tx, MOVE, STEP).await?;
    let row = tx
        .query_one(
            &statement,
            &[
                &message.0,
                &status.as_str(),
                &callback.sid.0,
                &error,
                &callback.code,
                &again.map(|again| micros(again.pause)),
                &again.is_none_or(|again| again.counts),
            ],
        )
        .await
        .map_err(StoreError::at(STEP))?;
    row.try_get("now").map_err(StoreError::unreadable(STEP))
}
