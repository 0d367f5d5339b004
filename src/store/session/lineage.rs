//! Which history of which database the sessions are in.
//!
//! A database that was restored, or a standby that took over, has the same name and often the same address as
//! the one before, and may lack what was sent. So each new session is checked before it is used: its database
//! must have what this instance has committed ([`Witness`]), and be the server that the others are on. One that
//! lacks a commit has another history. One that is only another server may lack what other instances committed.
//! Neither is used before the daemon has put what is due in quarantine.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_postgres::Client;

use crate::message::{AttemptToken, DatabaseId, InstanceId, Moment, Outcome};
use crate::proof::history::{Expected, Mark, Memory, Witness};
use crate::proof::recovery::{Begun, LogPosition};
use crate::store::session::history::{HistoryCheck, is_another_history};
use crate::store::{Sql, refusal};

static WHERE: &Sql = sql!("sql/database_id.sql");
static HISTORY: &Sql = sql!("sql/session_history.sql");

/// Instances that are remembered: a few restarts a day, for months. The latest, because those before them are in any
/// backup that is restored.
const HEARD_OF_MAX: usize = 1_024;

/// What was found of a database that differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its position, if the server reports it.
    pub to: Option<LogPosition>,
    /// It lacks what this instance has committed. Otherwise it is only another server.
    pub lost: bool,
}

impl Moved {
    /// Whether what was found later is a part of this.
    fn explains(&self, later: &Self) -> bool {
        let follows = match (self.to, later.to) {
            (Some(to), Some(later)) => later.follows(&to),
            (to, later) => to == later,
        };
        follows && (self.lost || !later.lost)
    }
}

/// The quarantine, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Pending messages that are due before this are not claimed.
    pub before: Moment,
    /// The instances that have not recorded yet that everything they sent is in the ledger.
    pub unaccounted: Vec<InstanceId>,
    /// It is over.
    pub has_ended: bool,
}

/// Whether a session may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Session {
    Usable,
    /// It has another history, or is another server.
    Another,
    /// Nothing can be claimed there.
    Standby,
}

#[derive(Debug, Default)]
struct State {
    position: Option<LogPosition>,
    witness: Witness,
    memory: Memory,
    /// The instances that ran when this was last read.
    members: Vec<InstanceId>,
    /// All that have run since this one began, as far as they are remembered.
    heard_of: BTreeSet<InstanceId>,
}

/// The history that the sessions are in. Clones share their state.
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
        // The state is consistent between any two statements, so a panic elsewhere does not spoil
        // it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The position of the sessions; `None`: the server does not report it.
    pub fn known(&self) -> Option<LogPosition> {
        self.state().position
    }

    /// What a statement checks that begins now.
    pub(in crate::store) fn expected(&self) -> (Mark, Expected) {
        let state = self.state();
        (state.witness.mark(), state.witness.expected())
    }

    /// Changes what is known of this instance's commits.
    pub(in crate::store) fn witness<T>(&self, change: impl FnOnce(&mut Witness) -> T) -> T {
        change(&mut self.state().witness)
    }

    pub(in crate::store) fn set_members(&self, members: Vec<InstanceId>) {
        let mut state = self.state();
        state.heard_of.extend(&members);
        // Ids are in the order of their time.
        while state.heard_of.len() > HEARD_OF_MAX {
            state.heard_of.pop_first();
        }
        state.members = members;
    }

    /// The instances that ran when this was last read.
    pub fn members(&self) -> Vec<InstanceId> {
        self.state().members.clone()
    }

    /// All instances that have run since this one began. Whether the database still has them shows how much it
    /// lost.
    pub(in crate::store) fn heard_of(&self) -> Vec<InstanceId> {
        self.state().heard_of.iter().copied().collect()
    }

    /// A request is about to be made.
    pub fn begun(&self, begun: Begun) {
        self.state().memory.begin(begun);
    }

    /// A request ended.
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
        let (to, is_news) = (state.position, state.witness.is_of_this(mark));
        drop(state);
        if is_news {
            self.moved.send_replace(Some(Moved { to, lost: true }));
        }
    }

    /// Records the position of a session that was queried when `before` was known. Returns whether
    /// the session may be used.
    ///
    /// Sessions are queried concurrently, and their responses may arrive in another order: a
    /// response must be compared with what was known when its query was made, not with what another
    /// response has reported meanwhile.
    fn is_at(&self, position: LogPosition, before: Option<LogPosition>) -> bool {
        let mut state = self.state();
        let known = state.position;
        let follows = known.is_none_or(|known| {
            let overtaken = known.database == position.database
                && before.is_none_or(|before| position.follows(&before));
            position.follows(&known) || overtaken
        });
        if !follows {
            drop(state);
            let (to, lost) = (Some(position), false);
            self.moved.send_replace(Some(Moved { to, lost }));
            return false;
        }
        let furthest = known.map_or(position.reached, |known| {
            known.reached.max(position.reached)
        });
        state.position = Some(LogPosition {
            reached: furthest,
            ..position
        });
        true
    }

    /// From here on this is the position, and its history is this instance's. What was found since `moved` is
    /// kept, unless `moved` explains it: another session of the same server.
    pub fn accept(&self, moved: Moved) {
        let mut state = self.state();
        state.position = moved.to;
        state.witness.accept();
        drop(state);
        self.moved.send_if_modified(|latest| {
            let known = *latest;
            *latest = latest.filter(|newer| !moved.explains(newer));
            *latest != known
        });
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

    /// Queries the position of a session of `instance`.
    pub(in crate::store) async fn check(
        &self,
        client: &Client,
        instance: InstanceId,
    ) -> Result<Session, tokio_postgres::Error> {
        let before = self.known();
        match self.check_history(client, instance).await? {
            Session::Usable => {}
            other => return Ok(other),
        }
        Ok(match query_position(client).await? {
            Some(position) if !self.is_at(position, before) => Session::Another,
            _ => Session::Usable,
        })
    }

    async fn check_history(
        &self,
        client: &Client,
        instance: InstanceId,
    ) -> Result<Session, tokio_postgres::Error> {
        let (mark, expected) = self.expected();
        let expected = HistoryCheck::of(&expected);
        let response = client
            .query_opt(
                HISTORY.text(),
                &[
                    &instance.0,
                    &expected.beats,
                    &expected.claimed,
                    &expected.recorded,
                ],
            )
            .await;
        match response {
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

/// `None`: the server does not report it to this role, or is of a kind that has none.
async fn query_position(client: &Client) -> Result<Option<LogPosition>, tokio_postgres::Error> {
    let row = match client.query_one(WHERE.text(), &[]).await {
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
