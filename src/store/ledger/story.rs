//! Everything known of one message: its row, its attempts, the provider's reports and look-ups, what the app's
//! tables refused, and what happens next. Ids, times and reasons; the text is only counted and the number
//! masked.

use serde::Serialize;
use tokio_postgres::{Client, Row};

use crate::forecast::Forecast;
use crate::message::segments::Segments;
use crate::message::{AttemptToken, InstanceId, MessageId, Moment, Sender, Status};
use crate::store::forecast::{self, Assumed};
use crate::store::{Sql, Store, StoreError};

const STEP: &str = "reading a message's story";

static ROW: &Sql = sql!("sql/story_row.sql");
static ATTEMPTS: &Sql = sql!("sql/story_attempts.sql");
static RECEIPTS: &Sql = sql!("sql/story_receipts.sql");
static NOTES: &Sql = sql!("sql/story_notes.sql");
static OUTBOX: &Sql = sql!("sql/story_outbox.sql");
static CHANGES: &Sql = sql!("sql/story_changes.sql");

mod change;
mod known;
mod next;
mod read;

pub use change::{StoryChange, StoryEdit};
pub use known::{KnownRow, known_as};
pub use next::StoryHold;

/// Everything known of one message.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Story {
    /// The message.
    pub id: MessageId,
    /// Its row; `None`: it does not exist, or not any more.
    pub row: Option<StoryRow>,
    /// Its attempts, in order.
    pub attempts: Vec<StoryAttempt>,
    /// The provider's reports about it that changed or contradicted something.
    pub receipts: Vec<StoryReceipt>,
    /// Changes that came too late for it, in order.
    pub notes: Vec<StoryNote>,
    /// Who changed or deleted the row other than a daemon: the latest 200 changes, in order.
    pub changes: Vec<StoryChange>,
    /// Writes to the app's tables that wait for their retry.
    pub outbox: Vec<StoryWrite>,
    /// Its timer, as `GET /debug/timers` has it, if a daemon was queried and has one.
    pub timer: Option<serde_json::Value>,
    /// That it is in quarantine after a restore, if a daemon was queried.
    pub hold: Option<StoryHold>,
    /// What will happen to it if it is pending, by what is known.
    pub forecast: Option<Forecast>,
    /// What happens next, as a sentence.
    pub next: String,
}

/// The row of a message, as far as it may be shown.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct StoryRow {
    pub status: String,
    pub channel: &'static str,
    /// Masked.
    pub to: String,
    pub characters: usize,
    /// The length of the text in the network's terms; of several parts together.
    pub segments: Segments,
    /// How many of its parts were sent, like `3 of 8`; `None`: it is one text.
    pub parts: Option<String>,
    pub scheduled_at: Moment,
    /// `greatest(scheduled_at, deferred_until, next_attempt_at)`.
    pub due: Moment,
    /// `greatest(scheduled_at, deferred_until, requeued_at)`: lateness counts from here.
    pub wanted_at: Moment,
    pub deferred_until: Option<Moment>,
    pub deferred_reason: Option<String>,
    pub next_attempt_at: Option<Moment>,
    /// The pauses that stop it.
    pub paused_by: Option<String>,
    pub requeued_at: Option<Moment>,
    pub send_before: Option<Moment>,
    pub sent_at: Option<Moment>,
    pub delivered_at: Option<Moment>,
    pub cancelled_at: Option<Moment>,
    pub cancel_reason: Option<String>,
    pub error_message: Option<String>,
    pub error_code: Option<i32>,
    pub twilio_sid: Option<String>,
    pub attempts: i32,
    pub max_attempts: Option<i32>,
    pub version: i64,
    pub in_doubt: Option<String>,
    /// What has the paces that it waits for, or waited for, like `campaign ID and sender +1555•••006`.
    pub pace: Option<String>,
    /// What is entered as the recipient's zone and is not valid.
    pub warnings: Vec<String>,
}

impl StoryRow {
    /// The status, if this version knows it.
    pub fn known_status(&self) -> Option<Status> {
        self.status.parse().ok()
    }
}

