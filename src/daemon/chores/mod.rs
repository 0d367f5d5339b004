//! Chores: periodic work on which nothing else waits, such as cancelling late messages or retrying what
//! the app's tables refused. Each has a file.
//!
//! A chore runs in steps, bounded in rows and in time. One with more to do is due again at once, after
//! all others that are due: so a full outbox delays neither the reaping nor the expiry. What must not
//! wait for any of them is a task (the heartbeat).

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::queue::Queue;
use crate::clock;
use crate::daemon::database_clock;
use crate::dispatch::{Dispatch, Input};
use crate::reactor::limits::daemon::ChoreLimits;
use crate::store::StoreError;
use crate::store::retention::Walk;

pub(super) mod days;
mod event_changes;
mod expiry;
mod gauges;
mod orphaned_claims;
mod outbox;
mod queue;
mod reaping;
mod retention;
mod template_uses;
mod times_ahead;
mod unbegun;
mod without_attempt;

/// Whether a step has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// No.
    Done,
    /// Perhaps: it was stopped by a bound.
    More,
    /// Not before that long.
    Later(Duration),
}

impl Progress {
    /// For a step that took `rows`, and at most `most`.
    fn of(rows: u64, most: u32) -> Self {
        if rows < u64::from(most) {
            Self::Done
        } else {
            Self::More
        }
    }
}

/// What steps work on.
pub(super) struct Context {
    dispatch: Dispatch,
    inputs: mpsc::Sender<Input>,
    /// Messages have missed a change: that chore is due at once.
    missed: Arc<Notify>,
    /// Where the walk through what is long over has come to.
    walk: Mutex<Walk>,
}

impl Context {
    pub(super) fn new(
        dispatch: &Dispatch,
        inputs: &mpsc::Sender<Input>,
        missed: &Arc<Notify>,
    ) -> Self {
        Self {
            dispatch: dispatch.clone(),
            inputs: inputs.clone(),
            missed: Arc::clone(missed),
            walk: Mutex::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chore {
    Expiry,
    EventChanges,
    TimesAhead,
    Reaping,
    TemplateUses,
    OrphanedClaims,
    Unbegun,
    WithoutAttempt,
    Outbox,
    Gauges,
    Days,
    Retention,
}

impl Chore {
    const ALL: [Self; 12] = [
        Self::Expiry,
        Self::EventChanges,
        Self::TimesAhead,
        Self::Reaping,
        Self::TemplateUses,
        Self::OrphanedClaims,
        Self::Unbegun,
        Self::WithoutAttempt,
        Self::Outbox,
        Self::Gauges,
        Self::Days,
        Self::Retention,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::EventChanges => "missed event changes",
            Self::TimesAhead => "times in the future",
            Self::Reaping => "reaping",
            Self::TemplateUses => "template uses",
            Self::OrphanedClaims => "orphaned claims",
            Self::Unbegun => "claims reaped before they began",
            Self::WithoutAttempt => "sending without an attempt",
            Self::Outbox => "outbox",
            Self::Gauges => "gauges",
            Self::Days => "days",
            Self::Retention => "retention",
        }
    }

    const fn every(self, limits: &ChoreLimits) -> Duration {
        match self {
            Self::Days => limits.days_every,
            Self::WithoutAttempt => limits.without_attempt_every,
            Self::Expiry
            | Self::EventChanges
            | Self::TimesAhead
            | Self::Reaping
            | Self::TemplateUses
            | Self::OrphanedClaims
            | Self::Unbegun
            | Self::Outbox
            | Self::Gauges
            | Self::Retention => limits.every,
        }
    }

    /// When it is first due after the start.
    const fn first(self, limits: &ChoreLimits) -> Duration {
        match self {
            // They were written at the start.
            Self::Days => limits.days_every,
            _ => Duration::ZERO,
        }
    }

    /// Whether the database decides by its clock what is too late, whose lease is over, or what is in the future.
    const fn is_by_the_clock(self) -> bool {
        matches!(
            self,
            Self::Expiry
                | Self::TimesAhead
                | Self::Reaping
                | Self::OrphanedClaims
                | Self::Unbegun
                | Self::WithoutAttempt
                | Self::Retention
        )
    }

    async fn step(self, on: &Context) -> Result<Progress, StoreError> {
        let dispatch = &on.dispatch;
        if self.is_by_the_clock()
            && !database_clock::is_known(
                &dispatch.store,
                &dispatch.clock,
                &dispatch.limits.daemon.clock,
            )
            .await?
        {
            return Ok(Progress::Done);
        }
        match self {
            Self::Expiry => expiry::step(on).await,
            Self::EventChanges => event_changes::step(on).await,
            Self::TimesAhead => times_ahead::step(on).await,
            Self::Reaping => reaping::step(on).await,
            Self::TemplateUses => template_uses::step(on).await,
            Self::OrphanedClaims => orphaned_claims::step(on).await,
            Self::Unbegun => unbegun::step(on).await,
            Self::WithoutAttempt => without_attempt::step(on).await,
            Self::Outbox => outbox::step(on).await,
            Self::Gauges => gauges::step(on).await,
            Self::Days => days::step(on).await,
            Self::Retention => retention::step(on).await,
        }
    }
}

/// Runs them until `stop`; a step in progress is finished.
pub(super) async fn keep(on: Context, stop: CancellationToken) {
    let limits = on.dispatch.limits.daemon.chores;
    let began = clock::reading().up;
    let first = |chore: &Chore| began + chore.first(&limits);
    let mut queue = Queue::new(Chore::ALL.iter().map(first));
    while !stop.is_cancelled() {
        let now = clock::reading().up;
        if on.missed.notified().now_or_never().is_some() {
            queue.due_at(Chore::EventChanges as usize, now);
        }
        let Some(next) = queue.next(now) else {
            let nap = queue.first_due().map_or(limits.every, |due| due.since(now));
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(nap) => {}
                () = on.missed.notified() => queue.due_at(Chore::EventChanges as usize, now),
            }
            continue;
        };
        let chore = Chore::ALL[next];
        let done = chore.step(&on).await;
        let now = clock::reading().up;
        match done {
            Ok(Progress::More) => queue.done(next, now),
            Ok(Progress::Later(pause)) => queue.done(next, now + pause),
            Ok(Progress::Done) => queue.done(next, now + chore.every(&limits)),
            Err(error) => {
                tracing::warn!(chore = chore.name(), %error, "a maintenance step failed; retrying");
                queue.failed(next, now + limits.every);
            }
        }
    }
}
