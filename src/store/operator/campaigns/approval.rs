//! What people decide about the messages of campaigns on the page and by the API.
//!
//! Each act is one transaction that locks the campaign first, as those of the commands are.

use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::shown::shown;
use super::{Decision, Draft, Shown, Wanted, acts, drafts};
use crate::store::operator::{Actor, OperatorError};
use crate::store::{Sql, Store, StoreError};

static EDIT: &Sql = sql!("../sql/campaign_edit.sql");

/// What an act has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done<T> {
    /// This.
    Done(T),
    /// There is no such campaign, or it has no such message.
    Missing,
    /// Nothing: why, in a sentence.
    Refused(Refused),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has ended.
    #[error("the campaign is cancelled: nothing of it can be changed")]
    Cancelled,
    /// Somebody else was first.
    #[error("this message was changed since you saw it: look at it again")]
    Changed,
    /// It is a row of `scheduled_messages`.
    #[error(
        "this message is scheduled: its text and number are those of its row of scheduled_messages, and are changed there"
    )]
    Scheduled,
    /// The same message.
    #[error(
        "another message of the campaign has this number and this text: nobody gets the same text twice"
    )]
    Twice,
}

/// A message that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// As it is now.
    pub now: Shown,
    /// It had been approved.
    pub was_approved: bool,
}

impl Store {
    /// Approves or rejects messages, if there are as many as were confirmed; returns how many.
    pub async fn decide(
        &self,
        named: &str,
        decision: &Decision,
        who: &Actor,
        confirmed: Option<u64>,
    ) -> Result<Done<u64>, OperatorError> {
        const STEP: &str = "deciding on messages of a campaign";
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let campaign = match begun(&tx, named, who).await? {
            Done::Done(campaign) => campaign,
            Done::Missing => return Ok(Done::Missing),
            Done::Refused(why) => return Ok(Done::Refused(why)),
        };
        let messages = drafts::meant(&*tx, campaign, decision).await?;
        let wrong = |messages| OperatorError::Count {
            messages,
            confirmed,
        };
        if confirmed != Some(messages) {
            return Err(wrong(messages));
        }
        let changed = drafts::decide(&*tx, campaign, decision).await?;
        // Somebody may change the table in SQL, without the lock.
        if changed != messages {
            return Err(wrong(changed));
        }
        tx.commit().await.map_err(StoreError::at(STEP))?;
        let who = who.as_str();
        tracing::info!(%campaign, who, changed, approved = decision.is_approved, "messages of a campaign were decided about");
        Ok(Done::Done(changed))
    }

    /// Changes a message that is not scheduled, and as it was seen. An approval of it ends.
    pub async fn edit(
        &self,
        named: &str,
        position: i32,
        seen: &str,
        draft: &Draft,
        who: &Actor,
    ) -> Result<Done<Edited>, StoreError> {
        const STEP: &str = "changing a message of a campaign";
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let campaign = match begun(&tx, named, who).await? {
            Done::Done(campaign) => campaign,
            Done::Missing => return Ok(Done::Missing),
            Done::Refused(why) => return Ok(Done::Refused(why)),
        };
        let one = Wanted {
            after: position.saturating_sub(1),
            limit: 1,
            ..Wanted::default()
        };
        let read = async || {
            let found = shown(&*tx, campaign, &one).await?;
            Ok(found.into_iter().find(|one| one.position == position))
        };
        let Some(before) = read().await? else {
            return Ok(Done::Missing);
        };
        let changed = tx
            .execute(
                EDIT.text(),
                &[
                    &campaign,
                    &position,
                    &seen,
                    &draft.customer_name,
                    &draft.phone_number,
                    &draft.content,
                ],
            )
            .await;
        match changed {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                return Ok(Done::Refused(Refused::Twice));
            }
            Err(error) => return Err(StoreError::at(STEP)(error)),
            Ok(0) if before.message.is_some() => return Ok(Done::Refused(Refused::Scheduled)),
            Ok(0) => return Ok(Done::Refused(Refused::Changed)),
            Ok(_) => {}
        }
        let Some(now) = read().await? else {
            return Ok(Done::Missing);
        };
        tx.commit().await.map_err(StoreError::at(STEP))?;
        let was_approved = before.status == "APR";
        Ok(Done::Done(Edited { now, was_approved }))
    }

    /// Cancels a campaign and its messages that are still to be sent, if these are at most as many as were confirmed;
    /// returns how many were.
    pub async fn cancel_campaign(
        &self,
        named: &str,
        who: &Actor,
        confirmed: Option<u64>,
    ) -> Result<Done<u64>, OperatorError> {
        const STEP: &str = "cancelling a campaign";
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let campaign = match begun(&tx, named, who).await? {
            Done::Done(campaign) => campaign,
            Done::Missing => return Ok(Done::Missing),
            Done::Refused(why) => return Ok(Done::Refused(why)),
        };
        let pending = acts::pending(&*tx, campaign, true).await?;
        let messages = pending.len() as u64;
        // Some are sent between the question and the confirmation.
        if confirmed.is_none_or(|confirmed| messages > confirmed) {
            return Err(OperatorError::Count {
                messages,
                confirmed,
            });
        }
        let ids: Vec<Uuid> = pending.into_iter().map(|(id, _)| id).collect();
        let cancelled = acts::cancel(&*tx, campaign, &ids, who).await?;
        tx.commit().await.map_err(StoreError::at(STEP))?;
        let who = who.as_str();
        tracing::info!(%campaign, who, cancelled, "a campaign was cancelled by an operator");
        Ok(Done::Done(cancelled))
    }
}

/// Begins an act on the campaign of this name, or this id.
async fn begun(tx: &Transaction<'_>, named: &str, who: &Actor) -> Result<Done<Uuid>, StoreError> {
    let Some(campaign) = super::find(tx, named).await? else {
        return Ok(Done::Missing);
    };
    Ok(if acts::lock(tx, campaign.id, who).await? {
        Done::Done(campaign.id)
    } else {
        Done::Refused(Refused::Cancelled)
    })
}
