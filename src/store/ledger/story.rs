//! Everything known of one message: its row, its attempts, the provider's reports and look-ups, what the app's
//! tables refused, and what happens next. Ids, times and reasons; the text is only counted and the number
//! masked.

use serde::Serialize;
use tokio_postgres::{Client, Row};

use crate::clock::ZoneData;
use crate::message::facts::Preferences;
use crate::message::segments::Segments;
use crate::message::{
    Address, AttemptToken, Channel, Facts, InstanceId, MessageId, Moment, Status,
};
use crate::policy::{Rules, ZoneWarning, zone_of};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError};

const STEP: &str = "reading a message's story";

static ROW: &Sql = sql!("sql/story_row.sql");
static ATTEMPTS: &Sql = sql!("sql/story_attempts.sql");
static RECEIPTS: &Sql = sql!("sql/story_receipts.sql");
static NOTES: &Sql = sql!("sql/story_notes.sql");
static OUTBOX: &Sql = sql!("sql/story_outbox.sql");

mod next;

pub use next::StoryHold;

/// See the module.
#[derive(Clone, Debug, Serialize)]
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
    /// Writes to the app's tables that wait for their retry.
    pub outbox: Vec<StoryWrite>,
    /// Its timer, as `GET /debug/timers` has it, if a daemon was queried and has one.
    pub timer: Option<serde_json::Value>,
    /// That it is in quarantine after a restore, if a daemon was queried.
    pub hold: Option<StoryHold>,
    /// What happens next.
    pub next: String,
}

/// The row of a message, as far as it may be shown.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct StoryRow {
    pub status: String,
    pub channel: &'static str,
    /// Masked.
    pub to: String,
    pub characters: usize,
    /// The length of the text in the network's terms.
    pub segments: Segments,
    pub scheduled_at: Moment,
    /// `greatest(scheduled_at, deferred_until, next_attempt_at)`.
    pub due: Moment,
    /// `greatest(scheduled_at, deferred_until, requeued_at)`: lateness counts from here.
    pub wanted_at: Moment,
    pub deferred_until: Option<Moment>,
    pub deferred_reason: Option<String>,
    pub next_attempt_at: Option<Moment>,
    /// When the pauses that stop it end; `infinity`: when somebody resumes.
    pub paused_until: Option<Moment>,
    /// Which these are.
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
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct StoryAttempt {
    pub number: i32,
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
}

/// One report of the provider's.
#[derive(Clone, Debug, Serialize)]
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
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct StoryNote {
    pub at: Moment,
    pub note: String,
}

/// One write that waits.
#[derive(Clone, Debug, Serialize)]
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
    /// Reads it with a client whose connection is polled elsewhere.
    pub async fn read(
        client: &Client,
        id: MessageId,
        default_sender: Option<&str>,
    ) -> Result<Self, StoreError> {
        let row = client
            .query_opt(ROW.text(), &[&id.0, &default_sender])
            .await;
        let row = row.map_err(StoreError::at(STEP))?;
        let row = row.as_ref().map(read_row).transpose();
        let mut story = Self {
            id,
            row: row.map_err(StoreError::unreadable(STEP))?,
            attempts: listed(client, ATTEMPTS, id, read_attempt).await?,
            receipts: listed(client, RECEIPTS, id, read_receipt).await?,
            notes: listed(client, NOTES, id, read_note).await?,
            outbox: listed(client, OUTBOX, id, read_write).await?,
            timer: None,
            hold: None,
            next: String::new(),
        };
        story.next = story.what_next(|at| at.to_string());
        Ok(story)
    }

    /// Adds what a daemon reports: the message's timer, and whether it is in quarantine.
    pub fn heard(&mut self, timer: Option<serde_json::Value>, hold: Option<StoryHold>) {
        let pending = |row: &&StoryRow| row.known_status() == Some(Status::Pending);
        let due = self.row.as_ref().filter(pending).map(|row| row.due);
        // A message with a timer has been cleared.
        self.hold = hold.filter(|hold| timer.is_none() && due.is_some_and(|due| due < hold.before));
        self.timer = timer;
        self.next = self.what_next(|at| at.to_string());
    }

    /// Whether nothing is known of such a message.
    pub fn is_empty(&self) -> bool {
        self.row.is_none() && self.attempts.is_empty()
    }
}

impl Store {
    /// Reads the story of one message.
    pub async fn story(&self, id: MessageId) -> Result<Story, StoreError> {
        let client = self.client().await?;
        Story::read(&client, id, self.default_sender.as_deref()).await
    }
}

fn at(row: &Row, column: &str) -> Result<Moment, tokio_postgres::Error> {
    Ok(row.try_get::<_, PgTimestamp>(column)?.0)
}

