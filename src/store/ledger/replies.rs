//! Replies that are no command: kept once, noted for the campaigns that they answer, and written into the app's tables.
//!
//! A campaign that stops at a reply has what is pending for this person cancelled, and each claim asks for replies too
//! (`campaign_hours!`). So a message is claimed before the reply is committed, and sent; or it is not sent.

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::apart::apart;
use crate::policy::REPLIED;
use crate::store::app::rows::{self, KeptReply};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static KEEP: &Sql = sql!("sql/reply_keep.sql");
static AS_APP: &Sql = sql!("sql/help_as_app.sql");
static ANSWER: &Sql = sql!("sql/help_answer.sql");
static CANCEL: &Sql = sql!("sql/reply_cancel.sql");

const STEP: &str = "recording a reply";

/// What a recipient has answered.
#[derive(Clone, Copy)]
pub struct NewReply<'a> {
    /// The provider's id of it. A known one changes nothing.
    pub id: &'a str,
    /// The account to which it came.
    pub account: &'a str,
    /// Our senders to which it came: the number, and its pool.
    pub ours: &'a [&'a str],
    /// The recipient.
    pub theirs: &'a str,
    /// The text.
    pub text: &'a str,
    /// What is answered, if it asks for help.
    pub help: Option<&'a str>,
}

impl Store {
    /// Keeps a reply. Returns how many messages of campaigns it cancelled.
    pub async fn keep_reply(&self, reply: NewReply<'_>) -> Result<u64, StoreError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let keep = prepared(&tx, KEEP, STEP).await?;
        let sender = self.default_sender.as_deref();
        let row = tx
            .query_one(&keep, &[&reply.id, &reply.theirs, &reply.ours, &sender])
            .await
            .map_err(StoreError::at(STEP))?;
        let read = || -> Result<(Option<PgTimestamp>, Vec<Uuid>), tokio_postgres::Error> {
            Ok((row.try_get("at")?, row.try_get("stopped")?))
        };
        let (at, stopped) = read().map_err(StoreError::unreadable(STEP))?;
        let Some(PgTimestamp(at)) = at else {
            return Ok(0);
        };
        let cancelled = cancel(&tx, &stopped, reply.theirs).await?;
        let kept = KeptReply {
            reply: reply.id.to_owned(),
            theirs: reply.theirs.to_owned(),
            ours: reply
                .ours
                .first()
                .map(|&own| own.to_owned())
                .unwrap_or_default(),
            text: reply.text.to_owned(),
            at_us: at.as_micros(),
        };
        rows::write_reply(&tx, &kept).await?;
        if let Some((text, ours)) = reply.help.zip(reply.ours.first()) {
            answer(&tx, &reply, ours, text).await?;
        }
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok(cancelled)
    }
}

/// If the app's table refuses one of them, all remain pending, and each is cancelled by its claim.
async fn cancel(tx: &Transaction<'_>, campaigns: &[Uuid], theirs: &str) -> Result<u64, StoreError> {
    if campaigns.is_empty() {
        return Ok(0);
    }
    let statement = prepared(tx, CANCEL, STEP).await?;
    let cancel = async {
        let cancelled = tx
            .execute(&statement, &[&campaigns, &theirs, &REPLIED])
            .await;
        cancelled.map_err(StoreError::at(STEP))
    };
    match apart(tx, STEP, cancel).await? {
        Ok(cancelled) => Ok(cancelled),
        Err(error) => {
            tracing::warn!(
                %error,
                "a recipient of a campaign replied, but pending messages could not be cancelled; each is cancelled at its \
                 time instead, and none is sent"
            );
            Ok(0)
        }
    }
}

/// The last thing in its transaction. If the app's table refuses the answer, the reply is kept without it.
async fn answer(
    tx: &Transaction<'_>,
    reply: &NewReply<'_>,
    ours: &str,
    text: &str,
) -> Result<(), StoreError> {
    const STEP: &str = "answering who asks for help";
    let (as_app, statement) = (
        prepared(tx, AS_APP, STEP).await?,
        prepared(tx, ANSWER, STEP).await?,
    );
    let answer = async {
        let at = StoreError::at(STEP);
        tx.query_one(&as_app, &[]).await.map_err(&at)?;
        let answered = tx
            .execute(&statement, &[&reply.theirs, &ours, &text, &reply.account])
            .await;
        answered.map_err(&at)
    };
    if let Err(error) = apart(tx, STEP, answer).await? {
        tracing::warn!(%error, "who asked for help could not be answered");
    }
    Ok(())
}
