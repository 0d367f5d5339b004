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

/// Does `work` within a session; the connection is driven beside it and closed after it.
pub(super) async fn with<T>(
    dsn: &Dsn,
    work: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (client, connection) = dsn.connect().await?;
    let (done, ended) = tokio::join!(
        async move {
            let done = work(&client).await;
            drop(client);
            done
        },
        connection
    );
    match (done, ended) {
        // The work only saw its connection close; the connection has the cause.
        (Err(_), Err(lost)) => Err(dsn.explain(lost).into()),
        (done, _) => done,
    }
}
