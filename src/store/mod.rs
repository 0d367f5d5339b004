//! The access to the database. All statements of the daemon and the commands are here, one a file in the `sql/` of
//! each part; triggers, functions and views, which run inside the app's statements, are in `triggers/`:
//!
//! - `path/`: the path of a message: window, claim, record.
//! - `ledger/`: attempts and what happened to them: receipts, look-ups, recovery, `why`.
//! - `app/`: the app's own tables, and `scheduled_messages` as the app writes it.
//! - `operator/`: what people see of many messages, and do to them; forecasts; what health and metrics count.
//! - `session/`: connections.
//! - `schema/`: `migrate` and `doctor`.
//!
//! Statements that write check the state of the rows and skip locked ones, so they are part of no deadlock.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{GenericClient, Object, Pool};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::Statement;

use crate::clock::{Clock, Stopwatch};
use crate::message::facts::LimitSource;
use crate::message::{AttemptToken, InstanceId, MessageId, Routes, Sender, parts};
use crate::policy::Rules;

#[macro_use]
mod expressions;
mod app;
mod app_schema;
mod error;
mod halving;
mod ledger;
pub mod operator;
mod path;
mod refusal;
mod schema;
mod session;
mod steady;

pub use app::{
    InAppMessages, KeptAnswers, Link, PushSubscriptions, TrackingLinks, drafts, planner, user,
};
pub use app_schema::{AppSchema, SchemaNameError};
pub use error::StoreError;
pub use expressions::with_expressions;
pub use halving::Halving;
pub use ledger::instances::{
    FeedHindrance, InstanceSeen, InstancesSeen, NO_ATTEMPT, TimesAhead, WithoutAttempt,
};
pub use ledger::{consents, days::Days};
pub use ledger::{forget, look_ups, quarantine, receipts, resolve, retention, segments, story};
pub use operator::overdue::{Overdue, OverdueGroup, OverdueKind};
pub use operator::sample::{Pending, Sample};
pub use operator::{campaigns, changes, forecast, numbers, paces, pauses};
pub use path::bursts::Equal;
pub use path::costs::{Charge, OverCap};
pub use path::{claims::Claimed, no_effect::NoEffect, outcomes::Recorded, paces::PacesClaimed};
pub(crate) use refusal::of as refusal_of;
pub use schema::faults::Fault;
pub use schema::migrate::{MigrateError, Migrator};
pub use schema::{AppTables, PRESETS, Preset, SourceTable, doctor, migrate};
pub use session::connect::{ConnectError, Connection};
pub use session::dsn::{Dsn, DsnError};
pub use session::lineage::{Lineage, Moved, Quarantine};
pub use session::notify::notify_plainly;
pub use session::{connect, dsn, feed, server::SessionDefaults, watch::Watch};

use app_schema::Sql;
use path::no_effect::Effects;
use session::watch::{CHECK_AFTER, CurrentSession, State};

/// How long a step may take where no message waits for it. Longer than the server itself lets a statement run
/// (`session.sql`), so that it ends first only if the network path to the server is dead.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The database as the daemon uses it.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    instance: InstanceId,
    /// Runs since a connection was last found silent: no older one is used again.
    distrusted: Arc<Mutex<Option<Stopwatch>>>,
    /// Notified when that happens.
    left: Arc<Notify>,
    /// Checks sessions that take long; `None`: they are waited for.
    watch: Option<Watch>,
    default_sender: Option<Arc<str>>,
    /// Which account sends a message; for claims, that of each sender that chooses one (`None`: they are too many).
    routes: Arc<Routes>,
    account_of_sender: Arc<Option<serde_json::Value>>,
    /// How long after acceptance a message without a final status is first looked up.
    look_up_after: Option<Duration>,
    /// From the acceptance of one part of a message to the next.
    part_gap: Duration,
    /// Whether what a carrier may have delivered is sent again.
    retry_carrier: bool,
    duplicates: Arc<AtomicU64>,
    /// Whether other instances run, which must be notified of rows that they have too.
    accompanied: Arc<AtomicBool>,
    /// How many instances run whose program is too old for the schema.
    outdated: Arc<AtomicU64>,
    /// The installation's zone: it defines the days of users without a zone of their own.
    timezone: Arc<str>,
    /// Whether the app's own count of what a user is sent in a day is honoured too.
    app_counts: bool,
    /// How the history of the database is recognised; `None`: it is not checked.
    lineage: Option<Lineage>,
    /// Says when what is written now is due again: the database's own clock may jump. `None`: that one says it.
    clock: Option<Arc<Clock>>,
    effects: Effects,
    /// How many windows are being read: with a single session everything else waits for that.
    windows: Arc<AtomicU64>,
    /// Whether outcomes are written to source tables, or users are notified of theirs.
    follows_outcomes: Arc<AtomicBool>,
    /// How many connections more the pool has where the database is far away; none once it has them.
    more_if_far: Arc<AtomicUsize>,
    /// And with which round trip it is.
    far_from: Duration,
}

impl Store {
    /// A store for one run of one daemon.
    pub fn new(pool: Pool, instance: InstanceId) -> Self {
        Self {
            pool,
            instance,
            distrusted: Arc::default(),
            left: Arc::default(),
            watch: None,
            default_sender: None,
            routes: Arc::default(),
            account_of_sender: Arc::new(Some(serde_json::Map::new().into())),
            look_up_after: None,
            part_gap: parts::GAP,
            retry_carrier: false,
            duplicates: Arc::default(),
            accompanied: Arc::default(),
            outdated: Arc::default(),
            timezone: "UTC".into(),
            app_counts: false,
            lineage: None,
            clock: None,
            effects: Effects::default(),
            windows: Arc::default(),
            follows_outcomes: Arc::default(),
            more_if_far: Arc::default(),
            far_from: Duration::MAX,
        }
    }

