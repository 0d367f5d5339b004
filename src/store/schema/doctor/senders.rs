//! The senders of the next messages.

use tokio_postgres::{Client, Row};

use crate::store::{Sql, StoreError};

static FROM: &Sql = sql!("../sql/doctor_from.sql");
static BUSIEST: &Sql = sql!("../sql/doctor_busiest.sql");

const STEP: &str = "reading senders";

/// The next messages that name the same sender and account. Needs the schema.
pub struct Named {
    /// The sender; `None`: none.
    pub sender: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// How many messages.
    pub messages: i64,
}

/// The senders and accounts that the next messages name. Needs the schema.
pub async fn senders(client: &Client) -> Result<Vec<Named>, StoreError> {
    let rows = client.query(FROM.text(), &[]).await;
    rows.map_err(StoreError::at(STEP))?
        .iter()
        .map(|row| {
            Ok(Named {
                sender: row.try_get("sender")?,
                account: row.try_get("account")?,
                messages: row.try_get("n")?,
            })
        })
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))
}

/// The busiest minute of a sender. Needs the schema.
pub struct Busiest {
    /// The sender.
    pub sender: String,
    /// Segments that are due in that minute.
    pub segments: i64,
    /// What its rate gives a segment, in seconds; `None`: it has no rate.
    pub segment_s: Option<f64>,
    /// How many segments may go at once by its rate.
    pub burst: Option<i32>,
}

/// Of the senders of the next messages, and of those that have a rate, the busiest minute. `default`: the sender of
/// messages that name none. Needs the schema.
pub async fn busiest(client: &Client, default: Option<&str>) -> Result<Vec<Busiest>, StoreError> {
    let rows = client.query(BUSIEST.text(), &[&default]).await;
    let one = |row: &Row| {
        Ok(Busiest {
            sender: row.try_get("sender")?,
            segments: row.try_get("segments")?,
            segment_s: row.try_get("segment_s")?,
            burst: row.try_get("burst")?,
        })
    };
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = rows.iter().map(one).collect::<Result<_, _>>();
    read.map_err(StoreError::unreadable(STEP))
}