fn maybe_at(row: &Row, column: &str) -> Result<Option<Moment>, tokio_postgres::Error> {
    Ok(row
        .try_get::<_, Option<PgTimestamp>>(column)?
        .map(|at| at.0))
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

fn read_row(row: &Row) -> Result<StoryRow, tokio_postgres::Error> {
    let to: &str = row.try_get("to_number")?;
    let channel = Channel::of(row.try_get("channel")?);
    let text: &str = row.try_get("text")?;
    Ok(StoryRow {
        status: row.try_get("status")?,
        channel: channel.as_str(),
        to: Address::parse(channel, to).map_or_else(
            |_| match channel {
                Channel::Sms => "not a phone number".to_owned(),
                other => format!("not an address of the channel {}", other.as_str()),
            },
            |to| to.masked(),
        ),
        characters: text.chars().count(),
        segments: Segments::of(text),
        scheduled_at: at(row, "scheduled_at")?,
        due: at(row, "due")?,
        wanted_at: at(row, "wanted_at")?,
        deferred_until: maybe_at(row, "deferred_until")?,
        deferred_reason: row.try_get("deferred_reason")?,
        next_attempt_at: maybe_at(row, "next_attempt_at")?,
        paused_until: maybe_at(row, "paused_until")?,
        paused_by: row.try_get("paused_by")?,
        requeued_at: maybe_at(row, "requeued_at")?,
        send_before: maybe_at(row, "send_before")?,
        sent_at: maybe_at(row, "sent_at")?,
        delivered_at: maybe_at(row, "delivered_at")?,
        cancelled_at: maybe_at(row, "cancelled_at")?,
        cancel_reason: row.try_get("cancel_reason")?,
        error_message: row.try_get("error_message")?,
        error_code: row.try_get("error_code")?,
        twilio_sid: row.try_get("twilio_sid")?,
        attempts: row.try_get("attempts")?,
        max_attempts: row.try_get("max_attempts")?,
        version: row.try_get("version")?,
        in_doubt: row.try_get("in_doubt")?,
        warnings: zone_warnings(row.try_get("timezone")?, row.try_get("their_timezone")?),
    })
}

/// As in the log of the instance that judged it, and with the names.
fn zone_warnings(own: Option<String>, theirs: Option<String>) -> Vec<String> {
    let facts = Facts {
        timezone: own,
        preferences: Some(Preferences {
            timezone: theirs,
            ..Preferences::default()
        }),
        ..Facts::default()
    };
    let rules = Rules {
        zones: ZoneData::newest().zones,
        ..Rules::default()
    };
    let warnings = zone_of(&facts, &rules).warnings;
    warnings.iter().map(ZoneWarning::with_name).collect()
}

fn read_attempt(row: &Row) -> Result<StoryAttempt, tokio_postgres::Error> {
    Ok(StoryAttempt {
        number: row.try_get("number")?,
        part: row.try_get("part")?,
        token: AttemptToken(row.try_get("token")?),
        instance: InstanceId(row.try_get("instance")?),
        claimed_at: at(row, "claimed_at")?,
        lease_until: at(row, "lease_until")?,
        started_at: maybe_at(row, "started_at")?,
        finished_at: maybe_at(row, "finished_at")?,
        outcome: row.try_get("outcome")?,
        provider_sid: row.try_get("provider_sid")?,
        code: row.try_get("code")?,
        category: row.try_get("category")?,
        error: row.try_get("error")?,
        receipt_status: row.try_get("receipt_status")?,
        asked: row.try_get("lookups")?,
        asked_at: maybe_at(row, "looked_up_at")?,
        ask_note: row.try_get("lookup_note")?,
        next_ask_at: maybe_at(row, "next_lookup_at")?,
        settled_by: row.try_get("settled_by")?,
        settled_at: maybe_at(row, "settled_at")?,
    })
}

fn read_receipt(row: &Row) -> Result<StoryReceipt, tokio_postgres::Error> {
    Ok(StoryReceipt {
        number: row.try_get("number")?,
        provider_sid: row.try_get("provider_sid")?,
        status: row.try_get("status")?,
        error_code: row.try_get("error_code")?,
        effect: row.try_get("effect")?,
        row_status: row.try_get("row_status")?,
        received_at: at(row, "received_at")?,
    })
}

fn read_note(row: &Row) -> Result<StoryNote, tokio_postgres::Error> {
    Ok(StoryNote {
        at: at(row, "at")?,
        note: row.try_get("note")?,
    })
}

fn read_write(row: &Row) -> Result<StoryWrite, tokio_postgres::Error> {
    Ok(StoryWrite {
        attempts: row.try_get("attempts")?,
        next_attempt_at: at(row, "next_attempt_at")?,
        last_error: row.try_get("last_error")?,
        app_error: row.try_get("app_error")?,
        created_at: at(row, "created_at")?,
    })
}
