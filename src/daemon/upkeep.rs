//! What is done every few seconds, whatever happens: the heartbeat, the clock, and the rows
//! that nobody else would move.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Clock};
use crate::dispatch::{Dispatch, Input};
use crate::listen::Notice;
use crate::message::Moment;
use crate::metrics::{Counter, Gauge};
use crate::policy::Rules;
use crate::schedule::Backoff;
use crate::store::{Days, Lineage, Store, StoreError};

/// How often an instance says that it lives, and measures the database's clock.
const BEAT: Duration = Duration::from_secs(5);

/// An instance silent for this long is dead: three beats and a slow database.
const SILENCE: Duration = Duration::from_secs(20);

/// How long a beat or a reading may take. Less than [`SILENCE`] by far: a dead connection must
/// not make a dead instance of this one.
const BEAT_PATIENCE: Duration = Duration::from_secs(5);

/// How long each of the rest may take; longer than the server itself lets a statement run.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at who runs that somebody asked for: any role may say so, all day long.
const MEMBERS_PAUSE: Duration = Duration::from_millis(500);

/// How often the database is told of days; what it knows lasts for two.
const DAYS: Duration = Duration::from_secs(3600);

/// Readings of the clock at the start; the shortest way counts.
const READINGS: usize = 5;

/// Between tries to measure a clock that was lost.
const MEASURE_AGAIN: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));

/// Keeps things up until `stop`.
pub(super) async fn keep(
    dispatch: Dispatch,
    history: Option<Lineage>,
    inputs: mpsc::Sender<Input>,
    members: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut days = interval(DAYS);
    days.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is at once, and was told before the start.
    days.reset();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => round(&dispatch, history.as_ref(), &inputs).await,
            () = members.notified() => {
                look_around(&dispatch.store, &inputs).await;
                sleep(MEMBERS_PAUSE).await;
            }
            _ = days.tick() => {
                let now = dispatch.clock.now().db;
                told(tell_days(&dispatch.store, Arc::clone(&dispatch.rules), now).await);
            }
        }
    }
}

/// Reads who runs, and tells the reactor.
async fn look_around(store: &Store, inputs: &mpsc::Sender<Input>) {
    let members = store.within(PATIENCE, store.members(SILENCE)).await;
    if let Some(ranking) = told(members) {
        // A closed channel: the daemon is ending.
        let _ = inputs.send(Input::Members(ranking)).await;
    }
}

/// Says that this instance has ended. A way to the database that is dead does not hold up the end.
pub(super) async fn sign_off(store: &Store) -> Result<(), StoreError> {
    store.within(BEAT_PATIENCE, store.instance_stop()).await
}

/// Tells the other instances that this one has come, or goes. Should it be lost, they see it
/// with their next beat.
pub(super) async fn tell_of_members(store: &Store) {
    if let Err(error) = store
        .within(BEAT_PATIENCE, store.notify(Notice::MEMBERS))
        .await
    {
        tracing::warn!(%error, "the other instances could not be told of this one");
    }
}

/// Tells the database when days begin and end in each zone.
pub(super) async fn tell_days(
    store: &Store,
    rules: Arc<Rules>,
    now: Moment,
) -> Result<(), StoreError> {
    // Tens of milliseconds of reckoning, for which no message is to wait.
    let days = spawn_blocking(move || Days::around(now, &rules.zones)).await;
    match days {
        Ok(days) => store.within(PATIENCE, store.keep_days(&days)).await,
        // The process is ending.
        Err(_) => Ok(()),
    }
}

