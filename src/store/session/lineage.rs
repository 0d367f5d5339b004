//! Which history of which database the sessions are in.
//!
//! A database that was restored, or a standby that took over, has the name and often the address of the one
//! before, and may lack what was sent. So each new session is checked before it is used: it must have what
//! this instance has committed ([`Witness`]), and be the server that the others are on. One that lacks it has
//! another history. One that only has another name may lack what other instances committed. Neither is used
//! before the daemon has put what is due in quarantine.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_postgres::Client;

use crate::message::{AttemptToken, DatabaseId, InstanceId, Moment, Outcome};
use crate::proof::history::{Expected, Mark, Memory, Witness};
use crate::proof::recovery::{Begun, LogPosition};
use crate::store::refusal;
use crate::store::session::history::{Asked, is_another_history};

const WHERE: &str = sql!("sql/database_id.sql");
const HISTORY: &str = sql!("sql/session_history.sql");

/// Instances that are remembered: a few restarts a day, for months.
const HEARD_OF_MAX: usize = 1_024;

/// What was found of a database that is not the one it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where it is, if it tells.
    pub to: Option<LogPosition>,
    /// It lacks what this instance has committed. Else it is only another server.
    pub lost: bool,
}

/// The quarantine, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Pending messages that are due before this are not claimed.
    pub before: Moment,
    /// Who has not said yet that everything it sent is recorded.
    pub unaccounted: Vec<InstanceId>,
    /// It is over.
    pub has_ended: bool,
}

/// Whether a session may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Session {
    Usable,
    /// Of another history, or of another server.
    Another,
    /// Nothing can be claimed there.
    Standby,
}

#[derive(Debug, Default)]
struct State {
    place: Option<LogPosition>,
    witness: Witness,
    memory: Memory,
    /// The instances that ran when this was last read.
    members: Vec<InstanceId>,
    /// All that have run since this one began, as far as they are remembered.
    heard_of: BTreeSet<InstanceId>,
}

/// See the module. Clones are one.
#[derive(Clone, Debug)]
pub struct Lineage {
    state: Arc<Mutex<State>>,
    moved: watch::Sender<Option<Moved>>,
    quarantine: watch::Sender<Option<Quarantine>>,
}

impl Default for Lineage {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            moved: watch::Sender::new(None),
            quarantine: watch::Sender::new(None),
        }
    }
}

impl Lineage {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two statements: a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the sessions are; `None`: they do not tell.
    pub fn known(&self) -> Option<LogPosition> {
        self.state().place
    }

    /// What a statement asks for that begins now.
    pub(in crate::store) fn asks(&self) -> (Mark, Expected) {
        let state = self.state();
        (state.witness.mark(), state.witness.expected())
    }

    /// Changes what is known of this instance's commits.
    pub(in crate::store) fn witness<T>(&self, change: impl FnOnce(&mut Witness) -> T) -> T {
        change(&mut self.state().witness)
    }

    pub(in crate::store) fn set_members(&self, members: Vec<InstanceId>) {
        let mut state = self.state();
        for member in &members {
            if state.heard_of.len() < HEARD_OF_MAX {
                state.heard_of.insert(*member);
            }
        }
        state.members = members;
    }

    /// The instances that ran when this was last read.
    pub fn members(&self) -> Vec<InstanceId> {
        self.state().members.clone()
    }

    /// All instances that have run since this one began. Whether the database still knows them tells when.
    pub(in crate::store) fn heard_of(&self) -> Vec<InstanceId> {
        self.state().heard_of.iter().copied().collect()
    }

    /// A request is about to be made.
    pub fn begun(&self, begun: Begun) {
        self.state().memory.begin(begun);
    }

    /// It ended.
    pub fn ended(&self, token: AttemptToken, outcome: &Outcome, at: Moment) {
        self.state().memory.end(token, outcome, at.as_micros());
    }

