//! Texts that the app was told of before it was known what was sent: a callback came first, and
//! knew only the row.

use deadpool_postgres::Transaction;

use crate::store::{StoreError, prepared};

const BODY: &str = sql!("sql/messages_body.sql");

/// A text the app was told of before it was known what was sent.
pub(in crate::store) struct Correction {
    pub(in crate::store) sid: String,
    pub(in crate::store) sent: String,
    pub(in crate::store) row_body: String,
}

/// Has the app's rows say what was sent. If the app refuses it, they go on saying what the
/// message's row says, and the ledger knows better.
pub(in crate::store) async fn correct(
    tx: &mut Transaction<'_>,
    corrections: &[Correction],
) -> Result<(), StoreError> {
    const STEP: &str = "telling the app's tables what was sent";
    if corrections.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Correction) -> &str| corrections.iter().map(of).collect::<Vec<_>>();
    let sids = column(|c| &c.sid);
    let sent = column(|c| &c.sent);
    let row_bodies = column(|c| &c.row_body);
    let savepoint = tx.savepoint("app").await.map_err(StoreError::at(STEP))?;
    let statement = prepared(&savepoint, BODY, STEP).await;
    let done = match statement {
        Ok(statement) => savepoint
            .execute(&statement, &[&sids, &sent, &row_bodies])
            .await
            .map_err(StoreError::at(STEP)),
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => savepoint.commit().await.map_err(StoreError::at(STEP)),
        Err(refused) if refused.is_refusal() => {
            savepoint.rollback().await.map_err(StoreError::at(STEP))?;
            tracing::warn!(messages = corrections.len(), error = %refused, "the app's tables refused the text that was sent");
            Ok(())
        }
        Err(broken) => Err(broken),
    }
}
