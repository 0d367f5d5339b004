//! What people decide about the messages of campaigns on the page and by the API.
//!
//! Each act is one transaction that locks the campaign first, as those of the commands are.

use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::shown::shown;
use super::{Decision, Draft, Meant, Shown, Wanted, acts, drafts};
use crate::store::operator::{Actor, OperatorError};
use crate::store::{Sql, Store, StoreError};

static WAITING: &Sql = sql!("../sql/campaign_waiting.sql");
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
    /// Another act takes long.
    #[error("another act on this campaign goes on: try again in a moment")]
    Busy,
    /// Others were first.
    #[error(
        "some of these messages were changed since you saw them, and nothing was done: look at them again"
    )]
    SomeChanged,
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
    /// Which messages a decision is about, before anybody confirms it. Nothing is locked.
    pub async fn campaign_meant(
        &self,
        named: &str,
        decision: &Decision,
    ) -> Result<Done<Meant>, StoreError> {
        let client = self.client().await?;
        let Some(campaign) = super::find(&**client, named).await? else {
            return Ok(Done::Missing);
        };
        if campaign.state == "cancelled" {
            return Ok(Done::Refused(Refused::Cancelled));
        }
        let meant = drafts::meant(&**client, campaign.id, decision).await;
        meant.map(Done::Done)
    }

    /// Approves or rejects messages, if there are as many as were confirmed, and those that were `seen`; returns how
    /// many.
    pub async fn decide(
        &self,
        named: &str,
        decision: &Decision,
        who: &Actor,
        confirmed: u64,
        seen: Option<&str>,
    ) -> Result<Done<u64>, OperatorError> {
        const STEP: &str = "deciding on messages of a campaign";
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let campaign = match begun(&tx, named, who).await? {
            Done::Done(campaign) => campaign,
            Done::Missing => return Ok(Done::Missing),
            Done::Refused(why) => return Ok(Done::Refused(why)),
        };
        // Judged by what it changed: what is not confirmed is rolled back.
        let decided = drafts::decide(&*tx, campaign, decision).await?;
        if decided.messages != confirmed {
            return Err(OperatorError::Count {
                messages: decided.messages,
                confirmed: Some(confirmed),
            });
        }
        if seen.is_some_and(|seen| seen != decided.seen) {
            return Ok(Done::Refused(Refused::SomeChanged));
        }
        tx.commit().await.map_err(StoreError::at(STEP))?;
        let (who, changed) = (who.as_str(), decided.messages);
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
        let was_approved = before.status == "APR" && now.status != "APR";
        let who = who.as_str();
        tracing::info!(%campaign, who, position, "a message of a campaign was changed by an operator");
        Ok(Done::Done(Edited { now, was_approved }))
    }

    /// How many messages of a campaign a cancel would cancel. Nothing is locked.
    pub async fn campaign_waiting(&self, named: &str) -> Result<Done<u64>, StoreError> {
        const STEP: &str = "counting the messages of a campaign";
        let client = self.client().await?;
        let Some(campaign) = super::find(&**client, named).await? else {
            return Ok(Done::Missing);
        };
        if campaign.state == "cancelled" {
            return Ok(Done::Refused(Refused::Cancelled));
        }
        let row = client.query_one(WAITING.text(), &[&campaign.id]).await;
        let waiting = row.map_err(StoreError::at(STEP))?.try_get(0);
        let waiting: i64 = waiting.map_err(StoreError::unreadable(STEP))?;
        Ok(Done::Done(waiting.unsigned_abs()))
    }

    /// Cancels a campaign and its messages that are still to be sent, if these are at most as many as were confirmed;
    /// returns how many were.
    pub async fn cancel_campaign(
        &self,
        named: &str,
        who: &Actor,
        confirmed: u64,
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
        if messages > confirmed {
            return Err(OperatorError::Count {
                messages,
                confirmed: Some(confirmed),
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
    // Others that ask for something wait for this place meanwhile.
    let bounded = tx.batch_execute("set local lock_timeout = '3s'").await;
    bounded.map_err(StoreError::at("locking a campaign"))?;
    Ok(match acts::lock(tx, campaign.id, who).await {
        Ok(true) => Done::Done(campaign.id),
        Ok(false) => Done::Refused(Refused::Cancelled),
        Err(StoreError::Query { source, .. })
            if source.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) =>
        {
            Done::Refused(Refused::Busy)
        }
        Err(error) => return Err(error),
    })
}
