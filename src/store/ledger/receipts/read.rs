//! Locks and reads what a group of reports is about.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::STEP;
use crate::message::{AttemptToken, MessageId, ProviderSid};
use crate::proof::merge::{Located, Standings};
use crate::proof::standing::{AttemptStanding, PartStanding, RetryLimits, RowStanding, Standing};
use crate::proof::{About, Report};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError, prepared};

static ROWS: &Sql = sql!("../sql/receipts_rows.sql");
static ATTEMPTS: &Sql = sql!("../sql/receipts_attempts.sql");
static OWNERS: &Sql = sql!("../sql/receipts_owners.sql");

/// What the reports of a group are about, and its standing.
#[derive(Default)]
pub(super) struct Group {
    /// In the order of the reports; those about unknown attempts are left out.
    pub(super) found: Vec<Found>,
    pub(super) standings: Standings,
    /// What the app's tables show of each attempt.
    pub(super) app_messages: BTreeMap<AttemptToken, AppMessage>,
}

/// The attempt that a report is about.
pub(super) struct Found {
    /// Which report, from 0.
    pub(super) report: usize,
    pub(super) message: MessageId,
    pub(super) token: AttemptToken,
    /// Another transaction has locked the row or the attempt.
    pub(super) locked: bool,
    /// The attempt went through another account than the report came by.
    pub(super) is_of_another: bool,
}

impl Found {
    /// Whether the report can be merged.
    const fn is_free(&self) -> bool {
        !self.locked && !self.is_of_another
    }
}

/// A message, as the app's tables show it.
pub(super) struct AppMessage {
    pub(super) conversation: Option<Uuid>,
    pub(super) to: String,
    pub(super) body: String,
}

impl Group {
    pub(super) async fn read(
        tx: &Transaction<'_>,
        reports: &[Report],
        default_sender: Option<&str>,
    ) -> Result<Self, StoreError> {
        let mut group = Self::default();
        let mut shown = BTreeMap::new();
        for row in &rows(tx, reports, default_sender).await? {
            group
                .take_row(row, &mut shown)
                .map_err(StoreError::unreadable(STEP))?;
        }
        let free = group.found.iter().filter(|found| found.is_free());
        let tokens: BTreeSet<AttemptToken> = free.map(|found| found.token).collect();
        if tokens.is_empty() {
            return Ok(group);
        }
        let sids: BTreeSet<&str> = reports.iter().map(|report| &*report.sid.0).collect();
        let (attempts, owners) = tokio::try_join!(attempts(tx, &tokens), owners(tx, &sids))?;
        group.standings.owners = owners;
        for row in &attempts {
            group
                .take_attempt(row, &shown)
                .map_err(StoreError::unreadable(STEP))?;
        }
        let standings = &group.standings.messages;
        for found in group.found.iter_mut().filter(|found| found.is_free()) {
            let standing = standings.get(&found.message);
            let is_there = standing.is_some_and(|s| s.attempts.contains_key(&found.token));
            found.locked = !is_there;
        }
        Ok(group)
    }

