//! The progress of a run, for a person who waits for it.

use tokio_postgres::Client;

use crate::store::StoreError;

/// The step that a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A file.
    File {
        /// Its name.
        name: &'a str,
        /// Which one it is, from 1.
        number: usize,
        /// The number of files.
        of: usize,
    },
    /// An index, built beside the app's writes.
    Index {
        /// Its name.
        name: &'a str,
    },
}

/// The progress of the index that is being built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The phase, as Postgres names it.
    pub phase: String,
    /// Blocks of the table that have been read.
    pub done: u64,
    /// The number of blocks; 0 while it is unknown.
    pub of: u64,
}

/// Reads it over a session that is not the run's own; `None`: no index is being built.
pub async fn built(client: &Client) -> Result<Option<Built>, StoreError> {
    const STEP: &str = "reading the progress of an index";
    let sql = sql!("../sql/migrate_progress.sql").text();
    let row = client.query_opt(sql, &[]).await;
    let Some(row) = row.map_err(StoreError::at(STEP))? else {
        return Ok(None);
    };
    let read = || -> Result<Built, tokio_postgres::Error> {
        let (done, of): (i64, i64) = (row.try_get("blocks_done")?, row.try_get("blocks_total")?);
        Ok(Built {
            phase: row.try_get("phase")?,
            done: u64::try_from(done).unwrap_or(0),
            of: u64::try_from(of).unwrap_or(0),
        })
    };
    read().map(Some).map_err(StoreError::unreadable(STEP))
}
