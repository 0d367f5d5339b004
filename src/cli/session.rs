//! A database session for a command.

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio_postgres::Client;

use crate::config::{self, Sources};
use crate::store::Dsn;

/// The database that the settings name.
pub(super) fn dsn(sources: &Sources) -> anyhow::Result<Dsn> {
    let url = config::database_url(sources)?;
    Dsn::parse(url.expose_secret()).context("DATABASE_URL is not valid")
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