    /// The reports that can be merged, in their order.
    pub(super) fn located<'a>(
        &self,
        reports: &'a [Report],
    ) -> impl Iterator<Item = Located<'a>> + use<'a, '_> {
        let free = self.found.iter().filter(|found| found.is_free());
        free.filter_map(|found| {
            Some(Located {
                message: found.message,
                token: found.token,
                report: reports.get(found.report)?,
            })
        })
    }

    fn take_row(
        &mut self,
        row: &Row,
        shown: &mut BTreeMap<MessageId, AppMessage>,
    ) -> Result<(), tokio_postgres::Error> {
        let n: i64 = row.try_get("n")?;
        let message = MessageId(row.try_get("message_id")?);
        let is_of_another = row.try_get("is_of_another")?;
        self.found.push(Found {
            report: usize::try_from(n - 1).unwrap_or(usize::MAX),
            message,
            token: AttemptToken(row.try_get("token")?),
            locked: row.try_get("is_locked")?,
            is_of_another,
        });
        if is_of_another || self.standings.messages.contains_key(&message) {
            return Ok(());
        }
        let id: Option<Uuid> = row.try_get("id")?;
        let standing = match id {
            Some(_) => {
                let app_message = AppMessage {
                    conversation: row.try_get("conversation_id")?,
                    to: row.try_get("to_number")?,
                    body: row.try_get("body")?,
                };
                if row.try_get("has_app_rows")? {
                    shown.insert(message, app_message);
                }
                read_row(row)?
            }
            None => None,
        };
        self.standings.messages.insert(
            message,
            Standing {
                message,
                row: standing,
                attempts: BTreeMap::new(),
            },
        );
        Ok(())
    }

    fn take_attempt(
        &mut self,
        row: &Row,
        shown: &BTreeMap<MessageId, AppMessage>,
    ) -> Result<(), tokio_postgres::Error> {
        let token = AttemptToken(row.try_get("token")?);
        let message = MessageId(row.try_get("message_id")?);
        let outcome: Option<&str> = row.try_get("outcome")?;
        let sid: Option<String> = row.try_get("provider_sid")?;
        let stage: Option<&str> = row.try_get("message_status")?;
        let rendered: Option<String> = row.try_get("body")?;
        let Some(standing) = self.standings.messages.get_mut(&message) else {
            return Ok(());
        };
        let stages: Option<Vec<Option<&str>>> = row.try_get("stages")?;
        if let (Some(stages), Some(row)) = (stages, standing.row.as_mut()) {
            for (part, stage) in row.parts.iter_mut().zip(stages) {
                *part = match stage {
                    None => PartStanding::Open,
                    Some("delivered") => PartStanding::Arrived,
                    Some(_) => PartStanding::Lost,
                };
            }
        }
        standing.attempts.insert(
            token,
            AttemptStanding {
                latest: row.try_get("latest")?,
                part: row.try_get("part")?,
                tries: row.try_get("tries")?,
                superseded: row.try_get("superseded")?,
                recovered: row.try_get("recovered")?,
                requeued_since: row.try_get("requeued_since")?,
                accepted: outcome == Some("accepted"),
                sid: sid.map(ProviderSid),
                stage: stage.and_then(|word| word.parse().ok()),
            },
        );
        if let Some(row) = shown.get(&message) {
            let app_message = AppMessage {
                conversation: row.conversation,
                to: row.to.clone(),
                body: rendered.unwrap_or_else(|| row.body.clone()),
            };
            self.app_messages.insert(token, app_message);
        }
        Ok(())
    }
}

/// `None`: its status is an unknown one.
fn read_row(row: &Row) -> Result<Option<RowStanding>, tokio_postgres::Error> {
    let status: &str = row.try_get("status")?;
    let Ok(status) = status.parse() else {
        return Ok(None);
    };
    let sid: Option<String> = row.try_get("twilio_sid")?;
    let send_before: Option<PgTimestamp> = row.try_get("send_before")?;
    let parts: i16 = row.try_get("parts_total")?;
    Ok(Some(RowStanding {
        status,
        sid: sid.map(ProviderSid),
        limits: RetryLimits {
            attempts: row.try_get("attempts")?,
            max_attempts: row.try_get("max_attempts")?,
            late_from: row.try_get::<_, PgTimestamp>("late_from")?.0,
            send_before: send_before.map(|at| at.0),
            now: row.try_get::<_, PgTimestamp>("now")?.0,
        },
        parts_done: row.try_get("parts_done")?,
        parts: vec![PartStanding::Open; usize::try_from(parts).unwrap_or(1)],
        no_retry: None,
    }))
}

async fn rows(
    tx: &Transaction<'_>,
    reports: &[Report],
    default_sender: Option<&str>,
) -> Result<Vec<Row>, StoreError> {
    let about = |report: &Report| match report.about {
        About::Attempt { message, token } => (Some(token.0), Some(message.0)),
        About::Sid => (None, None),
    };
    let (tokens, messages): (Vec<Option<Uuid>>, Vec<Option<Uuid>>) =
        reports.iter().map(about).unzip();
    let sids: Vec<&str> = reports.iter().map(|report| &*report.sid.0).collect();
    let accounts: Vec<&str> = reports.iter().map(|report| report.lane.account()).collect();
    let statement = prepared(tx, ROWS, STEP).await?;
    let about = [
        &tokens as &(dyn ToSql + Sync),
        &messages,
        &sids,
        &default_sender,
        &accounts,
    ];
    tx.query(&statement, &about)
        .await
        .map_err(StoreError::at(STEP))
}

async fn attempts(
    tx: &Transaction<'_>,
    tokens: &BTreeSet<AttemptToken>,
) -> Result<Vec<Row>, StoreError> {
    let tokens: Vec<Uuid> = tokens.iter().map(|token| token.0).collect();
    let statement = prepared(tx, ATTEMPTS, STEP).await?;
    tx.query(&statement, &[&tokens])
        .await
        .map_err(StoreError::at(STEP))
}

async fn owners(
    tx: &Transaction<'_>,
    sids: &BTreeSet<&str>,
) -> Result<BTreeMap<String, AttemptToken>, StoreError> {
    let sids: Vec<&str> = sids.iter().copied().collect();
    let statement = prepared(tx, OWNERS, STEP).await?;
    tx.query(&statement, &[&sids])
        .await
        .map_err(StoreError::at(STEP))?
        .iter()
        .map(|row| Ok((row.try_get(0)?, AttemptToken(row.try_get(1)?))))
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))
}
