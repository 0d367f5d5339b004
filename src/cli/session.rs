//! A database session for a command.

use anyhow::Context;
use tokio_postgres::Client;

use crate::config::{self, Config, Sources};
use crate::message::Sender;
use crate::store::Dsn;

/// The database that the settings name.
pub(super) fn dsn(sources: &Sources) -> anyhow::Result<Dsn> {
    config::database(sources)?
        .dsn()
        .context("DATABASE_URL is not valid")
}

/// The sender of rows that name none. Without valid settings there is none.
pub(super) fn default_sender(sources: &Sources) -> Option<Sender> {
    Config::load(sources).ok()?.default_sender
}

/// Does `work` within a session. If the connection is lost, the error is its cause.
pub(super) async fn with<T>(
    dsn: &Dsn,
    work: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    match dsn.with_session(work).await? {
        (Err(_), Some(lost)) => Err(lost.into()),
        (done, _) => done,
    }
}