    /// The same, over a pool whose sessions are watched by this.
    #[must_use]
    pub fn with_watch(self, watch: Watch) -> Self {
        Self {
            watch: Some(watch),
            ..self
        }
    }

    /// The same run with connections of its own, which no other step can take.
    #[must_use]
    pub fn with_pool(&self, pool: Pool) -> Self {
        Self {
            pool,
            ..self.clone()
        }
    }

    /// How many messages were found to be sent twice since the last call.
    pub fn take_duplicates(&self) -> u64 {
        self.duplicates.swap(0, Ordering::Relaxed)
    }

    /// Two attempts at one message were accepted: nothing can be done except to report it.
    fn doubled(&self, message: MessageId, token: AttemptToken) {
        self.duplicates.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            message.id = %message,
            %token,
            "sent twice: another attempt at this message was accepted as well"
        );
    }

    /// The same, with the sender for rows that name none: opt-outs are from a sender.
    #[must_use]
    pub fn with_default_sender(self, sender: Option<&Sender>) -> Self {
        Self {
            default_sender: sender.map(|s| s.as_str().into()),
            ..self
        }
    }

    /// The same, for an installation with these rules.
    #[must_use]
    pub fn with_rules(self, rules: &Rules) -> Self {
        Self {
            timezone: rules.timezone.iana_name().unwrap_or("UTC").into(),
            app_counts: rules.limit_source == LimitSource::App,
            part_gap: rules.part_gap,
            retry_carrier: rules.retry_carrier,
            routes: Arc::clone(&rules.routes),
            account_of_sender: Arc::new(rules.routes.account_of_sender()),
            ..self
        }
        .with_default_sender(rules.default_sender.as_ref())
    }

    /// Which run this is.
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Cancels a step when it takes longer than `patience`, or as soon as its connection is found to be half-open.
    /// Whether it took effect is unknown then, and no connection of that time is used again.
    pub fn within<T>(
        &self,
        patience: Duration,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        self.within_at_work(patience, patience, step)
    }

    /// Cancels a step after [`PATIENCE`].
    pub fn bounded<T>(
        &self,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        self.within(PATIENCE, step)
    }

    /// The same as [`Self::within`], but the time-out starts again whenever the server is found to be at
    /// work, up to `at_most` in all.
    pub async fn within_at_work<T>(
        &self,
        patience: Duration,
        at_most: Duration,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let current = CurrentSession::default();
        // Pinned, so that it returns its connection only after that one is distrusted.
        let mut step = pin!(current.by(step));
        let began = Stopwatch::start();
        let (mut until, mut check_after) = (patience, CHECK_AFTER);
        let given_up = loop {
            let left = until.saturating_sub(began.elapsed());
            if left.is_zero() {
                break StoreError::Silent { patience: until };
            }
            if let Ok(done) = timeout(check_after.min(left), &mut step).await {
                return done;
            }
            let (Some(watch), Some(session)) = (&self.watch, current.session()) else {
                continue;
            };
            if began.elapsed() >= at_most {
                continue;
            }
            // Boxed, because it is large and rarely needed.
            let mut check = Box::pin(watch.check(session));
            let done = tokio::select! {
                biased;
                done = &mut step => Some(done),
                state = &mut check => {
                    match state {
                        State::Mute => break StoreError::Mute,
                        State::AtWork => until = (began.elapsed() + patience).clamp(patience, at_most),
                        State::Unknown => {}
                    }
                    None
                }
            };
            match done {
                Some(Ok(done)) => return Ok(done),
                // The check ends a half-open session, and the step's error may arrive before the
                // result of the check.
                Some(Err(_)) if check.await == State::Mute => break StoreError::Mute,
                Some(failed) => return failed,
                None => {}
            }
            check_after *= 2;
        };
        self.distrust();
        Err(given_up)
    }

    /// Stops using every connection made before now. One whose other end is gone without notice looks like any other,
    /// and the step that timed out has returned it to the pool: the next statement would wait as long. All of them,
    /// because they share a network path; a new one costs milliseconds.
    pub fn distrust(&self) {
        let since = self.distrusted.lock();
        *since.unwrap_or_else(PoisonError::into_inner) = Some(Stopwatch::start());
        self.left.notify_waiters();
    }

    /// Waits until connections are distrusted. Others on the same network path may be half-open too.
    pub async fn distrusted(&self) {
        self.left.notified().await;
    }

    fn is_distrusted(&self, client: &Object) -> bool {
        let since = *self
            .distrusted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| Object::metrics(client).age() >= since.elapsed())
    }

    /// The current step waits for this connection from here on.
    fn note_session(&self, client: &Object) {
        if let Some(watch) = &self.watch {
            watch.note_session(client);
        }
    }

    async fn client(&self) -> Result<Object, StoreError> {
        loop {
            let client = self.pool.get().await.map_err(StoreError::Connect)?;
            if !self.is_distrusted(&client) {
                self.note_session(&client);
                return Ok(client);
            }
            drop(Object::take(client));
        }
    }
}

/// Prepares a statement once for each connection.
async fn prepared(
    client: &impl GenericClient,
    sql: &'static Sql,
    step: &'static str,
) -> Result<Statement, StoreError> {
    client
        .prepare_cached(sql.text())
        .await
        .map_err(StoreError::at(step))
}

fn micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
