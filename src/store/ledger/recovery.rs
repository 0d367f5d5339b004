//! What a dead instance left open, and how its journal settles that.

use std::collections::HashSet;

use uuid::Uuid;

use crate::message::{AttemptToken, InstanceId, MessageId, Stage};
use crate::proof::recovery::{LeftOpen, NotAccepted};
use crate::store::{Sql, Store, StoreError, prepared};

static OPEN: &Sql = sql!("sql/recover_open.sql");
static KNOWN: &Sql = sql!("sql/recover_known.sql");
static UNBEGUN: &Sql = sql!("sql/recover_unbegun.sql");
static RESTORED: &Sql = sql!("sql/restored_mark.sql");

/// Attempts read in one statement.
const PAGE: usize = 1_000;

impl Store {
    /// What this instance left open, in the order of the tokens.
    pub async fn left_open(&self, instance: InstanceId) -> Result<Vec<LeftOpen>, StoreError> {
        self.without_certain_outcome(instance, true).await
    }

    /// What of this instance was reaped, and has no certain outcome: not what it has under way.
    pub async fn reaped(&self, instance: InstanceId) -> Result<Vec<LeftOpen>, StoreError> {
        self.without_certain_outcome(instance, false).await
    }

    async fn without_certain_outcome(
        &self,
        instance: InstanceId,
        in_flight: bool,
    ) -> Result<Vec<LeftOpen>, StoreError> {
        let mut open = Vec::<LeftOpen>::new();
        loop {
            let after = open.last().map(|last| last.token);
            let next = self
                .page_without_certain_outcome(instance, in_flight, after)
                .await?;
            let is_last = next.len() < PAGE;
            open.extend(next);
            if is_last {
                return Ok(open);
            }
        }
    }

    async fn page_without_certain_outcome(
        &self,
        instance: InstanceId,
        in_flight: bool,
        after: Option<AttemptToken>,
    ) -> Result<Vec<LeftOpen>, StoreError> {
        const STEP: &str = "looking for what a dead instance left open";
        let client = self.client().await?;
        let open = prepared(&client, OPEN, STEP).await?;
        let most = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let after = after.map(|token| token.0);
        let rows = client
            .query(&open, &[&instance.0, &most, &after, &in_flight])
            .await
            .map_err(StoreError::at(STEP))?;
        let read = |row: &tokio_postgres::Row| -> Result<LeftOpen, tokio_postgres::Error> {
            Ok(LeftOpen {
                token: AttemptToken(row.try_get("token")?),
                message: MessageId(row.try_get("message_id")?),
                number: row.try_get("number")?,
                in_flight: row.try_get("in_flight")?,
                attempts_before: row.try_get("attempts_before")?,
                max_attempts: row.try_get("max_attempts")?,
                journal_incomplete: row.try_get("journal_incomplete")?,
            })
        };
        rows.iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// Releases these attempts: their rows are pending again, if nothing else has happened to them.
    /// Returns those that are done, and whether their row was moved; what is missing was locked, or
    /// is another attempt of a message that is among these already.
    pub async fn not_accepted(
        &self,
        attempts: &[NotAccepted],
    ) -> Result<Vec<(AttemptToken, bool)>, StoreError> {
        const STEP: &str = "releasing what was not accepted";
        // Two attempts of one message, of one statement, would each see the other as open.
        let mut messages = HashSet::new();
        let first = |a: &&NotAccepted| messages.insert(a.message);
        let attempts: Vec<_> = attempts.iter().filter(first).collect();
        let ids: Vec<Uuid> = attempts.iter().map(|a| a.message.0).collect();
        let tokens: Vec<Uuid> = attempts.iter().map(|a| a.token.0).collect();
        let reasons: Vec<&str> = attempts.iter().map(|a| a.reason.as_str()).collect();
        let client = self.client().await?;
        let release = prepared(&client, UNBEGUN, STEP).await?;
        let rows = client
            .query(&release, &[&ids, &tokens, &reasons])
            .await
            .map_err(StoreError::at(STEP))?;
        rows.iter()
            .map(|row| Ok((AttemptToken(row.try_get("token")?), row.try_get("moved")?)))
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// Whether the ledger has any of these attempts.
    pub async fn knows_any(&self, tokens: &[AttemptToken]) -> Result<bool, StoreError> {
        const STEP: &str = "comparing journals with the ledger";
        let tokens: Vec<Uuid> = tokens.iter().map(|token| token.0).collect();
        let client = self.client().await?;
        let known = prepared(&client, KNOWN, STEP).await?;
        let row = client.query_one(&known, &[&tokens]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        row.try_get(0).map_err(StoreError::unreadable(STEP))
    }

    /// Marks every attempt without a final status as older than the restore; returns how many there
    /// are.
    pub async fn mark_restored(&self) -> Result<u64, StoreError> {
        const STEP: &str = "marking the attempts of a restored database";
        let client = self.client().await?;
        let mark = prepared(&client, RESTORED, STEP).await?;
        let ends: Vec<&str> = Stage::ALL
            .into_iter()
            .filter(|stage| stage.is_final())
            .map(Stage::as_str)
            .collect();
        let marked = client.execute(&mark, &[&ends]).await;
        marked.map_err(StoreError::at(STEP))
    }
}
