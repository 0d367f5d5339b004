//! Reads where tracking links lead, and counts clicks.
//!
//! With connections of its own: however many people click at once, claims and records have theirs.

use deadpool_postgres::Pool;
use uuid::Uuid;

use super::held::Held;
use crate::store::{Dsn, Sql, StoreError, prepared};

static CLICK: &Sql = sql!("sql/link_click.sql");

/// Connections at once. Each click is one row by its key.
const CONNECTIONS: usize = 2;

/// What is known of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// There is no such link.
    Unknown,
    /// It has expired.
    Over,
    /// It leads there.
    To {
        /// The id of its row.
        id: Uuid,
        /// As the row has it.
        destination: String,
    },
}

/// The table, over connections that are made when they are first needed. Clones share them.
#[derive(Clone)]
pub struct TrackingLinks {
    pool: Pool,
}

impl TrackingLinks {
    /// Of this database.
    pub fn of(dsn: &Dsn) -> Self {
        Self {
            pool: dsn.pool(CONNECTIONS),
        }
    }

    /// Where the link with this code leads. If this `counts`, it is noted as a click.
    pub async fn follow(&self, code: &str, counts: bool) -> Result<Link, StoreError> {
        const STEP: &str = "following a tracking link";
        let client = Held::new(self.pool.get().await.map_err(StoreError::Connect)?);
        let statement = prepared(client.get(), CLICK, STEP).await?;
        let row = client.get().query_opt(&statement, &[&code, &counts]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        client.release();
        let Some(row) = row else {
            return Ok(Link::Unknown);
        };
        let read = || -> Result<Link, tokio_postgres::Error> {
            Ok(if row.try_get(2)? {
                Link::Over
            } else {
                Link::To {
                    id: row.try_get(0)?,
                    destination: row.try_get(1)?,
                }
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }
}
