//! Removes a recipient from what is kept of messages.

use tokio_postgres::Client;

use crate::message::MessageId;
use crate::store::{Sql, StoreError};

static FORGET: &Sql = sql!("sql/forget.sql");

/// What was done about one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Messages whose recipient and text were blanked.
    pub erased: u32,
    /// Messages that may still be sent, or may have been.
    pub kept: Vec<MessageId>,
    /// Opt-outs of this recipient, which stay: by a hash if nothing was kept.
    pub opt_outs: u32,
    /// Rows of the app's own tables that were blanked.
    pub app_rows: u32,
}

/// Erases every message to this recipient that has ended, and, if asked to, what the app's `messages`, `conversations`
/// and `contacts` have of it. It reads whole tables.
pub async fn forget(
    client: &Client,
    recipient: &str,
    app_tables: bool,
) -> Result<Forgotten, StoreError> {
    const STEP: &str = "forgetting a recipient";
    let row = client
        .query_one(FORGET.text(), &[&recipient, &app_tables])
        .await;
    let row = row.map_err(StoreError::at(STEP))?;
    let read = || -> Result<_, tokio_postgres::Error> {
        let count = |column| row.try_get::<_, i32>(column).map(i32::unsigned_abs);
        let kept: Vec<uuid::Uuid> = row.try_get("kept")?;
        Ok(Forgotten {
            erased: count("erased")?,
            kept: kept.into_iter().map(MessageId).collect(),
            opt_outs: count("opt_outs")?,
            app_rows: count("app_rows")?,
        })
    };
    read().map_err(StoreError::unreadable(STEP))
}
