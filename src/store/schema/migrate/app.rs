//! The app's tables for sent messages: written as the settings describe them, and no longer.

use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::apply::{Part, apply};
use super::progress::Step;
use super::{File, MigrateError, Migrator, PROGRAM, sources};
use crate::store::Sql;
use crate::store::dsn::Dsn;
use crate::store::schema::app::AppTables;

static FEED: &Sql = sql!("../sql/feed_publication.sql");

impl Migrator<'_> {
    /// The same, with these tables for sent messages; `None`: those that it has.
    #[must_use]
    pub fn mapping(self, app: Option<AppTables>) -> Self {
        Self { app, ..self }
    }

    /// Ends that sent messages are written to tables of other names.
    pub async fn unmap(&self, dsn: &Dsn) -> Result<(), MigrateError> {
        self.in_session(dsn, async |client| {
            call(client, "select punctual.unmap_app()").await
        })
        .await
    }

    /// Whether the app's own counts of a user's day have what Punctual sends, from now on.
    pub async fn show_daily_counts(&self, dsn: &Dsn, wanted: bool) -> Result<(), MigrateError> {
        let sql = format!("select punctual.show_daily_counts({wanted})");
        self.in_session(dsn, async |client| call(client, &sql).await)
            .await
    }

    /// Makes the publication of the change feed.
    pub async fn make_feed(&self, dsn: &Dsn) -> Result<(), MigrateError> {
        self.in_session(dsn, async |client| call(client, FEED.text()).await)
            .await
    }

    /// Whether users are notified of what becomes of their messages, from now on.
    pub async fn notify_users(&self, dsn: &Dsn, wanted: bool) -> Result<(), MigrateError> {
        let sql = format!("select punctual.notify_users({wanted})");
        self.in_session(dsn, async |client| call(client, &sql).await)
            .await
    }
}

/// Has sent messages written to these tables, if they are not yet; returns what was done, in words.
pub(super) async fn map(
    client: &Client,
    app: Option<&AppTables>,
    progress: &(dyn Fn(Step<'_>) + Sync),
) -> Result<Vec<String>, MigrateError> {
    let mut done = Vec::new();
    let described = if let Some(app) = app
        && !is_mapped(client, app).await?
    {
        done.push("sent messages are written as [app] describes it".to_owned());
        app.described()
    } else {
        // The functions are of the tables and of the program that were there when they were made.
        match definition(client).await? {
            Some(known) => known.to_string(),
            None => return Ok(done),
        }
    };
    // Until its indexes are there, nothing is written to a table.
    let [describe, map] = mapping(&described);
    call(client, &describe).await?;
    let indexes = sql!("../sql/app_indexes.sql").text();
    sources::indexes(client, indexes, progress).await?;
    call(client, &map).await?;
    Ok(done)
}

/// The statements that do it: the indexes are built in between.
pub(super) fn mapping(described: &str) -> [String; 2] {
    ["describe_app", "map_app"].map(|function| {
        format!(
            "select punctual.{function}({}::jsonb)",
            sources::literal(described)
        )
    })
}

/// Whether they are written as it is described here.
pub(super) async fn check(client: &Client, app: Option<&AppTables>) -> Result<(), MigrateError> {
    match app {
        Some(app) if !is_mapped(client, app).await? => Err(MigrateError::NotMapped),
        _ => Ok(()),
    }
}

async fn is_mapped(client: &Client, app: &AppTables) -> Result<bool, MigrateError> {
    let known = definition(client).await?;
    Ok(known.is_some() && known == serde_json::from_str(&app.described()).ok())
}

/// How they are described in the database.
async fn definition(client: &Client) -> Result<Option<Value>, MigrateError> {
    let sql = sql!("../sql/app_definition.sql").text();
    let row = match client.query_opt(sql, &[]).await {
        Ok(row) => row,
        // Programs with migrations of their own have no such table.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => None,
        Err(error) => return Err(MigrateError::Record(error)),
    };
    let read = |row: tokio_postgres::Row| row.try_get(0).map_err(MigrateError::Record);
    row.map(read).transpose()
}

async fn call(client: &Client, sql: &str) -> Result<(), MigrateError> {
    let file = File { name: "[app]", sql };
    apply(client, &[Part::unrecorded(file)], PROGRAM).await
}
