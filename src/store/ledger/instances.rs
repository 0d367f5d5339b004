//! Which instances run, and what happens to the claims of those that died.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::types::Json;

use crate::forecast::PublishedState;
use crate::message::{AttemptToken, InstanceId, MessageId};
use crate::proof::history::Witness;
use crate::schedule::Ranking;
use crate::store::{Sql, Store, StoreError, millis, prepared};
use crate::version::VERSION;

mod feeds;
mod seen;

pub use seen::{InstanceSeen, InstancesSeen};

static START: &Sql = sql!("sql/instance_start.sql");
static BEAT: &Sql = sql!("sql/instance_beat.sql");
static STOP: &Sql = sql!("sql/instance_stop.sql");
static JOURNAL: &Sql = sql!("sql/instance_journal.sql");
static PUBLISH: &Sql = sql!("sql/instance_publish.sql");
static MEMBERS: &Sql = sql!("sql/members.sql");
static FEED_HINDRANCE: &Sql = sql!("sql/feed_hindrance.sql");
static ORPHANED_CLAIMS: &Sql = sql!("sql/orphaned_claims.sql");
static REAP: &Sql = sql!("sql/reap.sql");
static TIMES_AHEAD: &Sql = sql!("sql/times_ahead.sql");
static WITHOUT_ATTEMPT: &Sql = sql!("sql/without_attempt.sql");

/// Why a message is unconfirmed that was `sending` without an open attempt.
pub const NO_ATTEMPT: &str =
    "it was sending, and no attempt in the ledger shows whether it was sent";

/// What became of messages that were `sending` without an open attempt: how many are which now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithoutAttempt {
    /// Pending: the ledger shows that none was sent.
    pub pending: u64,
    /// Unconfirmed.
    pub unconfirmed: u64,
}

/// What had times in the future, and was corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimesAhead {
    /// Instances whose heartbeat or start it was.
    pub instances: u64,
    /// Open claims.
    pub claims: u64,
    /// Paces whose next slot it was.
    pub paces: u64,
    /// Writes that the app's tables had refused.
    pub outbox: u64,
}

impl TimesAhead {
    /// The largest of these numbers.
    pub fn largest(self) -> u64 {
        self.instances
            .max(self.claims)
            .max(self.paces)
            .max(self.outbox)
    }
}

/// Why an instance has no change feed now, though there could be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedHindrance {
    /// Another instance that runs has nothing but notifications.
    Notices,
    /// The app's commits would wait for the daemon.
    Standby,
}

/// Instances that one statement reads: more than anyone runs.
pub(in crate::store) const INSTANCES_MAX: i64 = 64;

/// Claims read in one statement.
const BATCH: i64 = 1_000;

impl Store {
    /// Registers this instance as running, and how it learns of changes.
    pub async fn instance_start(&self, changes: &str) -> Result<(), StoreError> {
        const STEP: &str = "registering this instance";
        let client = self.client().await?;
        let start = prepared(&client, START, STEP).await?;
        client
            .execute(&start, &[&self.instance.0, &VERSION, &changes])
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }

    /// What is in the way of a change feed of this instance. One that has been silent for so long is dead.
    pub async fn feed_hindrance(
        &self,
        silence: Duration,
    ) -> Result<Option<FeedHindrance>, StoreError> {
        const STEP: &str = "reading what is in the way of a change feed";
        let client = self.client().await?;
        let hindrance = prepared(&client, FEED_HINDRANCE, STEP).await?;
        let row = client
            .query_one(&hindrance, &[&self.instance.0, &millis(silence)])
            .await
            .map_err(StoreError::at(STEP))?;
        let is = |what| row.try_get(what).map_err(StoreError::unreadable(STEP));
        Ok(if is("is_waited_for")? {
            Some(FeedHindrance::Standby)
        } else {
            is("is_needed")?.then_some(FeedHindrance::Notices)
        })
    }

    /// Writes a heartbeat. A database that lacks this instance or its latest commits refuses it: it has another
    /// history.
    pub async fn instance_beat(&self) -> Result<(), StoreError> {
        const STEP: &str = "the heartbeat";
        let client = self.client().await?;
        let beat = prepared(&client, BEAT, STEP).await?;
        let (mark, expected) = self.history_check();
        let number = self.lineage.as_ref();
        let number = number.map_or(0, |lineage| lineage.witness(Witness::next_beat));
        let beaten = client
            .execute(
                &beat,
                &[
                    &self.instance.0,
                    &number,
                    &expected.beats,
                    &expected.claimed,
                    &expected.recorded,
                ],
            )
            .await
            .inspect_err(|error| self.refused(error, mark))
            .map_err(StoreError::at(STEP))?;
        if let Some(lineage) = &self.lineage {
            if beaten == 0 && expected.beats == 0 {
                // Not registered yet in a history that this instance has just accepted.
                return Ok(());
            }
            if beaten == 0 {
                lineage.lost(mark);
                return Err(StoreError::AnotherHistory);
            }
            lineage.witness(|own| own.beat(mark, number));
        }
        Ok(())
    }

    /// Publishes what other instances and the commands are to know of this one.
    pub async fn publish(&self, state: &PublishedState) -> Result<(), StoreError> {
        const STEP: &str = "publishing the state of this instance";
        let client = self.client().await?;
        let publish = prepared(&client, PUBLISH, STEP).await?;
        let published = client
            .execute(&publish, &[&self.instance.0, &Json(state)])
            .await;
        published.map(drop).map_err(StoreError::at(STEP))
    }

    /// Records that this instance has stopped by itself and has no claims.
    pub async fn instance_stop(&self) -> Result<(), StoreError> {
        self.on_instance(STOP, "signing off").await
    }

