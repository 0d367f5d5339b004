//! What callbacks tell, merged into how their messages stand.
//!
//! One callback is one transaction: it holds the row and then the attempt, in the order in
//! which records hold them, asks what follows, and writes that.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::message::{AttemptToken, MessageId, Status};
use crate::store::app::rows::{self, Delivered};
use crate::store::path::suppressions::suppress_pairs;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Store, StoreError, millis, prepared};

mod row;
mod told;

pub use told::{About, Again, Callback, Change, Received, Room, Standing};

const FIND: &str = sql!("sql/receipt_find.sql");
const ROW: &str = sql!("sql/receipt_row.sql");
const ATTEMPT: &str = sql!("sql/receipt_attempt.sql");
const ADVANCE: &str = sql!("sql/receipt_advance.sql");
const KEEP: &str = sql!("sql/receipt_keep.sql");
const DUPLICATE: &str = sql!("sql/duplicate.sql");

const STEP: &str = "recording a callback";

/// The row, held.
struct Held {
    status: Option<Status>,
    sid: Option<String>,
    conversation: Option<Uuid>,
    to: String,
    body: String,
    room: Room,
}

impl Store {
    /// Merges a callback: `decide` says what follows from how things stand. Repeating it
    /// changes nothing, so that after an error it may come again.
    pub async fn receive(
        &self,
        callback: &Callback,
        decide: impl FnOnce(&Standing) -> Change + Send,
    ) -> Result<Received, StoreError> {
        let mut client = self.client().await?;
        let mut tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let Some((message, token)) = find(&tx, callback).await? else {
            return Ok(Received::Unknown);
        };
        let held = hold_row(&tx, message, token).await?;
        let Some((standing, first_proof)) =
            hold_attempt(&tx, (message, token), callback, held.as_ref()).await?
        else {
            return Ok(Received::Unknown);
        };
        let mut change = decide(&standing);
        let mut doubled = false;
        match change {
            Change::Nothing => {}
            Change::Contradiction => {
                keep(&tx, message, token, callback, "contradicted", None).await?;
            }
            Change::Advance {
                row,
                again,
                message: word,
            } => {
                self.advance(&tx, token, callback, word).await?;
                if first_proof {
                    doubled = is_doubled(&tx, token).await?;
                }
                let moved = match row {
                    Some(status) => {
                        Some(row::move_row(&mut tx, message, status, again, callback).await?)
                    }
                    None => None,
                };
                let row = moved.as_ref().map(|moved| moved.to);
                keep(&tx, message, token, callback, "advanced", row).await?;
                change = Change::Advance {
                    row,
                    again: again.filter(|_| row == Some(Status::Pending)),
                    message: word,
                };
                match (first_proof, moved.map(|moved| moved.at), held) {
                    (true, Some(at), Some(held)) => {
                        let written = delivered(message, at, held, callback);
                        rows::write_behind_savepoint(&tx, &[written]).await?;
                    }
                    (true, _, _) => {}
                    (false, _, _) => {
                        rows::tell_status(&mut tx, message, &callback.sid.0).await?;
                    }
                }
            }
        }
        tx.commit().await.map_err(StoreError::at(STEP))?;
        if doubled {
            self.doubled(message, token);
        }
        Ok(Received::Known { message, change })
    }

    /// Notes on the attempt how far its message has come, and who does not want to hear again.
    async fn advance(
        &self,
        tx: &Transaction<'_>,
        token: AttemptToken,
        callback: &Callback,
        word: &str,
    ) -> Result<(), StoreError> {
        let ask_ms = self.enquire_after.filter(|_| !callback.terminal);
        let statement = prepared(tx, ADVANCE, STEP).await?;
        tx.execute(
            &statement,
            &[
                &token.0,
                &callback.sid.0,
                &callback.reached,
                &word,
                &ask_ms.map(millis),
            ],
        )
        .await
        .map_err(StoreError::at(STEP))?;
        if let (true, Some(from), Some(to)) = (callback.opted_out, &callback.from, &callback.to) {
            let pair = [(from.clone(), to.clone())];
            suppress_pairs(tx, &pair, self.default_sender.as_deref()).await?;
        }
        Ok(())
    }
}

