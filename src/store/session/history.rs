//! What statements check, so that a database of another history refuses them (`triggers/history.sql`).

use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::lineage::Lineage;
use crate::message::{AttemptToken, Moment};
use crate::proof::history::{Expected, Mark};
use crate::store::{Store, StoreError};

/// The SQLSTATE of `punctual.check_history`.
const ANOTHER_HISTORY: &str = "PU002";

/// What is checked, as parameters.
pub(in crate::store) struct HistoryCheck {
    pub(in crate::store) beats: i64,
    pub(in crate::store) claimed: Vec<Uuid>,
    pub(in crate::store) recorded: Vec<Uuid>,
}

impl HistoryCheck {
    pub(in crate::store) fn of(expected: &Expected) -> Self {
        let ids = |tokens: &[AttemptToken]| tokens.iter().map(|token| token.0).collect();
        Self {
            beats: expected.beats,
            claimed: ids(&expected.claimed),
            recorded: ids(&expected.recorded),
        }
    }
}

/// Whether `punctual.check_history` refused it.
pub(in crate::store) fn is_another_history(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| code.code() == ANOTHER_HISTORY)
}

impl Store {
    /// The same, claiming only in a database that has what this instance has committed.
    #[must_use]
    pub fn with_lineage(self, lineage: &Lineage) -> Self {
        Self {
            lineage: Some(lineage.clone()),
            ..self
        }
    }

    /// What is due before this is in quarantine.
    pub fn quarantined_before(&self) -> Option<Moment> {
        self.lineage.as_ref()?.quarantined_before()
    }

    /// A statement was refused: by a database of another history, or by a standby.
    pub(in crate::store) fn refused(&self, error: &tokio_postgres::Error, mark: Mark) {
        if let Some(lineage) = &self.lineage
            && is_another_history(error)
        {
            lineage.lost(mark);
        } else if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
            // A standby, or a former primary. New sessions lead to the primary.
            self.distrust();
        }
    }

    /// What a statement checks that begins now.
    pub(in crate::store) fn history_check(&self) -> (Mark, HistoryCheck) {
        let (mark, expected) = self
            .lineage
            .as_ref()
            .map_or_else(|| Lineage::default().expected(), Lineage::expected);
        (mark, HistoryCheck::of(&expected))
    }

    /// Records how far the database's log has come by now.
    pub async fn follow(&self) -> Result<(), StoreError> {
        let Some(lineage) = &self.lineage else {
            return Ok(());
        };
        let client = self.client().await?;
        lineage
            .check(&client, self.instance)
            .await
            .map(drop)
            .map_err(StoreError::at("checking which database this is"))
    }
}
