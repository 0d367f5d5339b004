//! Lists of messages by a filter, in pages.

use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::OperatorError;
use super::acts::ACT_MAX;
use super::walk::{Walk, signed};
use crate::forecast::Forecast;
use crate::message::filter::{PageStart, Search};
use crate::message::{Address, Channel, Filter, MessageId, Moment, Status};
use crate::store::forecast::Assumed;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::story::known_as;
use crate::store::{Sql, Store, StoreError, prepared};

static WALK: &Sql = sql!("sql/walk.sql");
static FIND: &Sql = sql!("sql/find.sql");
static ROWS: &Sql = sql!("sql/rows.sql");

const STEP: &str = "listing messages";

/// The rows of each status that a page reads, however few of them match.
const READ_MAX: usize = 5_000;

/// How many messages the beginning of an id may have.
const FOUND_MAX: usize = 1_000;

/// How many stretches are read in search of a recipient, which has no index.
const STRETCHES_MAX: usize = 20;

/// Which part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    /// The rows of a page.
    pub limit: usize,
    /// Where the page begins; `None`: at the beginning of the list.
    pub after: Option<PageStart>,
    /// Whether numbers and texts are shown; else numbers are masked, and texts left out.
    pub reveals: bool,
}

/// A part of a list.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Page {
    /// The messages. A page may have fewer than were requested, even none, and yet not be the last: where few messages
    /// match, it ends after it has read so many.
    pub messages: Vec<Listed>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<String>,
}

/// A message in a list.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct Listed {
    pub id: MessageId,
    pub status: String,
    pub channel: &'static str,
    /// Masked, unless numbers and texts were requested.
    pub to: String,
    /// Left out unless numbers and texts were requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub body: Option<String>,
    /// `greatest(scheduled_at, deferred_until, next_attempt_at)`: lists are in its order.
    pub due: Moment,
    pub scheduled_at: Moment,
    pub message_type: Option<String>,
    pub user: Option<Uuid>,
    pub campaign: Option<Uuid>,
    pub template: Option<Uuid>,
    pub attempts: i32,
    /// Why it was not sent, or not yet: a word from the ledger.
    pub reason: Option<String>,
    /// The same in a sentence.
    pub detail: Option<String>,
    pub sent_at: Option<Moment>,
    pub delivered_at: Option<Moment>,
    pub cancelled_at: Option<Moment>,
    /// The provider's id.
    pub sid: Option<String>,
    /// What will happen to one that is pending; left out unless it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub forecast: Option<Forecast>,
}

/// One row that the walk returns.
pub(super) struct Walked {
    pub(super) id: Uuid,
    due: Moment,
}

/// What one step of a walk has found.
pub(super) struct Stretch {
    /// The rows that match, in the order of the list.
    pub(super) rows: Vec<Walked>,
    /// Where it goes on; `None`: that was all.
    pub(super) next: Option<PageStart>,
}

impl Store {
    /// A page of the messages of a filter.
    pub async fn list(&self, filter: &Filter, paging: Paging) -> Result<Page, OperatorError> {
        let ids = self.searched(filter).await?;
        let stretch = self
            .stretch(filter, ids, paging.after, paging.limit)
            .await?;
        let ids: Vec<Uuid> = stretch.rows.iter().map(|row| row.id).collect();
        Ok(Page {
            messages: self.listed(&ids, paging.reveals).await?,
            next: stretch.next.map(|place| place.to_string()),
        })
    }

