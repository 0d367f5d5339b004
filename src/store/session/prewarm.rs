//! Opens the pool's connections before a message needs one: connecting, setting up the session and
//! planning a claim take tens of milliseconds, which would make it late.

use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::join_all;

use crate::clock::Stopwatch;
use crate::reactor::report::DatabaseReport;
use crate::store::path::accepted::RECORD_ACCEPTED;
use crate::store::path::claims::{CLAIM, READ_ROWS};
use crate::store::path::outcomes::RECORD_SETTLED;
use crate::store::{Store, StoreError, prepared};

const STEP: &str = "preparing a connection";

/// Round trips measured: the shortest of them was not delayed by anything else.
const MEASURED: usize = 3;

/// Prepares on each connection the statements that messages wait for.
async fn prepare_all(clients: &[Object]) -> Result<(), StoreError> {
    let each = clients.iter().map(|client| async move {
        for sql in [CLAIM, READ_ROWS, RECORD_ACCEPTED, RECORD_SETTLED] {
            prepared(client, sql, STEP).await?;
        }
        Ok(())
    });
    join_all(each).await.into_iter().collect()
}

/// How long an empty statement takes.
async fn round_trip(client: &Object) -> Result<Duration, StoreError> {
    let mut least = Duration::MAX;
    for _ in 0..MEASURED {
        let began = Stopwatch::start();
        let done = client.batch_execute("").await;
        done.map_err(StoreError::at(STEP))?;
        least = least.min(began.elapsed());
    }
    Ok(least)
}

impl Store {
    /// What the pool's connections do.
    pub fn pool_report(&self) -> DatabaseReport {
        let status = self.pool.status();
        DatabaseReport {
            open: status.size as u64,
            idle: status.available as u64,
            waiting: status.waiting as u64,
            max: status.max_size as u64,
        }
    }

    /// How many connections the pool may have now.
    pub fn connections(&self) -> usize {
        self.pool.status().max_size
    }

    /// The same, with so many connections more if the database turns out to be far away: with this round trip or a
    /// longer one.
    #[must_use]
    pub fn with_more_if_far(self, more: usize, far_from: Duration) -> Self {
        self.more_if_far.store(more, Ordering::Relaxed);
        Self { far_from, ..self }
    }

    /// Opens the missing connections of the pool and prepares on each the statements that messages
    /// wait for. Does nothing while all are open.
    pub async fn open(&self) -> Result<(), StoreError> {
        let pool = self.pool.status();
        if pool.size >= pool.max_size {
            return Ok(());
        }
        // All at once: one that is returned to the pool would be the next to be taken.
        let opened = join_all((0..pool.max_size).map(|_| self.client())).await;
        let (clients, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        let clients: Vec<_> = clients.into_iter().flatten().collect();
        if let Some(Err(error)) = refused.into_iter().next() {
            if error.is_full() {
                self.shrink(clients.len());
            }
            return Err(error);
        }
        prepare_all(&clients).await?;
        self.widen_if_far(&clients).await
    }

    /// Opens more connections where the database is far away, because there are more statements on their way at once.
    /// They are not needed as urgently as those that are open: if there is no room for them, these are enough.
    async fn widen_if_far(&self, open: &[Object]) -> Result<(), StoreError> {
        let more = self.more_if_far.load(Ordering::Relaxed);
        let (Some(client), true) = (open.first(), more > 0) else {
            return Ok(());
        };
        let way = round_trip(client).await?;
        if way < self.far_from {
            return Ok(());
        }
        self.more_if_far.store(0, Ordering::Relaxed);
        self.pool.resize(open.len() + more);
        let opened = join_all((0..more).map(|_| self.client())).await;
        let clients: Vec<_> = opened.into_iter().filter_map(Result::ok).collect();
        self.pool.resize(open.len() + clients.len());
        tracing::info!(
            connections = open.len() + clients.len(),
            round_trip_ms = way.as_millis(),
            "the database is far away: more connections to it are used"
        );
        prepare_all(&clients).await
    }

    /// The server has room for no more than `opened` connections here: it is better to wait for one
    /// of those than to be refused another.
    fn shrink(&self, opened: usize) {
        let kept = opened.max(1);
        self.more_if_far.store(0, Ordering::Relaxed);
        tracing::warn!(
            connections = kept,
            "the server has no room for as many connections as the daemon uses: it goes on with fewer, \
             and more slowly, until it is started again. Raise max_connections, or the limit of role \
             or database; `punctual doctor` says which"
        );
        self.pool.resize(kept);
    }
}
