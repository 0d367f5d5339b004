//! What will happen to the messages that pages show. It is read for all viewers together, and not at each of their
//! updates.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::HttpState;
use super::jobs::Kind;
use crate::clock::Stopwatch;
use crate::forecast::{Forecast, Surroundings};
use crate::message::MessageId;
use crate::reactor::report::TimerReport;
use crate::store::forecast::Forecasts;

/// The latest that were read. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Option<Latest>>>);

struct Latest {
    since: Stopwatch,
    of: HashMap<MessageId, Forecast>,
    around: Option<Arc<Surroundings>>,
}

impl HttpState {
    /// Adds what will happen to these messages, as it was read last. The timers are useful without it too, so one that
    /// is new, or a database that does not respond, leaves it out.
    ///
    /// Returns what is known beside the messages, as it was read with them.
    pub(super) async fn forecast_shown(
        &self,
        timers: &mut [TimerReport],
    ) -> Option<Arc<Surroundings>> {
        let mut latest = self.shown.0.lock().await;
        let is_fresh = |latest: &Latest| latest.since.elapsed() < self.limits.forecasts_every;
        if !latest.as_ref().is_some_and(is_fresh) {
            let since = Stopwatch::start();
            let known = self.known(timers).await.map(Forecasts::into_parts);
            let (of, around) = known.unzip();
            *latest = Some(Latest {
                since,
                of: of.unwrap_or_default(),
                around: around.map(Arc::new),
            });
        }
        let latest = latest.as_ref()?;
        for timer in timers {
            timer.forecast = latest.of.get(&timer.id).cloned();
        }
        latest.around.clone()
    }

    /// What will happen to the messages of these timers; of none, if the database does not say it in time.
    pub(super) async fn forecasts(&self, timers: &[TimerReport]) -> HashMap<MessageId, Forecast> {
        let known = self.known(timers).await;
        known.map(Forecasts::into_all).unwrap_or_default()
    }

    async fn known(&self, timers: &[TimerReport]) -> Option<Forecasts> {
        let (store, assumed) = self.stories.clone()?;
        let ids: Vec<MessageId> = timers.iter().map(|timer| timer.id).collect();
        let patience = self.limits.forecast;
        let read = async move {
            store
                .within(patience, store.forecasts(&ids, &assumed))
                .await
        };
        // Nobody waits for more than that: the timers are shown without it.
        match self.jobs.run(Kind::Single, patience, read).await {
            Ok(Ok(known)) => Some(known),
            Err(_) => None,
            Ok(Err(error)) => {
                tracing::debug!(%error, "what will happen to the messages could not be read");
                None
            }
        }
    }
}
