//! Which history of which database the sessions are in.
//!
//! A database that was restored, or that another took over from, has the same name and the same
//! address, and may have forgotten what was sent. So every new session is asked where it is; one
//! that is somewhere else than those before is not used until somebody has said what follows.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_postgres::Client;

use super::StoreError;
use crate::message::DatabaseId;

const WHERE: &str = include_str!("sql/database_id.sql");

/// A database, and how far its write-ahead log is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which database, on which timeline.
    pub database: DatabaseId,
    /// Bytes of log. It never goes back, not in a crash either.
    pub reached: i64,
}

impl Place {
    /// Whether everything that stood there stands here too.
    pub fn follows(&self, earlier: &Self) -> bool {
        self.database == earlier.database && self.reached >= earlier.reached
    }
}

/// See the module. Clones are one.
#[derive(Clone, Debug)]
pub struct History {
    known: Arc<Mutex<Option<Place>>>,
    moved: watch::Sender<Option<Place>>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            known: Arc::default(),
            moved: watch::Sender::new(None),
        }
    }
}

impl History {
    /// Where the sessions are; `None`: they do not tell.
    pub fn known(&self) -> Option<Place> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in where a session is. Whether it is to be used.
    fn is_at(&self, place: Place) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|known| !place.follows(&known)) {
            self.moved.send_replace(Some(place));
            return false;
        }
        *known = Some(place);
        true
    }

    /// From here on this is the place.
    pub fn accept(&self, place: Place) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        self.moved.send_replace(None);
    }

    /// Waits until a session is somewhere else.
    pub async fn moved(&self) -> Place {
        let mut moved = self.moved.subscribe();
        loop {
            if let Some(place) = *moved.borrow_and_update() {
                return place;
            }
            // The sender is this one: it cannot be gone.
            let _ = moved.changed().await;
        }
    }

    /// Asks a session where it is.
    pub(super) async fn check(&self, client: &Client) -> Result<bool, tokio_postgres::Error> {
        match ask(client).await? {
            Some(place) => Ok(self.is_at(place)),
            None => Ok(true),
        }
    }
}

/// `None`: it does not tell this role, or is of a kind that has no such thing.
async fn ask(client: &Client) -> Result<Option<Place>, tokio_postgres::Error> {
    let row = match client.query_one(WHERE, &[]).await {
        Ok(row) => row,
        Err(error) if error.as_db_error().is_some() => {
            tracing::warn!(
                reason = error
                    .as_db_error()
                    .map(tokio_postgres::error::DbError::message),
                "the database does not tell which it is: a restore cannot be noticed, and the \
                 journal may not say what never began"
            );
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(Some(Place {
        database: DatabaseId {
            system: row.try_get("system")?,
            timeline: row.try_get::<_, i32>("timeline")?.cast_unsigned(),
            database: row.try_get("database")?,
        },
        reached: row.try_get("reached")?,
    }))
}

impl super::Store {
    /// Takes in how far the database's log has come by now.
    pub async fn follow(&self, history: &History) -> Result<(), StoreError> {
        let client = self.client().await?;
        history
            .check(&client)
            .await
            .map(drop)
            .map_err(StoreError::at("asking which database this is"))
    }
}