/// One attempt, as the ledger has it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct StoryAttempt {
    pub number: i32,
    /// Which part of its message it sends, from 1.
    pub part: i16,
    pub token: AttemptToken,
    pub instance: InstanceId,
    pub claimed_at: Moment,
    pub lease_until: Moment,
    pub started_at: Option<Moment>,
    pub finished_at: Option<Moment>,
    /// `None`: in flight.
    pub outcome: Option<String>,
    pub provider_sid: Option<String>,
    pub code: Option<i32>,
    pub category: Option<String>,
    pub error: Option<String>,
    pub receipt_status: Option<String>,
    /// Responses of the provider to look-ups.
    pub asked: i32,
    pub asked_at: Option<Moment>,
    pub ask_note: Option<String>,
    pub next_ask_at: Option<Moment>,
    /// Who or what settled an uncertain outcome without proof.
    pub settled_by: Option<String>,
    pub settled_at: Option<Moment>,
    /// Which lawful hours permitted its request, deferred or cancelled it, where the installation has such rules.
    pub lawful: Option<String>,
}

/// One report of the provider's.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct StoryReceipt {
    /// Which attempt it is about.
    pub number: Option<i32>,
    pub provider_sid: String,
    pub status: String,
    pub error_code: Option<i32>,
    /// `advanced` or `contradicted`.
    pub effect: String,
    /// The row's new status, if it changed.
    pub row_status: Option<String>,
    pub received_at: Moment,
}

/// A change that came too late.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct StoryNote {
    pub at: Moment,
    pub note: String,
}

/// One write that waits.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct StoryWrite {
    pub attempts: i32,
    pub next_attempt_at: Moment,
    pub last_error: String,
    /// The message of the app's tables themselves: with numbers and texts, if it has them.
    pub app_error: Option<String>,
    pub created_at: Moment,
}

impl Story {
    /// Reads it with a client whose connection is polled elsewhere. `assumed`: for the forecast.
    pub async fn read(
        client: &Client,
        id: MessageId,
        assumed: &Assumed,
    ) -> Result<Self, StoreError> {
        let mut forecasts = forecast::forecasts(client, &[id], assumed).await?;
        let sender = forecasts.around.rules.default_sender.as_ref();
        let sender = sender.map(Sender::as_str);
        let row = client.query_opt(ROW.text(), &[&id.0, &sender]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let row = row.as_ref().map(read::row).transpose();
        let mut story = Self {
            id,
            row: row.map_err(StoreError::unreadable(STEP))?,
            attempts: listed(client, ATTEMPTS, id, read::attempt).await?,
            receipts: listed(client, RECEIPTS, id, read::receipt).await?,
            notes: listed(client, NOTES, id, read::note).await?,
            changes: listed(client, CHANGES, id, change::read).await?,
            outbox: listed(client, OUTBOX, id, read::write).await?,
            timer: None,
            hold: None,
            forecast: forecasts.take(id),
            next: String::new(),
        };
        story.next = story.what_next();
        Ok(story)
    }

    /// Adds what a daemon reports: the message's timer, and whether it is in quarantine.
    pub fn heard(&mut self, timer: Option<serde_json::Value>, hold: Option<StoryHold>) {
        let pending = |row: &&StoryRow| row.known_status() == Some(Status::Pending);
        let due = self.row.as_ref().filter(pending).map(|row| row.due);
        // A message with a timer has been cleared.
        self.hold = hold.filter(|hold| timer.is_none() && due.is_some_and(|due| due < hold.before));
        self.timer = timer;
        self.next = self.what_next();
    }

    /// Whether nothing is known of such a message.
    pub fn is_empty(&self) -> bool {
        self.row.is_none() && self.attempts.is_empty() && self.changes.is_empty()
    }
}

impl Store {
    /// Reads the story of one message. `assumed`: for the forecast.
    pub async fn story(&self, id: MessageId, assumed: &Assumed) -> Result<Story, StoreError> {
        let client = self.client().await?;
        Story::read(&client, id, assumed).await
    }
}

/// What a statement lists of a message.
async fn listed<T>(
    client: &Client,
    sql: &'static Sql,
    id: MessageId,
    read: fn(&Row) -> Result<T, tokio_postgres::Error>,
) -> Result<Vec<T>, StoreError> {
    let rows = client.query(sql.text(), &[&id.0]).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let all: Result<_, _> = rows.iter().map(read).collect();
    all.map_err(StoreError::unreadable(STEP))
}
