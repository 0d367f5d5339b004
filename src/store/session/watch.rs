//! Distinguishes a slow session from a half-open one.
//!
//! A connection whose other end is gone without notice (a firewall dropped its state, a machine
//! lost power) looks like one whose server is busy. Waiting long for each would make messages late;
//! closing each soon would make a slow server slower. So a new session queries what the server does
//! for the old one. If the server waits for the client while the client waits for the server, one
//! does not receive the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::dsn::Dsn;
use super::timestamp::PgTimestamp;
use crate::store::Sql;

static SELF: &Sql = sql!("sql/session_self.sql");
static STATE: &Sql = sql!("sql/session_state.sql");

/// A step that takes longer is checked, then again after twice that time, and so on. Far longer
/// than statements take, and short for a message that waits.
pub(in crate::store) const CHECK_AFTER: Duration = Duration::from_secs(1);

/// A check that takes longer has no result: then the network path to the server is dead for all.
const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// What has been in transit for longer does not arrive: a lost packet is retransmitted within this.
/// Less than [`CHECK_AFTER`], which is how long the server has been waiting if it received nothing.
const UNDER_WAY_MAX: Duration = Duration::from_millis(500);

/// Sessions remembered. More than a pool has, including those that were just closed.
const REMEMBERED: usize = 64;

tokio::task_local! {
    /// The session that the current step waits for.
    static CURRENT: CurrentSession;
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
    /// It runs the statement, or has just ended it.
    AtWork,
    /// Nothing: it waits for the client, or does not have the session any more.
    Mute,
    /// Unknown.
    Unknown,
}

/// The session that a step uses, once it has one.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct CurrentSession(Arc<Mutex<Option<Session>>>);

impl CurrentSession {
    /// Runs a step and records which session it uses.
    pub(in crate::store) fn by<T>(&self, step: impl Future<Output = T>) -> impl Future<Output = T> {
        CURRENT.scope(self.clone(), step)
    }

    pub(in crate::store) fn session(&self) -> Option<Session> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks the sessions of a pool. Clones share their state.
#[derive(Clone)]
pub struct Watch {
    dsn: Dsn,
    /// By when the client was made, which distinguishes the clients of a pool.
    sessions: Arc<Mutex<VecDeque<(Instant, Session)>>>,
    /// One check at a time: a server in trouble must not get a query from every waiting step at
    /// once.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Watch {
    /// With sessions to this server.
    pub fn over(dsn: Dsn) -> Self {
        Self {
            dsn,
            sessions: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// Remembers a session that was just made. One whose server does not show its process id is not
    /// checked.
    pub(in crate::store) async fn meet(
        &self,
        client: &Client,
        made: Instant,
    ) -> Result<(), tokio_postgres::Error> {
        let row = match client.query_opt(SELF.text(), &[]).await {
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

    /// The current step waits for this one from here on.
    pub(in crate::store) fn note_session(&self, client: &Object) {
        let made = Object::metrics(client).created;
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.iter().find(|(at, _)| *at == made);
        let session = session.map(|(_, session)| *session);
        drop(sessions);
        // Outside of a step nothing records it.
        let _ = CURRENT.try_with(|current| {
            *current.0.lock().unwrap_or_else(PoisonError::into_inner) = session;
        });
    }

    /// Queries the state over a session of its own.
    pub(in crate::store) async fn check(&self, session: Session) -> State {
        let check = async {
            let _turn = self.turn.lock().await;
            self.query(session).await
        };
        let state = timeout(CHECK_WITHIN, check).await.ok().flatten();
        state.unwrap_or(State::Unknown)
    }

    /// `None`: there is no response.
    async fn query(&self, session: Session) -> Option<State> {
        let (client, connection) = self.dsn.connect().await.ok()?;
        // Polled here, so that it ends with the check.
        let (state, _) = tokio::join!(
            async move {
                let seconds = UNDER_WAY_MAX.as_secs_f64();
                let params: [(&(dyn ToSql + Sync), Type); 3] = [
                    (&session.process, Type::INT4),
                    (&session.began, Type::TIMESTAMPTZ),
                    (&seconds, Type::FLOAT8),
                ];
                let rows = client.query_typed(STATE.text(), &params).await.ok()?;
                rows.first()?.try_get(0).ok()
            },
            connection
        );
        let state: Option<String> = state;
        Some(match state?.as_str() {
            "at work" => State::AtWork,
            "mute" => State::Mute,
            _ => State::Unknown,
        })
    }
}
