//! What prevents messages from being found or claimed, by the catalog and the statements.

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::migrate::Migrator;
use super::migrate::triggers::columns;
use crate::store::path::accepted::RECORD_ACCEPTED;
use crate::store::path::claims::{CLAIM, READ_ROWS};
use crate::store::path::outcomes::RECORD_SETTLED;
use crate::store::path::window::LOAD_WINDOW;
use crate::store::{Sql, Store, StoreError};

static FAULTS: &Sql = sql!("sql/path_faults.sql");

/// The statements that every message goes through.
static PATH: [(&str, &Sql); 5] = [
    ("loading the window", LOAD_WINDOW),
    ("reading rows", READ_ROWS),
    ("claiming messages", CLAIM),
    ("recording accepted messages", RECORD_ACCEPTED),
    ("recording other outcomes", RECORD_SETTLED),
];

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was checked.
    pub what: String,
    /// Messages are not sent, or sent late, because of it; otherwise it only may be the cause.
    pub is_certain: bool,
    /// What was found.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

/// Those that the catalog shows: for this session's role, or for every role of a daemon.
pub(super) async fn of_catalog(client: &Client, all_roles: bool) -> Result<Vec<Fault>, StoreError> {
    const STEP: &str = "looking for what prevents messages from being sent";
    let migrator = Migrator::embedded();
    let triggers = migrator.triggers();
    let (names, tables, optional) = columns(&triggers);
    let params: [&(dyn ToSql + Sync); 4] = [&names, &tables, &optional, &all_roles];
    let rows = client.query(FAULTS.text(), &params).await;
    let read = |row: &tokio_postgres::Row| {
        Ok(Fault {
            what: row.try_get("what")?,
            is_certain: row.try_get("is_certain")?,
            found: row.try_get("found")?,
            remedy: row.try_get("remedy")?,
        })
    };
    rows.map_err(StoreError::at(STEP))?
        .iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map_err(StoreError::unreadable(STEP))
}

/// Statements that the server does not accept: a column, a table or a function is missing or has
/// another name. Nothing is executed.
pub(super) async fn of_statements(client: &Client) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (step, sql) in PATH {
        if let Err(error) = client.prepare(sql.text()).await {
            faults.push(Fault {
                what: "statements".into(),
                is_certain: true,
                found: StoreError::at(step)(error).to_string(),
                remedy: "give it its old name and shape, or run `punctual migrate`".into(),
            });
        }
    }
    faults
}

impl Store {
    /// What the catalog shows to prevent messages from being found or claimed.
    pub async fn path_faults(&self) -> Result<Vec<Fault>, StoreError> {
        let client = self.client().await?;
        of_catalog(&client, false).await
    }
}
