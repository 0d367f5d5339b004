//! Measures the database's clock: every few seconds, and at once when this machine's was stepped. While it is
//! disputed, the provider's date is queried, too.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::clock::{self, Clock};
use crate::dispatch::Input;
use crate::limits::daemon::ClockLimits;
use crate::message::Uptime;
use crate::provider::Provider;
use crate::store::{Store, StoreError};

pub(super) struct DatabaseClock {
    /// With connections that no other statement can delay.
    pub(super) store: Store,
    pub(super) clock: Arc<Clock>,
    /// Its date confirms a database's clock that jumped. That of text messages: a webhook's host may be anybody's.
    pub(super) provider: Option<Arc<dyn Provider>>,
    pub(super) inputs: mpsc::Sender<Input>,
    /// Notified when the event loop has found it lost.
    pub(super) lost: Arc<Notify>,
    pub(super) limits: ClockLimits,
}

impl DatabaseClock {
    /// Measures until it is dropped.
    pub(super) async fn keep(self) {
        let mut next = interval(self.limits.every);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.lost.notified() => {
                    self.find().await;
                    // A closed channel: the daemon is ending.
                    let _ = self.inputs.send(Input::ClockFound).await;
                }
                _ = next.tick() => {
                    if let Err(error) = measure(&self.store, &self.clock, &self.limits).await {
                        tracing::warn!(%error, "the database's clock could not be measured");
                    }
                }
            }
        }
    }

    /// Measures until it is known again.
    async fn find(&self) {
        let mut failures = 0;
        let mut next_date = Uptime::MIN;
        let mut is_reported = false;
        while !self.clock.is_trusted() {
            if let (false, Some(by)) = (is_reported, self.clock.disputed()) {
                tracing::error!("{}", disputed(by));
                is_reported = true;
            }
            if let Err(error) = measure(&self.store, &self.clock, &self.limits).await {
                tracing::warn!(%error, "the database's clock could not be measured; sending is paused until it is");
            } else if self.clock.is_trusted() {
                tracing::info!("the database's clock is known again");
                return;
            }
            if self.clock.disputed().is_some() && clock::reading().up >= next_date {
                if self.confirm().await {
                    tracing::warn!(
                        "the provider's date confirms the database's clock: it is followed"
                    );
                    return;
                }
                next_date = clock::reading().up + self.limits.date_pause;
            }
            failures += 1;
            sleep(self.limits.lost_retry.pause(failures)).await;
        }
    }

    /// Whether the provider's date confirms the database's clock.
    async fn confirm(&self) -> bool {
        let Some(provider) = &self.provider else {
            return false;
        };
        let before = clock::reading();
        let Some(date) = provider.date().await else {
            return false;
        };
        self.clock.witnessed(before, date);
        read(&self.store, &self.clock, &self.limits).await.is_ok() && self.clock.is_trusted()
    }
}

/// The log line while it is waited for, with what to do.
pub(super) fn disputed(by_us: i64) -> String {
    let (sign, by) = (if by_us < 0 { "-" } else { "" }, by_us.unsigned_abs());
    let (seconds, milliseconds) = (by / 1_000_000, by % 1_000_000 / 1_000);
    format!(
        "the database's clock is off by {sign}{seconds}.{milliseconds:03} s from what this host's clock confirms: \
         nothing is claimed, started, cancelled as too late or reaped until it agrees within 1 s with this host's \
         clock or the provider's date. Set the wrong clock right; if the database's is right: punctual run \
         --accept-clock"
    )
}

/// Whether it is known now: what the database decides by its clock waits until it is.
pub(super) async fn is_known(
    store: &Store,
    clock: &Clock,
    limits: &ClockLimits,
) -> Result<bool, StoreError> {
    read(store, clock, limits).await?;
    Ok(clock.is_trusted())
}

/// Measures it once.
pub(super) async fn measure(
    store: &Store,
    clock: &Clock,
    limits: &ClockLimits,
) -> Result<(), StoreError> {
    for _ in 0..limits.readings {
        read(store, clock, limits).await?;
    }
    Ok(())
}

async fn read(store: &Store, clock: &Clock, limits: &ClockLimits) -> Result<(), StoreError> {
    let before = clock::reading();
    let database = store.within(limits.patience, store.now()).await?;
    clock.measured(before, database);
    Ok(())
}
