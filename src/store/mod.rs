//! The only SQL, and the only way to the database: connections, the schema and the statements
//! a message goes through, one a file in `sql/`.
//!
//! Every statement that writes says what state it expects to find and skips what somebody else
//! holds, so the store waits for nobody's row and nobody's deadlock has it as a partner.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{GenericClient, Object, Pool};
use tokio_postgres::Statement;

use crate::message::{InstanceId, Sender};

mod app;
mod at;
mod claims;
pub mod connect;
pub mod doctor;
pub mod dsn;
mod error;
mod files;
mod instances;
pub mod migrate;
mod outbox;
mod outcomes;
pub mod receipts;
pub mod story;
mod suppressions;
mod tls;
pub mod user;
mod window;

pub use claims::Claimed;
pub use connect::{ConnectError, Connection};
pub use dsn::{Dsn, DsnError};
pub use error::StoreError;
pub use migrate::{MigrateError, Migrator};
pub use outcomes::Recorded;

/// The database as the daemon uses it.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    instance: InstanceId,
    default_sender: Option<Arc<str>>,
}

impl Store {
    /// A store for one run of one daemon.
    pub const fn new(pool: Pool, instance: InstanceId) -> Self {
        Self {
            pool,
            instance,
            default_sender: None,
        }
    }

    /// The same, knowing who sends where a row names nobody: opt-outs are from a sender.
    #[must_use]
    pub fn with_default_sender(self, sender: Option<&Sender>) -> Self {
        Self {
            default_sender: sender.map(|s| s.as_str().into()),
            ..self
        }
    }

    /// Which run this is.
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    async fn client(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(StoreError::Connect)
    }
}

/// Prepares a statement once for each connection.
async fn prepared(
    client: &impl GenericClient,
    sql: &'static str,
    step: &'static str,
) -> Result<Statement, StoreError> {
    client
        .prepare_cached(sql)
        .await
        .map_err(StoreError::at(step))
}

fn micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