    /// What is remembered of this instance's requests.
    pub fn memory<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(&self.state().memory)
    }

    /// The quarantine as it was last read from the database.
    pub fn quarantine(&self) -> watch::Receiver<Option<Quarantine>> {
        self.quarantine.subscribe()
    }

    /// What is due before this is in quarantine.
    pub fn quarantined_before(&self) -> Option<Moment> {
        let quarantine = self.quarantine.borrow();
        let open = quarantine
            .as_ref()
            .filter(|quarantine| !quarantine.has_ended);
        open.map(|quarantine| quarantine.before)
    }

    pub(in crate::store) fn saw_quarantine(&self, quarantine: Option<Quarantine>) {
        self.quarantine.send_if_modified(|known| {
            let is_news = *known != quarantine;
            *known = quarantine;
            is_news
        });
    }

    /// A statement was refused: the database lacks what this instance has committed.
    pub(in crate::store) fn lost(&self, mark: Mark) {
        let state = self.state();
        let (to, is_news) = (state.place, state.witness.is_of_this(mark));
        drop(state);
        if is_news {
            self.moved.send_replace(Some(Moved { to, lost: true }));
        }
    }

    /// Takes in where a session is that was asked when `before` was known. Whether it is to be
    /// used.
    ///
    /// Sessions are asked side by side, and their responses overtake each other: a response need
    /// not follow what another one told meanwhile, only what was known when its query was made.
    fn is_at(&self, place: LogPosition, before: Option<LogPosition>) -> bool {
        let mut state = self.state();
        let known = state.place;
        let follows = known.is_none_or(|known| {
            let overtaken = known.database == place.database
                && before.is_none_or(|before| place.follows(&before));
            place.follows(&known) || overtaken
        });
        if !follows {
            drop(state);
            let (to, lost) = (Some(place), false);
            self.moved.send_replace(Some(Moved { to, lost }));
            return false;
        }
        let furthest = known.map_or(place.reached, |known| known.reached.max(place.reached));
        state.place = Some(LogPosition {
            reached: furthest,
            ..place
        });
        true
    }

    /// From here on this is the place, and its history is ours.
    pub fn accept(&self, moved: Moved) {
        let mut state = self.state();
        state.place = moved.to;
        state.witness.accept();
        drop(state);
        self.moved.send_replace(None);
    }

    /// Waits until the database is found to be another one, or of another history.
    pub async fn moved(&self) -> Moved {
        let mut moved = self.moved.subscribe();
        loop {
            if let Some(moved) = *moved.borrow_and_update() {
                return moved;
            }
            // The sender is this one: it cannot be gone.
            let _ = moved.changed().await;
        }
    }

    /// Asks a session of `instance` where it is.
    pub(in crate::store) async fn check(
        &self,
        client: &Client,
        instance: InstanceId,
    ) -> Result<Session, tokio_postgres::Error> {
        let before = self.known();
        match self.ask_history(client, instance).await? {
            Session::Usable => {}
            other => return Ok(other),
        }
        Ok(match ask(client).await? {
            Some(place) if !self.is_at(place, before) => Session::Another,
            _ => Session::Usable,
        })
    }

    async fn ask_history(
        &self,
        client: &Client,
        instance: InstanceId,
    ) -> Result<Session, tokio_postgres::Error> {
        let (mark, expected) = self.asks();
        let asked = Asked::of(&expected);
        let asked = client
            .query_opt(
                HISTORY,
                &[&instance.0, &asked.beats, &asked.claimed, &asked.recorded],
            )
            .await;
        match asked {
            Ok(row) => {
                let is_standby = row.map(|row| row.try_get("is_standby")).transpose()?;
                Ok(if is_standby == Some(true) {
                    Session::Standby
                } else {
                    Session::Usable
                })
            }
            Err(error) if is_another_history(&error) => {
                self.lost(mark);
                Ok(Session::Another)
            }
            Err(error) => Err(error),
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
                "the database does not show its identity: the journal cannot prove that a request \
                 never began"
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

#[cfg(test)]
mod tests;
