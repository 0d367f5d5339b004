//! The checks before anything starts. A database that is unreachable is waited for, as it is later; one
//! that refuses this daemon, or does not fit it, ends the start with an error.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::RunError;
use super::chores::days;
use super::connections::Connections;
use super::database_clock::measure;
use super::heartbeat::notify_members;
use super::restore::{self, StartedJournal};
use crate::clock::Clock;
use crate::http::Question;
use crate::journal::StateDir;
use crate::limits::DaemonLimits;
use crate::listen;
use crate::message::read_plans;
use crate::policy::Rules;
use crate::reactor::report::{Missing, Readiness};
use crate::store::{AppTables, Dsn, MigrateError, Migrator, SourceTable, Store};

/// What the checks need.
pub(super) struct Start<'a> {
    pub(super) dsn: &'a Dsn,
    pub(super) connections: &'a Connections,
    pub(super) clock: &'a Clock,
    pub(super) rules: &'a Arc<Rules>,
    pub(super) sources: &'a [SourceTable],
    pub(super) app_tables: Option<&'a AppTables>,
    /// The model that writes texts.
    pub(super) model: Option<&'a str>,
    /// Whether reminders are planned.
    pub(super) plans: bool,
    pub(super) limits: &'a DaemonLimits,
    /// Where journals are kept.
    pub(super) state_dir: Option<&'a StateDir>,
    /// A person accepts a database of another history.
    pub(super) accept_restore: bool,
}

impl Start<'_> {
    /// Returns the journal when the database is reachable and fits, and was compared with earlier journals.
    /// Meanwhile `questions` are answered.
    pub(super) async fn when_there(
        &self,
        questions: &mut mpsc::Receiver<Question>,
    ) -> Result<Option<StartedJournal>, RunError> {
        tokio::select! {
            done = self.until_there() => done,
            never = answer(questions) => match never {},
        }
    }

    async fn until_there(&self) -> Result<Option<StartedJournal>, RunError> {
        // The first claim waits for none of it.
        let plans = spawn_blocking(read_plans);
        let mut failures = 0;
        let there = loop {
            match self.attempt().await {
                Err(error) if error.is_away() => {
                    failures += 1;
                    tracing::warn!(%error, "the database is not available; waiting for it");
                    sleep(self.limits.event_loop.start_retry.pause(failures)).await;
                }
                done => break done,
            }
        };
        match plans.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => there,
        }
    }

    async fn attempt(&self) -> Result<Option<StartedJournal>, RunError> {
        self.prepare().await?;
        restore::begin(
            self.state_dir,
            self.dsn,
            self.accept_restore,
            &self.connections.store,
            &self.connections.lineage,
            self.clock.now().db,
        )
        .await
    }

    async fn check_planner(&self, migrator: &Migrator<'_>) -> Result<(), RunError> {
        match (self.plans, migrator.check_planner(self.dsn).await?) {
            (true, false) => return Err(MigrateError::PlannerOff.into()),
            (false, true) => tracing::warn!(
                "the planner is on in the database, and not in the settings: no reminders are planned. \
                 `punctual migrate` with planner.enabled = false switches it off"
            ),
            _ => {}
        }
        Ok(())
    }

    async fn prepare(&self) -> Result<(), RunError> {
        if self.dsn.is_polled() {
            listen::check_polled(self.dsn).await?;
        } else {
            listen::prove(self.dsn, &self.limits.channel).await?;
        }
        let migrator = Migrator::embedded()
            .following(self.sources.to_vec())
            .mapping(self.app_tables.cloned());
        migrator.check(self.dsn).await?;
        self.check_planner(&migrator).await?;
        if self.limits.channel.is_fed {
            listen::check_fed(self.dsn).await?;
        }
        // The heartbeat's connection first, in case the server has few left.
        let (own, store) = (&self.connections.heartbeat, &self.connections.store);
        own.instance_start(self.limits.channel.changes()).await?;
        own.quarantine_read().await?;
        notify_members(own, &self.limits.heartbeat).await;
        measure(own, self.clock, &self.limits.clock).await?;
        // The pool leaves two free: for the listener, and for the check of a slow session.
        let room = (self.dsn.connect().await?, self.dsn.connect().await?);
        prewarm(store).await;
        drop(room);
        store.keep_settings(self.rules).await?;
        store.keep_model(self.model).await?;
        days::write(store, Arc::clone(self.rules), self.clock.now().db).await?;
        Ok(())
    }
}

/// Replies that there is no connection yet.
async fn answer(questions: &mut mpsc::Receiver<Question>) -> std::convert::Infallible {
    while let Some(question) = questions.recv().await {
        if let Question::Ready { reply } = question {
            // The client may have disconnected.
            let _ = reply.send(Readiness {
                missing: vec![Missing::Connection],
                held_before: None,
                remarks: Vec::new(),
            });
        }
    }
    std::future::pending().await
}

/// Opens the pool's connections in advance. If the server has too few, it runs with fewer.
pub(super) async fn prewarm(store: &Store) {
    if let Err(error) = store.bounded(store.open()).await {
        tracing::warn!(%error, "could not open all connections of the pool in advance");
    }
}
