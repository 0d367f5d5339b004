//! Chores: periodic work on which nothing else waits, such as cancelling late messages or retrying what
//! the app's tables refused. Each has a file.
//!
//! A chore runs in steps, bounded in rows and in time. One with more to do is due again at once, after
//! all others that are due: so a full outbox delays neither the reaping nor the expiry. What must not
//! wait for any of them is a task (the heartbeat).

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::queue::Queue;
use crate::clock;
use crate::daemon::database_clock;
use crate::daemon::event_loop::Wakers;
use crate::dispatch::{Dispatch, Input};
use crate::limits::daemon::ChoreLimits;
use crate::plan::reminders::Planning;
use crate::store::StoreError;
use crate::store::retention::Walk;

mod bursts;
mod costs;
pub(super) mod days;
mod event_changes;
mod expiry;
mod gauges;
mod jobs;
mod numbers;
mod orphaned_claims;
mod outbox;
mod planner;
mod queue;
mod reaping;
mod retention;
mod source_writes;
mod template_uses;
mod times_ahead;
mod unbegun;
mod without_attempt;

/// Whether a step has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It has done everything.
    Done,
    /// It was stopped by a bound, so there may be more.
    More,
    /// There will be more after this time.
    Later(Duration),
}

impl Progress {
    /// The progress of a step that changed `rows`, and could change `most`.
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
    /// Notified when messages have missed a change: the chore that applies it is due at once.
    missed: Arc<Notify>,
    /// Notified when outcomes were recorded: the chore that writes them to source tables is due at once.
    outcomes: Arc<Notify>,
    /// Notified when reminders are to be planned again: the chore that does it is due at once.
    plan: Arc<Notify>,
    /// How reminders are planned; `None`: they are not.
    planning: Option<Planning>,
    /// How far the chore that deletes what is long over has come.
    walk: Mutex<Walk>,
    /// How far the one has come that finds jobs from before their type had a URL.
    jobs: Mutex<jobs::Walk>,
}

impl Context {
    pub(super) fn new(
        dispatch: &Dispatch,
        inputs: &mpsc::Sender<Input>,
        wakers: &Wakers,
        planning: Option<Planning>,
    ) -> Self {
        Self {
            dispatch: dispatch.clone(),
            inputs: inputs.clone(),
            missed: Arc::clone(&wakers.missed),
            outcomes: Arc::clone(&wakers.outcomes),
            plan: Arc::clone(&wakers.plan),
            planning,
            walk: Mutex::default(),
            jobs: Mutex::default(),
        }
    }
}

/// Work that is repeated.
struct Chore {
    name: &'static str,
    step: Step,
    /// From the end of one step to the next, unless there is more to do.
    every: fn(&ChoreLimits) -> Duration,
    /// Whether its first step is due at the start, and not after a pause.
    is_due_at_start: bool,
    /// What makes it due at once.
    follows: Follows,
    /// Whether the database decides by its clock what is too late, whose lease is over, or what is in the future.
    is_by_the_clock: bool,
}

/// What makes a chore due at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Nothing,
    /// Messages have missed a change.
    Changes,
    /// Outcomes were recorded.
    Outcomes,
    /// Reminders are to be planned again.
    Plans,
}

type Step = for<'a> fn(&'a Context) -> BoxFuture<'a, Result<Progress, StoreError>>;

