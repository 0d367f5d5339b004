//! Whether a session that does not answer is slow or mute.
//!
//! A connection whose other end is gone without a word (a firewall forgot it, a machine lost its
//! power) looks like one whose server is at work. To wait long for each costs messages their
//! moment, to leave each soon would make a slow server slower. So somebody else is asked: a
//! new session, what the server does for the old one. If it waits for us while we wait for it,
//! one does not hear the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::dsn::Dsn;
use super::timestamp::PgTimestamp;

const SELF: &str = sql!("sql/session_self.sql");
const STATE: &str = sql!("sql/session_state.sql");

/// A step that takes longer is looked after, then again after twice that time, and so on. By far
/// longer than statements take, and short for a message that waits.
pub(in crate::store) const LOOK_AFTER: Duration = Duration::from_secs(1);

/// A look that takes longer tells nothing: then the way to the server is dead for all.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// What is under way for longer does not come: a packet that is lost is sent again within this.
/// Less than [`LOOK_AFTER`], since when the server has been waiting if it heard nothing.
const UNDER_WAY_MAX: Duration = Duration::from_millis(500);

/// Sessions remembered. More than a pool has, with those that have just been left.
const REMEMBERED: usize = 64;

tokio::task_local! {
    /// The session that the step at hand waits for.
    static HELD: Held;
}

/// One session, as the server knows it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Session {
    process: i32,
    began: PgTimestamp,
}

/// What the server does for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum State {
    /// Its statement, or it has just come to its end.
    AtWork,
    /// Nothing: it waits for us, or has forgotten us.
    Mute,
    /// That cannot be found out.
    Unknown,
}

/// The session that a step uses, once it has one.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Held(Arc<Mutex<Option<Session>>>);

impl Held {
    /// Runs a step, noting which session it uses.
    pub(in crate::store) fn by<T>(&self, step: impl Future<Output = T>) -> impl Future<Output = T> {
        HELD.scope(self.clone(), step)
    }

    pub(in crate::store) fn session(&self) -> Option<Session> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after the sessions of a pool. Clones are one.
#[derive(Clone)]
pub struct Watch {
    dsn: Dsn,
    /// By when its client was made, which tells the clients of a pool apart.
    sessions: Arc<Mutex<VecDeque<(Instant, Session)>>>,
    /// One look at a time: a server in trouble is not to be asked by everybody at once.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Watch {
    /// Over sessions that lead there.
    pub fn over(dsn: Dsn) -> Self {
        Self {
            dsn,
            sessions: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// Remembers a session that was just made. One whose server does not say which process it is
    /// is not looked after.
    pub(in crate::store) async fn meet(
        &self,
        client: &Client,
        made: Instant,
    ) -> Result<(), tokio_postgres::Error> {
        let row = match client.query_opt(SELF, &[]).await {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(()),
            Err(error) if error.as_db_error().is_some() => return Ok(()),
            Err(error) => return Err(error),
        };
        let session = Session {
            process: row.try_get("pid")?,
            began: row.try_get("began")?,
        };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() == REMEMBERED {
            sessions.pop_front();
        }
        sessions.push_back((made, session));
        Ok(())
    }

    /// The step at hand waits for this one from here on.
    pub(in crate::store) fn hold(&self, client: &Object) {
        let made = Object::metrics(client).created;
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.iter().find(|(at, _)| *at == made);
        let session = session.map(|(_, session)| *session);
        drop(sessions);
        // Outside of a step nobody looks.
        let _ = HELD.try_with(|held| {
            *held.0.lock().unwrap_or_else(PoisonError::into_inner) = session;
        });
    }

    /// Asks on a session of its own.
    pub(in crate::store) async fn look(&self, session: Session) -> State {
        let look = async {
            let _turn = self.turn.lock().await;
            self.ask(session).await
        };
        let state = timeout(LOOK_WITHIN, look).await.ok().flatten();
        state.unwrap_or(State::Unknown)
    }

    /// `None`: there is no answer.
    async fn ask(&self, session: Session) -> Option<State> {
        let (client, connection) = self.dsn.connect().await.ok()?;
        // Driven here, so that it ends with the look.
        let (told, _) = tokio::join!(
            async move {
                let seconds = UNDER_WAY_MAX.as_secs_f64();
                let params: [(&(dyn ToSql + Sync), Type); 3] = [
                    (&session.process, Type::INT4),
                    (&session.began, Type::TIMESTAMPTZ),
                    (&seconds, Type::FLOAT8),
                ];
                let rows = client.query_typed(STATE, &params).await.ok()?;
                rows.first()?.try_get(0).ok()
            },
            connection
        );
        let told: Option<String> = told;
        Some(match told?.as_str() {
            "at work" => State::AtWork,
            "mute" => State::Mute,
            _ => State::Unknown,
        })
    }
}
