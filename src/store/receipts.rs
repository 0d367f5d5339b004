//! What callbacks tell, merged into how their messages stand.
//!
//! One callback is one transaction: it holds the row and then the attempt, in the order in
//! which records hold them, asks what follows, and writes that.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use super::app::{self, Delivered};
use super::at::At;
use super::suppressions::suppress_pairs;
use super::{Store, StoreError, prepared};
use crate::message::{AttemptToken, MessageId, ProviderSid, Status};

const FIND: &str = include_str!("sql/receipt_find.sql");
const ROW: &str = include_str!("sql/receipt_row.sql");
const ATTEMPT: &str = include_str!("sql/receipt_attempt.sql");
const ADVANCE: &str = include_str!("sql/receipt_advance.sql");
const MOVE: &str = include_str!("sql/receipt_move.sql");
const KEEP: &str = include_str!("sql/receipt_keep.sql");

const STEP: &str = "recording a callback";

/// What a callback is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The attempt whose ids it carries.
    Attempt {
        /// The message.
        message: MessageId,
        /// The attempt.
        token: AttemptToken,
    },
    /// Whatever attempt has its sid.
    Sid,
}

/// A callback, checked and understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// What it is about.
    pub about: About,
    /// The provider's name for the message.
    pub sid: ProviderSid,
    /// How far the message has come, in the provider's word.
    pub reached: &'static str,
    /// The provider's code, if it went wrong.
    pub code: Option<i32>,
    /// For `error_message`, if it went wrong.
    pub error: Option<String>,
    /// Whether it went wrong because the recipient has opted out.
    pub opted_out: bool,
    /// The sender, as the provider has it.
    pub from: Option<String>,
    /// The recipient, as the provider has it.
    pub to: Option<String>,
}

/// Without the numbers.
impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback")
            .field("about", &self.about)
            .field("sid", &self.sid)
            .field("reached", &self.reached)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// How a message stands when a callback about it comes in. Row and attempt are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The row; `None`: it has been deleted, or its status is a foreign one.
    pub row: Option<Status>,
    /// Whether the row was sent by the provider's message this is about, or by none yet.
    pub row_is_of_this_sid: bool,
    /// Whether the attempt is the latest of its message.
    pub latest: bool,
    /// The attempt has another sid, or another attempt has this one.
    pub sid_conflict: bool,
    /// What earlier callbacks told, in the provider's word.
    pub reached: Option<String>,
}

/// What follows from a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It told nothing new.
    Nothing,
    /// The message has come further.
    Advance {
        /// Where the row goes, if it moves.
        row: Option<Status>,
        /// The status of the app's row in `messages`.
        message: &'static str,
    },
    /// It cannot be true together with what is recorded: kept, and otherwise without effect.
    Contradiction,
}

/// What became of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// No attempt is known that it could be about.
    Unknown,
    /// It is recorded.
    Known {
        /// The message it is about.
        message: MessageId,
        /// What followed.
        change: Change,
    },
}

/// The row, held.
struct Held {
    status: Option<Status>,
    sid: Option<String>,
    conversation: Option<Uuid>,
    to: String,
    body: String,
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
        let held = hold_row(&tx, message).await?;
        let Some((standing, first_proof)) =
            hold_attempt(&tx, token, callback, held.as_ref()).await?
        else {
            return Ok(Received::Unknown);
        };
        let change = decide(&standing);
        match change {
            Change::Nothing => {}
            Change::Contradiction => {
                keep(&tx, message, token, callback, "contradicted", None).await?;
            }
            Change::Advance { row, message: word } => {
                keep(&tx, message, token, callback, "advanced", row).await?;
                let advance = prepared(&tx, ADVANCE, STEP).await?;
                tx.execute(
                    &advance,
                    &[&token.0, &callback.sid.0, &callback.reached, &word],
                )
                .await
                .map_err(StoreError::at(STEP))?;
                if let (true, Some(from), Some(to)) =
                    (callback.opted_out, &callback.from, &callback.to)
                {
                    let pair = [(from.clone(), to.clone())];
                    suppress_pairs(&tx, &pair, self.default_sender.as_deref()).await?;
                }
                let moved_at = match row {
                    Some(status) => Some(move_row(&tx, message, status, callback).await?),
                    None => None,
                };
                match (first_proof, moved_at, held) {
                    (true, Some(at), Some(held)) => {
                        let written = delivered(message, at, held, callback);
                        app::write_behind_savepoint(&mut tx, vec![written]).await?;
                    }
                    (true, _, _) => {}
                    (false, _, _) => {
                        app::tell_status(&mut tx, message, &callback.sid.0).await?;
                    }
                }
            }
        }
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok(Received::Known { message, change })
    }
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

async fn hold_row(tx: &Transaction<'_>, message: MessageId) -> Result<Option<Held>, StoreError> {
    let statement = prepared(tx, ROW, STEP).await?;
    let row = tx
        .query_opt(&statement, &[&message.0])
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
        })
    };
    row.map(read)
        .transpose()
        .map_err(StoreError::unreadable(STEP))
}

/// How things stand, and whether this is the first that is heard of the provider having it.
async fn hold_attempt(
    tx: &Transaction<'_>,
    token: AttemptToken,
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
            row: held.and_then(|h| h.status),
            row_is_of_this_sid: row_sid.is_none_or(|sid| sid == callback.sid.0),
            latest: row.try_get("latest")?,
            sid_conflict: row.try_get("sid_conflict")?,
            reached: row.try_get("receipt_status")?,
        };
        Ok((standing, outcome != Some("accepted")))
    };
    row.map(read)
        .transpose()
        .map_err(StoreError::unreadable(STEP))
}

async fn move_row(
    tx: &Transaction<'_>,
    message: MessageId,
    status: Status,
    callback: &Callback,
) -> Result<At, StoreError> {
    let statement = prepared(tx, MOVE, STEP).await?;
    let row = tx
        .query_one(
            &statement,
            &[
                &message.0,
                &status.as_str(),
                &callback.sid.0,
                &callback.error,
                &callback.code,
            ],
        )
        .await
        .map_err(StoreError::at(STEP))?;
    row.try_get("now").map_err(StoreError::unreadable(STEP))
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
fn delivered(message: MessageId, at: At, held: Held, callback: &Callback) -> Delivered {
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
