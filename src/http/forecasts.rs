//! What will happen to the messages that pages show. It is read for all viewers together, and not at each of their updates.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::HttpState;
use crate::clock::Stopwatch;
use crate::forecast::Forecast;
use crate::message::MessageId;
use crate::reactor::report::TimerReport;

/// The latest that were read. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Option<Latest>>>);

struct Latest {
    since: Stopwatch,
    of: HashMap<MessageId, Forecast>,
}

impl HttpState {
    /// Adds what will happen to these messages, as it was read last. The timers are useful without it too, so one that
    /// is new, or a database that does not respond, leaves it out.
    pub(super) async fn forecast_shown(&self, timers: &mut [TimerReport]) {
        let mut latest = self.shown.0.lock().await;
        let is_fresh = |latest: &Latest| latest.since.elapsed() < self.limits.forecasts_every;
        if !latest.as_ref().is_some_and(is_fresh) {
            let since = Stopwatch::start();
            let of = self.forecasts(timers).await;
            *latest = Some(Latest { since, of });
        }
        let Some(latest) = &*latest else { return };
        for timer in timers {
            timer.forecast = latest.of.get(&timer.id).cloned();
        }
    }

    /// What will happen to the messages of these timers; of none, if the database does not say it in time.
    pub(super) async fn forecasts(&self, timers: &[TimerReport]) -> HashMap<MessageId, Forecast> {
        let Some((store, assumed)) = &self.stories else {
            return HashMap::new();
        };
        let ids: Vec<MessageId> = timers.iter().map(|timer| timer.id).collect();
        let read = store.forecasts(&ids, assumed);
        match store.within(self.limits.forecast, read).await {
            Ok(known) => known.into_all(),
            Err(error) => {
                tracing::debug!(%error, "what will happen to the messages could not be read");
                HashMap::new()
            }
        }
    }
}
