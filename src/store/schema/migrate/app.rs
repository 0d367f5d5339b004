//! The app's tables for sent messages: written as the settings describe them, and no longer.

use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::apply::{Part, apply};
use super::progress::Step;
use super::{File, MigrateError, Migrator, PROGRAM, sources};
use crate::store::dsn::Dsn;
use crate::store::schema::app::AppTables;

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
    if let Some(app) = app
        && !is_mapped(client, app).await?
    {
        call(client, &mapping(app)).await?;
        done.push("sent messages are written as [app] describes it".to_owned());
    } else {
        // The functions are of the tables and of the program that were there when they were made.
        match definition(client).await? {
            Some(known) => call(client, &renewed(&known)).await?,
            None => return Ok(done),
        }
    }
    let indexes = sql!("../sql/app_indexes.sql").text();
    sources::indexes(client, indexes, progress).await?;
    Ok(done)
}

/// The statement that does it.
pub(super) fn mapping(app: &AppTables) -> String {
    format!(
        "select punctual.map_app({}::jsonb)",
        sources::literal(&app.described())
    )
}

/// The statement that makes the functions of this description again.
fn renewed(known: &Value) -> String {
    format!(
        "select punctual.map_app({}::jsonb)",
        sources::literal(&known.to_string())
    )
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
