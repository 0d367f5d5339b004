//! Drafts: the messages that are to get a text of a language model, and what its calls cost. A draft is taken, written
//! without a transaction, and then put into its message, if that is as it was.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::message::{MessageId, Moment};
use crate::store::operator::ACT_BEGIN;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, millis, prepared};
use crate::wording::{DraftEnd, Spent};

mod cost;
mod shown;

static MODEL: &Sql = sql!("sql/draft_model.sql");
static TAKE: &Sql = sql!("sql/draft_take.sql");
static LATE: &Sql = sql!("sql/draft_late.sql");
static NEXT: &Sql = sql!("sql/draft_next.sql");
static PUT: &Sql = sql!("sql/draft_put.sql");
static END: &Sql = sql!("sql/draft_end.sql");
static RELEASE: &Sql = sql!("sql/draft_release.sql");

pub use cost::Reserved;
pub use shown::DraftShown;

/// Who the history names as the author of a text.
const WHO: &str = "the writer";

/// A message's latest edits count up to 50 ms before it is due; its text is put there earlier than that.
const LEFT_ALONE: Duration = crate::schedule::LEAD_MAX;

/// A draft that this instance has taken.
#[derive(Clone)]
pub struct Draft {
    /// Its message.
    pub message: MessageId,
    /// What the model is given, as JSON.
    pub facts: String,
    /// When the message is due.
    pub due: Moment,
    /// Which attempt this is, from 1.
    pub attempts: i32,
    /// Whether the message is as it was when the text was asked for.
    pub is_current: bool,
    token: Uuid,
}

impl Store {
    /// Keeps which model writes texts: with none nobody asks for any.
    pub async fn keep_model(&self, model: Option<&str>) -> Result<(), StoreError> {
        const STEP: &str = "keeping which model writes texts";
        let client = self.client().await?;
        let keep = prepared(&client, MODEL, STEP).await?;
        let kept = client.execute(&keep, &[&model]).await;
        kept.map_err(StoreError::at(STEP)).map(drop)
    }

    /// Takes drafts for this instance until their lease is over, at most so many, of messages that are due no sooner.
    pub async fn take_drafts(
        &self,
        most: usize,
        lease: Duration,
        due_after: Duration,
    ) -> Result<Vec<Draft>, StoreError> {
        const STEP: &str = "taking drafts";
        let token = Uuid::now_v7();
        let client = self.client().await?;
        let take = prepared(&client, TAKE, STEP).await?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let (lease, after) = (millis(lease), millis(due_after));
        let rows = client.query(&take, &[&most, &token, &lease, &after]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let draft = |row: &Row| -> Result<Draft, tokio_postgres::Error> {
            Ok(Draft {
                message: MessageId(row.try_get("message_id")?),
                facts: row.try_get("facts")?,
                due: row.try_get::<_, PgTimestamp>("needed_by")?.0,
                attempts: row.try_get("attempts")?,
                is_current: row.try_get("is_current")?,
                token,
            })
        };
        let mut drafts = rows
            .iter()
            .map(draft)
            .collect::<Result<Vec<_>, _>>()
            .map_err(StoreError::unreadable(STEP))?;
        drafts.sort_by_key(|draft| draft.due);
        Ok(drafts)
    }

    /// Ends drafts whose message is due too soon, at most so many; returns how each ended.
    pub async fn end_late_drafts(
        &self,
        due_within: Duration,
        most: usize,
    ) -> Result<Vec<DraftEnd>, StoreError> {
        const STEP: &str = "ending drafts that come too late";
        let client = self.client().await?;
        let late = prepared(&client, LATE, STEP).await?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = client.query(&late, &[&millis(due_within), &most]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        rows.iter()
            .map(|row| Ok(DraftEnd::of(row.try_get(0)?).unwrap_or(DraftEnd::Late)))
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// In what time a draft can be taken that cannot be taken now, or is to be ended.
    pub async fn next_draft(&self, due_within: Duration) -> Result<Option<Duration>, StoreError> {
        const STEP: &str = "looking for the next draft";
        let client = self.client().await?;
        let next = prepared(&client, NEXT, STEP).await?;
        let row = client.query_one(&next, &[&millis(due_within)]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let ms: Option<f64> = row.try_get("ms").map_err(StoreError::unreadable(STEP))?;
        Ok(ms.map(|ms| Duration::try_from_secs_f64(ms.max(0.0) / 1e3).unwrap_or(Duration::MAX)))
    }

    /// Puts a text into its message. `false`: the message is not as it was, or not free.
    pub async fn put_draft(
        &self,
        draft: &Draft,
        text: &str,
        spent: &Spent,
    ) -> Result<bool, StoreError> {
        const STEP: &str = "putting a text into its message";
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let act = prepared(&tx, ACT_BEGIN, STEP).await?;
        let begun = tx.query_one(&act, &[&WHO]).await;
        begun.map_err(StoreError::at(STEP))?;
        let put = prepared(&tx, PUT, STEP).await?;
        let (id, metadata) = (draft.message.0, spent.metadata("llm"));
        let row = tx
            .query_one(
                &put,
                &[&id, &draft.token, &text, &metadata, &millis(LEFT_ALONE)],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        let version: Option<i64> = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok(version.is_some())
    }

    /// Ends a draft; its message keeps its own text. `end` is `None` if the text could not be put there.
    pub async fn end_draft(
        &self,
        draft: &Draft,
        end: Option<DraftEnd>,
        reason: Option<&str>,
        spent: &Spent,
    ) -> Result<Option<DraftEnd>, StoreError> {
        const STEP: &str = "ending a draft";
        let client = self.client().await?;
        let statement = prepared(&client, END, STEP).await?;
        let word = end.map(DraftEnd::as_str);
        let (id, metadata) = (draft.message.0, spent.metadata("template"));
        let margin = millis(LEFT_ALONE);
        let row = client
            .query_opt(
                &statement,
                &[&id, &draft.token, &word, &reason, &metadata, &margin],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let word: &str = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        Ok(DraftEnd::of(word))
    }

    /// Releases a draft, to be tried again after a pause.
    pub async fn release_draft(
        &self,
        draft: &Draft,
        pause: Duration,
        does_not_count: bool,
    ) -> Result<(), StoreError> {
        const STEP: &str = "releasing a draft";
        let client = self.client().await?;
        let release = prepared(&client, RELEASE, STEP).await?;
        let (id, pause) = (draft.message.0, millis(pause));
        let done = client
            .execute(&release, &[&id, &draft.token, &pause, &does_not_count])
            .await;
        done.map_err(StoreError::at(STEP)).map(drop)
    }
}
