//! Opt-outs in the app's preferences: what a reply has set or lifted, the users with that number have too.

use deadpool_postgres::Transaction;

use super::rows::Refusal;
use crate::store::{Sql, StoreError, prepared};

static WRITE_OPT_OUT: &Sql = sql!("sql/write_opt_out.sql");
static OUTBOX_REPLY: &Sql = sql!("sql/outbox_reply.sql");

const WRITING: &str = "writing an opt-out to the app's preferences";

/// Before a refused write is tried again.
const PAUSE_MS: i64 = 1_000;

/// Writes whether this number has opted out; returns why the app's table refused it, if it did.
pub(in crate::store) async fn write_opt_out_again(
    tx: &Transaction<'_>,
    theirs: &str,
) -> Result<Option<Refusal>, StoreError> {
    let statement = prepared(tx, WRITE_OPT_OUT, WRITING).await?;
    let row = tx
        .query_one(&statement, &[&theirs])
        .await
        .map_err(StoreError::at(WRITING))?;
    Refusal::read(&row, WRITING)
}

/// The same; what it refuses is in the outbox afterwards.
pub(in crate::store) async fn write_opt_out(
    tx: &Transaction<'_>,
    theirs: &str,
) -> Result<(), StoreError> {
    let Some(refusal) = write_opt_out_again(tx, theirs).await? else {
        return Ok(());
    };
    tracing::warn!(
        error = refusal.names,
        "the app's preferences refused an opt-out, which counts all the same; the write is kept in punctual.outbox and retried"
    );
    let write = serde_json::json!({ "theirs": theirs });
    let statement = prepared(tx, OUTBOX_REPLY, WRITING).await?;
    tx.execute(
        &statement,
        &[&write, &refusal.names, &refusal.words, &PAUSE_MS],
    )
    .await
    .map_err(StoreError::at(WRITING))?;
    Ok(())
}