    /// Adds to a page what will happen to those of its messages that are pending. It is read for all of them at once.
    pub async fn foresee(&self, page: &mut Page, assumed: &Assumed) -> Result<(), StoreError> {
        let pending = page
            .messages
            .iter()
            .filter(|message| message.status == Status::Pending.as_str());
        let ids: Vec<MessageId> = pending.map(|message| message.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut known = self.forecasts(&ids, assumed).await?;
        for message in &mut page.messages {
            message.forecast = known.take(message.id);
        }
        Ok(())
    }

    /// The ids that a filter searches for; `None`: it does not search by them.
    pub(super) async fn searched(
        &self,
        filter: &Filter,
    ) -> Result<Option<Vec<Uuid>>, OperatorError> {
        match &filter.search {
            Some(Search::Id { .. } | Search::Sid(_) | Search::Held(_)) => {
                // Of held ones there are as many as there are, and all are meant.
                let most = match filter.search {
                    Some(Search::Held(_)) => ACT_MAX,
                    _ => FOUND_MAX,
                };
                let found = self.found(filter.search.as_ref(), most + 1).await?;
                if found.len() > most {
                    return Err(OperatorError::Broad);
                }
                Ok(Some(found))
            }
            Some(Search::Recipient(_)) | None => Ok(None),
        }
    }

    /// The messages that a person names by the beginning of an id, a sid or a recipient: at most so many, the latest
    /// first where it is a recipient. Too many messages to read are an error.
    pub async fn search(
        &self,
        search: &Search,
        most: usize,
    ) -> Result<Vec<MessageId>, OperatorError> {
        let found = match search {
            Search::Id { .. } | Search::Sid(_) | Search::Held(_) => {
                self.found(Some(search), most).await?
            }
            Search::Recipient(_) => {
                let filter = Filter {
                    search: Some(search.clone()),
                    ..Filter::default()
                };
                let (mut found, mut after) = (Vec::new(), None);
                // To the end: one that is found is the only one only if there are no others.
                for _ in 0..STRETCHES_MAX {
                    let left = most - found.len();
                    let stretch = self.stretch(&filter, None, after, left).await?;
                    found.extend(stretch.rows.into_iter().map(|row| row.id));
                    after = stretch.next;
                    if found.len() >= most || after.is_none() {
                        return Ok(found.into_iter().map(MessageId).collect());
                    }
                }
                return Err(OperatorError::Broad);
            }
        };
        Ok(found.into_iter().map(MessageId).collect())
    }

    async fn found(&self, search: Option<&Search>, most: usize) -> Result<Vec<Uuid>, StoreError> {
        const STEP: &str = "searching for a message";
        let (first, last, sid, held) = match search {
            Some(Search::Id { first, last }) => (Some(first), Some(last), None, None),
            Some(Search::Sid(sid)) => (None, None, Some(sid), None),
            Some(Search::Held(says)) => (None, None, None, Some(says)),
            Some(Search::Recipient(_)) | None => return Ok(Vec::new()),
        };
        let client = self.client().await?;
        let statement = prepared(&client, FIND, STEP).await?;
        let rows = client
            .query(&statement, &[&first, &last, &sid, &signed(most), &held])
            .await
            .map_err(StoreError::at(STEP))?;
        let ids = rows.iter().map(|row| row.try_get(0)).take(most);
        let ids: Result<Vec<Uuid>, _> = ids.collect();
        let ids = ids.map_err(StoreError::unreadable(STEP))?;
        match (first, last) {
            // No message's: a job's, a delivery's or an event's, perhaps.
            (Some(whole), Some(last)) if ids.is_empty() && whole == last => {
                let rows = known_as(&client, *whole).await?;
                let messages = rows.into_iter().filter_map(|row| row.message);
                Ok(messages.map(|id| id.0).take(most).collect())
            }
            _ => Ok(ids),
        }
    }

    /// The next rows that match, after a place: at most `limit`, or as many as there are among the rows that one
    /// statement may read.
    pub(super) async fn stretch(
        &self,
        filter: &Filter,
        ids: Option<Vec<Uuid>>,
        after: Option<PageStart>,
        limit: usize,
    ) -> Result<Stretch, StoreError> {
        // One more than is wanted shows whether there are more.
        let wanted = limit.saturating_add(1);
        let reads = if filter.is_by_index() {
            wanted
        } else {
            wanted.max(READ_MAX)
        };
        let walk = Walk::new(filter, ids, after, wanted, reads);
        let client = self.client().await?;
        let statement = prepared(&client, WALK, STEP).await?;
        let rows = client.query(&statement, &walk.parameters()).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read = rows.iter().map(walked).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(StoreError::unreadable(STEP))?;
        let (mut rows, mut reached) = (Vec::with_capacity(read.len()), None);
        for (row, matches) in read {
            if matches {
                rows.push(row);
            } else {
                reached = Some(page_start(&row));
            }
        }
        let next = if rows.len() > limit {
            rows.truncate(limit);
            rows.last().map(page_start)
        } else {
            reached
        };
        Ok(Stretch { rows, next })
    }

    /// What a list shows of these messages, in their order.
    pub async fn listed(&self, ids: &[Uuid], reveals: bool) -> Result<Vec<Listed>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.client().await?;
        let statement = prepared(&client, ROWS, STEP).await?;
        let rows = client.query(&statement, &[&ids]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read = rows.iter().map(|row| listed(row, reveals));
        read.collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }
}

fn page_start(row: &Walked) -> PageStart {
    PageStart {
        due: row.due,
        id: row.id,
    }
}

fn walked(row: &Row) -> Result<(Walked, bool), tokio_postgres::Error> {
    let at: PgTimestamp = row.try_get("due")?;
    let walked = Walked {
        id: row.try_get("id")?,
        due: at.0,
    };
    Ok((walked, row.try_get("matches")?))
}

fn listed(row: &Row, reveals: bool) -> Result<Listed, tokio_postgres::Error> {
    let at = |column| -> Result<Moment, tokio_postgres::Error> {
        Ok(row.try_get::<_, PgTimestamp>(column)?.0)
    };
    let maybe_at = |column| -> Result<Option<Moment>, tokio_postgres::Error> {
        let at: Option<PgTimestamp> = row.try_get(column)?;
        Ok(at.map(|at| at.0))
    };
    let channel = Channel::of(row.try_get("channel")?);
    let to: String = row.try_get("to_number")?;
    let body: Option<String> = row.try_get("body")?;
    Ok(Listed {
        id: MessageId(row.try_get("id")?),
        status: row.try_get("status")?,
        channel: channel.as_str(),
        to: if reveals {
            to
        } else {
            Address::masked_of(channel, &to)
        },
        body: body.filter(|_| reveals),
        due: at("due")?,
        scheduled_at: at("scheduled_at")?,
        message_type: row.try_get("message_type")?,
        user: row.try_get("user_id")?,
        campaign: row.try_get("campaign_id")?,
        template: row.try_get("template_id")?,
        attempts: row.try_get("attempts")?,
        reason: row.try_get("reason")?,
        detail: row.try_get("detail")?,
        sent_at: maybe_at("sent_at")?,
        delivered_at: maybe_at("delivered_at")?,
        cancelled_at: maybe_at("cancelled_at")?,
        sid: row.try_get("sid")?,
        forecast: None,
    })
}
