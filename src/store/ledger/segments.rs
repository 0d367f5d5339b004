//! Which attempt a modem's status report is about, if the process that sent it has ended, and which segments of a
//! message have arrived.

use crate::message::{AttemptToken, MessageId, Moment, ProviderSid};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static OWNERS: &Sql = sql!("sql/segment_owners.sql");
static KEEP: &Sql = sql!("sql/segment_keep.sql");
static KEPT: &Sql = sql!("sql/segments_kept.sql");

const STEP: &str = "recording what a modem reports";

/// How many of a SIM's attempts are looked at, from the newest.
const LOOKED_AT: i64 = 4096;

/// An attempt with the number that a report has.
pub struct SegmentOwner {
    /// The message.
    pub message: MessageId,
    /// The attempt.
    pub token: AttemptToken,
    /// The provider's id of it.
    pub sid: ProviderSid,
    /// When it was claimed.
    pub claimed_at: Moment,
    /// Whether the end of this segment is not reported.
    pub is_open: bool,
    /// The recipient, as the row has it; `None`: the row is deleted.
    pub to: Option<String>,
}

impl Store {
    /// The attempts of this SIM that have a segment of this number, the newest first.
    pub async fn segment_owners(
        &self,
        sim: &str,
        reference: u8,
    ) -> Result<Vec<SegmentOwner>, StoreError> {
        let client = self.client().await?;
        let statement = prepared(&client, OWNERS, STEP).await?;
        let rows = client
            .query(&statement, &[&sim, &reference.to_string(), &LOOKED_AT])
            .await
            .map_err(StoreError::at(STEP))?;
        let read = |row: &tokio_postgres::Row| {
            Ok(SegmentOwner {
                message: MessageId(row.try_get("message_id")?),
                token: AttemptToken(row.try_get("token")?),
                sid: ProviderSid(row.try_get("provider_sid")?),
                claimed_at: row.try_get::<_, PgTimestamp>("claimed_at")?.0,
                is_open: row.try_get("is_open")?,
                to: row.try_get("to_number")?,
            })
        };
        let owners = rows.iter().map(read).collect::<Result<_, _>>();
        owners.map_err(StoreError::unreadable(STEP))
    }

    /// Keeps that a segment has arrived, and returns how many of its message have. A repetition changes nothing.
    pub async fn segment_arrived(
        &self,
        (message, token): (MessageId, AttemptToken),
        sid: &ProviderSid,
        reference: u8,
    ) -> Result<usize, StoreError> {
        let client = self.client().await?;
        let keep = prepared(&client, KEEP, STEP).await?;
        let reference = reference.to_string();
        client
            .execute(&keep, &[&message.0, &token.0, &sid.0, &reference])
            .await
            .map_err(StoreError::at(STEP))?;
        let kept = prepared(&client, KEPT, STEP).await?;
        let row = client
            .query_one(&kept, &[&token.0, &sid.0])
            .await
            .map_err(StoreError::at(STEP))?;
        let many: i64 = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        Ok(usize::try_from(many).unwrap_or_default())
    }
}