    /// Notes that the journal of this instance is incomplete, though its file cannot be marked so; or that it is
    /// complete again.
    pub async fn journal_is_incomplete(&self, is_incomplete: bool) -> Result<(), StoreError> {
        const STEP: &str = "noting that the journal is incomplete";
        let client = self.client().await?;
        let statement = prepared(&client, JOURNAL, STEP).await?;
        let noted = client
            .execute(&statement, &[&self.instance.0, &is_incomplete])
            .await;
        noted.map(drop).map_err(StoreError::at(STEP))
    }

    /// The instances that run. One that has been silent for `silence` does not.
    pub async fn members(&self, silence: Duration) -> Result<Ranking, StoreError> {
        const STEP: &str = "reading which instances run";
        let client = self.client().await?;
        let members = prepared(&client, MEMBERS, STEP).await?;
        let rows = client
            .query(&members, &[&millis(silence), &INSTANCES_MAX])
            .await
            .map_err(StoreError::at(STEP))?;
        let (mut all, mut claiming) = (Vec::new(), Vec::new());
        for row in &rows {
            let read = || Ok((InstanceId(row.try_get("id")?), row.try_get("may_claim")?));
            let (id, may_claim): (_, bool) = read().map_err(StoreError::unreadable(STEP))?;
            all.push(id);
            if may_claim {
                claiming.push(id);
            }
        }
        let outdated = (all.len() - claiming.len()) as u64;
        let before = self.outdated.swap(outdated, Ordering::Relaxed);
        if outdated > before {
            tracing::warn!(
                instances = outdated,
                "instances of a version that is too old for the schema run, and claim nothing: stop them"
            );
        }
        if let Some(lineage) = &self.lineage {
            lineage.set_members(all);
        }
        // Nobody waits for the turn of one that claims nothing.
        let ranking = Ranking::new(self.instance, claiming);
        self.accompanied
            .store(!ranking.is_alone(), Ordering::Relaxed);
        Ok(ranking)
    }

    /// Whether other instances run, by the last heartbeat.
    pub fn is_accompanied(&self) -> bool {
        self.accompanied.load(Ordering::Relaxed)
    }

    /// How many instances run, when that was last read, whose program is too old for the schema: they claim nothing.
    pub fn outdated_instances(&self) -> u64 {
        self.outdated.load(Ordering::Relaxed)
    }

    async fn on_instance(&self, sql: &'static Sql, step: &'static str) -> Result<(), StoreError> {
        let client = self.client().await?;
        let statement = prepared(&client, sql, step).await?;
        client
            .execute(&statement, &[&self.instance.0])
            .await
            .map_err(StoreError::at(step))?;
        Ok(())
    }

    /// Open claims of this instance whose lease is over.
    pub async fn orphaned_claims(&self) -> Result<Vec<(MessageId, AttemptToken)>, StoreError> {
        const STEP: &str = "looking for orphaned claims";
        let client = self.client().await?;
        let orphaned_claims = prepared(&client, ORPHANED_CLAIMS, STEP).await?;
        let rows = client
            .query(&orphaned_claims, &[&self.instance.0, &BATCH])
            .await
            .map_err(StoreError::at(STEP))?;
        rows.iter()
            .map(|row| {
                Ok((
                    MessageId(row.try_get("message_id")?),
                    AttemptToken(row.try_get("token")?),
                ))
            })
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// Marks the claims of dead instances `unconfirmed`, at most so many; returns how many. An instance is dead
    /// when it has been silent for `silence` and its lease is over.
    pub async fn reap(&self, silence: Duration, most: u32) -> Result<u64, StoreError> {
        const STEP: &str = "reaping the claims of dead instances";
        let client = self.client().await?;
        let reap = prepared(&client, REAP, STEP).await?;
        client
            .execute(
                &reap,
                &[&self.instance.0, &millis(silence), &i64::from(most)],
            )
            .await
            .map_err(StoreError::at(STEP))
    }

    /// Corrects times that a clock of the database which ran ahead has left in the future, at most so many of each
    /// kind.
    pub async fn correct_times_ahead(&self, most: u32) -> Result<TimesAhead, StoreError> {
        const STEP: &str = "correcting times in the future";
        let client = self.client().await?;
        let correct = prepared(&client, TIMES_AHEAD, STEP).await?;
        let row = client
            .query_one(&correct, &[&i64::from(most)])
            .await
            .map_err(StoreError::at(STEP))?;
        let count = |column: &str| row.try_get::<_, i64>(column).map(i64::unsigned_abs);
        let read = || {
            Ok(TimesAhead {
                instances: count("instances")?,
                claims: count("claims")?,
                paces: count("paces")?,
                outbox: count("outbox")?,
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }

    /// Corrects messages that are `sending` without an open attempt and have not changed for `unchanged`, at most so
    /// many.
    pub async fn correct_without_attempt(
        &self,
        unchanged: Duration,
        most: u32,
    ) -> Result<WithoutAttempt, StoreError> {
        const STEP: &str = "correcting what is sending without an attempt";
        let client = self.client().await?;
        let correct = prepared(&client, WITHOUT_ATTEMPT, STEP).await?;
        let row = client
            .query_one(
                &correct,
                &[&millis(unchanged), &i64::from(most), &NO_ATTEMPT],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        let count = |column| row.try_get(column).map(i64::unsigned_abs);
        Ok(WithoutAttempt {
            pending: count("pending").map_err(StoreError::unreadable(STEP))?,
            unconfirmed: count("unconfirmed").map_err(StoreError::unreadable(STEP))?,
        })
    }
}
