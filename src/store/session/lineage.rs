//! Which history of which database the sessions are in.
//!
//! A database that was restored, or that another took over from, has the same name and the same
//! address, and may have forgotten what was sent. So every new session is asked where it is; one
//! that is somewhere else than those before is not used until somebody has said what follows.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_postgres::Client;

use crate::message::DatabaseId;
use crate::proof::recovery::LogPosition;
use crate::store::{StoreError, refusal};

const WHERE: &str = sql!("sql/database_id.sql");

/// See the module. Clones are one.
#[derive(Clone, Debug)]
pub struct Lineage {
    known: Arc<Mutex<Option<LogPosition>>>,
    moved: watch::Sender<Option<LogPosition>>,
}

impl Default for Lineage {
    fn default() -> Self {
        Self {
            known: Arc::default(),
            moved: watch::Sender::new(None),
        }
    }
}

impl Lineage {
    /// Where the sessions are; `None`: they do not tell.
    pub fn known(&self) -> Option<LogPosition> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in where a session is that was asked when `before` was known. Whether it is to be
    /// used.
    ///
    /// Sessions are asked side by side, and their answers overtake each other: an answer need
    /// not follow what another one told meanwhile, only what was known when it was asked.
    fn is_at(&self, place: LogPosition, before: Option<LogPosition>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let follows = known.is_none_or(|known| {
            let overtaken = known.database == place.database
                && before.is_none_or(|before| place.follows(&before));
            place.follows(&known) || overtaken
        });
        if !follows {
            self.moved.send_replace(Some(place));
            return false;
        }
        let furthest = known.map_or(place.reached, |known| known.reached.max(place.reached));
        *known = Some(LogPosition {
            reached: furthest,
            ..place
        });
        true
    }

    /// From here on this is the place.
    pub fn accept(&self, place: LogPosition) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        self.moved.send_replace(None);
    }

    /// Waits until a session is somewhere else.
    pub async fn moved(&self) -> LogPosition {
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
    pub(in crate::store) async fn check(
        &self,
        client: &Client,
    ) -> Result<bool, tokio_postgres::Error> {
        let before = self.known();
        match ask(client).await? {
            Some(place) => Ok(self.is_at(place, before)),
            None => Ok(true),
        }
    }
}

/// `None`: it does not tell this role, or is of a kind that has no such thing.
async fn ask(client: &Client) -> Result<Option<LogPosition>, tokio_postgres::Error> {
    let row = match client.query_one(WHERE, &[]).await {
        Ok(row) => row,
        Err(error) if error.as_db_error().is_some() => {
            tracing::warn!(
                reason = refusal::of(&error),
                "the database does not show its identity: a restore cannot be detected, and the \
                 journal cannot prove that a request never began"
            );
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(Some(LogPosition {
        database: DatabaseId {
            system: row.try_get("system")?,
            timeline: row.try_get::<_, i32>("timeline")?.cast_unsigned(),
            database: row.try_get("database")?,
        },
        reached: row.try_get("reached")?,
    }))
}

impl crate::store::Store {
    /// Takes in how far the database's log has come by now.
    pub async fn follow(&self, history: &Lineage) -> Result<(), StoreError> {
        let client = self.client().await?;
        history
            .check(&client)
            .await
            .map(drop)
            .map_err(StoreError::at("asking which database this is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(timeline: u32, reached: i64) -> LogPosition {
        LogPosition {
            database: DatabaseId {
                system: 7,
                timeline,
                database: 1,
            },
            reached,
        }
    }

    /// Where somebody is, having been asked when this was known, after these were told.
    fn check(
        told: &[LogPosition],
        before: Option<LogPosition>,
        place: LogPosition,
        used: bool,
        known: LogPosition,
    ) {
        let history = Lineage::default();
        for place in told {
            assert!(history.is_at(*place, history.known()));
        }
        assert_eq!(
            history.is_at(place, before),
            used,
            "{told:?} {before:?} {place:?}"
        );
        assert_eq!(history.known(), Some(known));
        assert_eq!(history.moved.borrow().is_some(), !used);
    }

    #[test]
    fn an_answer_follows_what_was_known_when_it_was_asked() {
        let (first, second, third) = (at(1, 100), at(1, 200), at(1, 300));
        check(&[], None, first, true, first);
        check(&[first], Some(first), second, true, second);
        // Asked before the second answer came, told after it.
        check(&[first, third], Some(first), second, true, third);
        check(&[third], None, second, true, third);
        // The log has gone back.
        check(&[third], Some(third), second, false, third);
        check(&[first, third], Some(third), first, false, third);
        // Another history, whatever the log says.
        check(&[first], Some(first), at(2, 200), false, first);
        check(&[first], None, at(2, 200), false, first);
    }

    #[test]
    fn what_was_accepted_is_followed_though_asked_before() {
        let history = Lineage::default();
        assert!(history.is_at(at(1, 300), None));
        let (before, now) = (history.known(), at(2, 200));
        assert!(!history.is_at(now, before));
        history.accept(now);
        assert!(history.is_at(at(2, 250), before));
        assert!(history.moved.borrow().is_none());
    }
}