const CHORES: [Chore; 18] = [
    Chore::by_the_clock("expiry", |on| expiry::step(on).boxed()),
    Chore {
        follows: Follows::Changes,
        ..Chore::new("missed event changes", |on| event_changes::step(on).boxed())
    },
    Chore::by_the_clock("times in the future", |on| times_ahead::step(on).boxed()),
    Chore::by_the_clock("reaping", |on| reaping::step(on).boxed()),
    Chore::new("template uses", |on| template_uses::step(on).boxed()),
    Chore::by_the_clock("orphaned claims", |on| orphaned_claims::step(on).boxed()),
    Chore::by_the_clock("claims reaped before they began", |on| {
        unbegun::step(on).boxed()
    }),
    Chore {
        every: |limits| limits.without_attempt_every,
        ..Chore::by_the_clock("sending without an attempt", |on| {
            without_attempt::step(on).boxed()
        })
    },
    Chore::new("outbox", |on| outbox::step(on).boxed()),
    Chore::new("jobs from before", |on| jobs::step(on).boxed()),
    Chore {
        follows: Follows::Outcomes,
        ..Chore::new("source tables", |on| source_writes::step(on).boxed())
    },
    Chore {
        follows: Follows::Plans,
        ..Chore::by_the_clock("planner", |on| planner::step(on).boxed())
    },
    Chore::new("gauges", |on| gauges::step(on).boxed()),
    Chore {
        every: |limits| limits.days_every,
        // They were written at the start.
        is_due_at_start: false,
        ..Chore::new("days", |on| days::step(on).boxed())
    },
    Chore::by_the_clock("numbers", |on| numbers::step(on).boxed()),
    Chore::by_the_clock("equal texts", |on| bursts::step(on).boxed()),
    Chore::by_the_clock("costs", |on| costs::step(on).boxed()),
    Chore::by_the_clock("retention", |on| retention::step(on).boxed()),
];

impl Chore {
    const fn new(name: &'static str, step: Step) -> Self {
        Self {
            name,
            step,
            every: |limits| limits.every,
            is_due_at_start: true,
            follows: Follows::Nothing,
            is_by_the_clock: false,
        }
    }

    const fn by_the_clock(name: &'static str, step: Step) -> Self {
        Self {
            is_by_the_clock: true,
            ..Self::new(name, step)
        }
    }

    async fn step(&self, on: &Context) -> Result<Progress, StoreError> {
        let (dispatch, limits) = (&on.dispatch, &on.dispatch.limits.daemon.clock);
        if self.is_by_the_clock
            && !database_clock::is_known(&dispatch.store, &dispatch.clock, limits).await?
        {
            return Ok(Progress::Done);
        }
        (self.step)(on).await
    }
}

/// Runs them until `stop`; a step in progress is finished.
pub(super) async fn keep(on: Context, stop: CancellationToken) {
    let limits = on.dispatch.limits.daemon.chores;
    let began = clock::reading().up;
    let first = |chore: &Chore| {
        let due_now = chore.is_due_at_start.then_some(Duration::ZERO);
        began + due_now.unwrap_or_else(|| (chore.every)(&limits))
    };
    let mut queue = Queue::new(CHORES.iter().map(first));
    let follow = |what: Follows, queue: &mut Queue, now| {
        let all = (0..).zip(&CHORES);
        for (n, _) in all.filter(|(_, chore)| chore.follows == what) {
            queue.due_at(n, now);
        }
    };
    while !stop.is_cancelled() {
        let now = clock::reading().up;
        if on.missed.notified().now_or_never().is_some() {
            follow(Follows::Changes, &mut queue, now);
        }
        if on.outcomes.notified().now_or_never().is_some() {
            follow(Follows::Outcomes, &mut queue, now);
        }
        if on.plan.notified().now_or_never().is_some() {
            follow(Follows::Plans, &mut queue, now);
        }
        let Some(next) = queue.next(now) else {
            let nap = queue.first_due().map_or(limits.every, |due| due.since(now));
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(nap) => {}
                () = on.missed.notified() => follow(Follows::Changes, &mut queue, now),
                () = on.outcomes.notified() => follow(Follows::Outcomes, &mut queue, now),
                () = on.plan.notified() => follow(Follows::Plans, &mut queue, now),
            }
            continue;
        };
        let chore = &CHORES[next];
        let done = chore.step(&on).await;
        let now = clock::reading().up;
        match done {
            Ok(Progress::More) => queue.done(next, now),
            Ok(Progress::Later(pause)) => queue.done(next, now + pause),
            Ok(Progress::Done) => queue.done(next, now + (chore.every)(&limits)),
            Err(error) => {
                tracing::warn!(chore = chore.name, %error, "a maintenance step failed; retrying");
                queue.failed(next, now + limits.every);
            }
        }
    }
}