/// Whether the text that is proven by now went out by another attempt as well.
async fn is_doubled(tx: &Transaction<'_>, token: AttemptToken) -> Result<bool, StoreError> {
    let statement = prepared(tx, DUPLICATE, STEP).await?;
    let row = tx.query_one(&statement, &[&token.0]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    row.try_get(0).map_err(StoreError::unreadable(STEP))
}

async fn find(
    tx: &Transaction<'_>,
    callback: &Callback,
) -> Result<Option<(MessageId, AttemptToken)>, StoreError> {
    let (message, token) = match callback.about {
        About::Attempt { message, token } => (Some(message.0), Some(token.0)),
        About::Sid => (None, None),
    };
    let statement = prepared(tx, FIND, STEP).await?;
    let row = tx
        .query_opt(&statement, &[&token, &message, &callback.sid.0])
        .await
        .map_err(StoreError::at(STEP))?;
    row.map(|row| {
        Ok((
            MessageId(row.try_get("message_id")?),
            AttemptToken(row.try_get("token")?),
        ))
    })
    .transpose()
    .map_err(StoreError::unreadable(STEP))
}

async fn hold_row(
    tx: &Transaction<'_>,
    message: MessageId,
    token: AttemptToken,
) -> Result<Option<Held>, StoreError> {
    let statement = prepared(tx, ROW, STEP).await?;
    let row = tx
        .query_opt(&statement, &[&message.0, &token.0])
        .await
        .map_err(StoreError::at(STEP))?;
    let read = |row: Row| -> Result<Held, tokio_postgres::Error> {
        let status: &str = row.try_get("status")?;
        Ok(Held {
            status: status.parse().ok(),
            sid: row.try_get("twilio_sid")?,
            conversation: row.try_get("conversation_id")?,
            to: row.try_get("to_number")?,
            body: row.try_get("body")?,
            room: Room {
                attempts: row.try_get("attempts")?,
                max_attempts: row.try_get("max_attempts")?,
                wanted_at: row.try_get::<_, PgTimestamp>("wanted_at")?.0,
                send_before: row
                    .try_get::<_, Option<PgTimestamp>>("send_before")?
                    .map(|at| at.0),
                now: row.try_get::<_, PgTimestamp>("now")?.0,
            },
        })
    };
    row.map(read)
        .transpose()
        .map_err(StoreError::unreadable(STEP))
}

/// How things stand, and whether this is the first that is heard of the provider having it.
async fn hold_attempt(
    tx: &Transaction<'_>,
    (message, token): (MessageId, AttemptToken),
    callback: &Callback,
    held: Option<&Held>,
) -> Result<Option<(Standing, bool)>, StoreError> {
    let statement = prepared(tx, ATTEMPT, STEP).await?;
    let row = tx
        .query_opt(&statement, &[&token.0, &callback.sid.0])
        .await
        .map_err(StoreError::at(STEP))?;
    let read = |row: Row| -> Result<(Standing, bool), tokio_postgres::Error> {
        let outcome: Option<&str> = row.try_get("outcome")?;
        let row_sid = held.and_then(|h| h.sid.as_deref());
        let standing = Standing {
            message,
            row: held.and_then(|h| h.status),
            row_is_of_this_sid: row_sid.is_none_or(|sid| sid == callback.sid.0),
            latest: row.try_get("latest")?,
            sid_conflict: row.try_get("sid_conflict")?,
            reached: row.try_get("receipt_status")?,
            room: held.map(|h| h.room),
        };
        Ok((standing, outcome != Some("accepted")))
    };
    row.map(read)
        .transpose()
        .map_err(StoreError::unreadable(STEP))
}

async fn keep(
    tx: &Transaction<'_>,
    message: MessageId,
    token: AttemptToken,
    callback: &Callback,
    effect: &str,
    row: Option<Status>,
) -> Result<(), StoreError> {
    let statement = prepared(tx, KEEP, STEP).await?;
    tx.execute(
        &statement,
        &[
            &message.0,
            &token.0,
            &callback.sid.0,
            &callback.reached,
            &callback.code,
            &effect,
            &row.map(Status::as_str),
        ],
    )
    .await
    .map_err(StoreError::at(STEP))?;
    Ok(())
}

/// The app's row, which our own record would have written had it come first. The numbers are
/// the provider's, as what was sent is not in our hands here.
fn delivered(message: MessageId, at: PgTimestamp, held: Held, callback: &Callback) -> Delivered {
    Delivered::proven(
        message,
        held.conversation,
        callback.to.clone().unwrap_or(held.to),
        callback.from.clone(),
        held.body,
        callback.sid.0.clone(),
        at.0,
    )
}