/// One after the other, and each for itself: a row that the app's own trigger lets nobody
/// cancel must not keep claims of the dead from being reaped.
async fn round(dispatch: &Dispatch, history: Option<&Lineage>, inputs: &mpsc::Sender<Input>) {
    keep_journal(dispatch).await;
    let store = &dispatch.store;
    let beat = async {
        let beat = store.instance_beat();
        store.within_at_work(BEAT_PATIENCE, PATIENCE, beat).await?;
        measure(store, &dispatch.clock).await
    };
    if told(beat.await).is_none() {
        // The rest would fail alike.
        return;
    }
    look_around(store, inputs).await;
    follow(dispatch, history).await;
    // What is held may have been sent, and is looked at before anything is said of it.
    let held = dispatch.journal.as_ref().and_then(|j| j.held_before());
    let expired = store.expire_beside(dispatch.rules.max_lateness, held);
    let expired = told(expired.await).unwrap_or(0);
    if expired > 0 {
        dispatch.metrics.count(Counter::Expired, expired);
        tracing::warn!(messages = expired, "cancelled: too late to be sent");
    }
    if held.is_none() {
        let follow = store.within(PATIENCE, store.follow_missed());
        let followed = told(follow.await).unwrap_or(0);
        if followed > 0 {
            tracing::info!(
                messages = followed,
                "followed a change of their calendar event that they had missed"
            );
        }
    }
    let reap = store.within(PATIENCE, store.reap(SILENCE));
    let reaped = told(reap.await).unwrap_or(0);
    if reaped > 0 {
        dispatch.metrics.count(Counter::Reaped, reaped);
        tracing::error!(
            messages = reaped,
            "unconfirmed: the instance that was sending them is dead"
        );
    }
    told(store.within(PATIENCE, store.count_template_uses()).await);
    let strays = store.within(PATIENCE, store.strays());
    let strays = told(strays.await).unwrap_or_default();
    if !strays.is_empty() {
        // A closed channel: the daemon is ending, and its claims with it.
        let _ = inputs.send(Input::Strays(strays)).await;
    }
    told(super::recovery::reaped_alive(dispatch, inputs).await);
    while let Some(Some(went)) = told(store.within(PATIENCE, store.outbox_next()).await) {
        if went {
            dispatch.metrics.count(Counter::OutboxWritten, 1);
            tracing::info!("a write the app's tables had refused went through");
        }
    }
    sample(dispatch).await;
}

/// Notes how far the database has come: one that is found before that is an older one.
async fn follow(dispatch: &Dispatch, history: Option<&Lineage>) {
    let (Some(journal), Some(history)) = (&dispatch.journal, history) else {
        return;
    };
    let store = &dispatch.store;
    told(store.within(BEAT_PATIENCE, store.follow(history)).await);
    if let Some(place) = history.known() {
        journal.reached(place.reached);
    }
}

/// Measures what only the database knows, for the metrics and the live page.
async fn sample(dispatch: &Dispatch) {
    let store = &dispatch.store;
    let Some(sampled) = told(store.within(PATIENCE, store.sample()).await) else {
        return;
    };
    let metrics = &dispatch.metrics;
    metrics.set(Gauge::NotifyQueue, sampled.notify_queue);
    metrics.set(Gauge::InDoubt, sampled.in_doubt);
    metrics.set(Gauge::Outbox, sampled.outbox);
}

/// What waits for the database may have to wait for longer than this machine lives: it is
/// brought onto the disk, off the way of what is being sent.
async fn keep_journal(dispatch: &Dispatch) {
    let Some(journal) = dispatch.journal.clone() else {
        return;
    };
    let synced = tokio::task::spawn_blocking(move || {
        journal.mend();
        journal.sync()
    });
    if let Ok(Err(error)) = synced.await {
        tracing::warn!(%error, "the journal could not be brought onto the disk");
    }
}

fn told<T>(done: Result<T, StoreError>) -> Option<T> {
    done.inspect_err(|error| {
        tracing::warn!(%error, "upkeep did not come to its end; it is repeated");
    })
    .ok()
}

/// Opens the pool's connections ahead. A server without room for all of them is no reason not
/// to run on fewer.
pub(super) async fn open(store: &Store) {
    if let Err(error) = store.within(PATIENCE, store.open()).await {
        tracing::warn!(%error, "not every connection of the pool could be opened ahead");
    }
}

/// Measures the database's clock.
pub(super) async fn measure(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    for _ in 0..READINGS {
        let before = clock::reading();
        let database = store.within(BEAT_PATIENCE, store.now()).await?;
        clock.measured(before, database);
    }
    Ok(())
}

/// Measures until the clock is known again.
pub(super) async fn measure_until_known(dispatch: &Dispatch) {
    let mut failures = 0;
    while !dispatch.clock.is_trusted() {
        if let Err(error) = measure(&dispatch.store, &dispatch.clock).await {
            failures += 1;
            tracing::warn!(%error, "the database's clock could not be measured");
            sleep(MEASURE_AGAIN.pause(failures)).await;
        }
    }
}
