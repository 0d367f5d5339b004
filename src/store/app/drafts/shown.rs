//! The draft of one message, for people.

use tokio_postgres::Row;

use crate::message::{MessageId, Moment};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static OF: &Sql = sql!("../sql/draft_of.sql");
static WANT: &Sql = sql!("../sql/draft_want.sql");

/// What is known of the draft of a message.
pub struct DraftShown {
    /// What the model is given, as JSON.
    pub facts: String,
    /// When the message is due.
    pub due: Moment,
    /// Its status.
    pub status: String,
    /// How its draft ended, if it has one that did.
    pub outcome: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl Store {
    /// What is known of the draft of a message; `None`: there is no such message.
    pub async fn draft_of(&self, message: MessageId) -> Result<Option<DraftShown>, StoreError> {
        const STEP: &str = "reading a draft";
        let client = self.client().await?;
        let of = prepared(&client, OF, STEP).await?;
        let row = client.query_opt(&of, &[&message.0]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let shown = |row: Row| -> Result<DraftShown, tokio_postgres::Error> {
            Ok(DraftShown {
                facts: row.try_get("facts")?,
                due: row.try_get::<_, PgTimestamp>("due")?.0,
                status: row.try_get("status")?,
                outcome: row.try_get("outcome")?,
                reason: row.try_get("reason")?,
            })
        };
        row.map(shown)
            .transpose()
            .map_err(StoreError::unreadable(STEP))
    }

    /// Asks for the text of a message, as its maker would. `false`: it gets none.
    pub async fn want_text(&self, message: MessageId) -> Result<bool, StoreError> {
        const STEP: &str = "asking for a text";
        let client = self.client().await?;
        let want = prepared(&client, WANT, STEP).await?;
        let row = client.query_one(&want, &[&message.0]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        row.try_get(0).map_err(StoreError::unreadable(STEP))
    }
}
