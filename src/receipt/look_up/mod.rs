//! Looks up at the provider what it has not reported: the status of an accepted message, and whether it has
//! an unconfirmed one at all. The responses are merged like callbacks.
//!
//! - `queries`: which requests are made for many look-ups, and how many at once.
//! - `lists`: what lists show, compared with the ledger.
//! - `settle`: what follows from the responses, for all look-ups of a round together.

use std::sync::Arc;
use std::time::Duration;

use crate::message::InDoubt;
use crate::metrics::{Counter, Metrics};
use crate::proof::Report;
use crate::provider::{Fetched, Listed, Provider};
use crate::schedule::LookUpPlan as Plan;
use crate::store::look_ups::{About, LookUp, Noted};
use crate::store::{Store, StoreError};

mod lists;
mod queries;
mod settle;

pub use queries::Pace;

/// Unconfirmed attempts in one round, and accepted ones without a receipt. Apart, so that many of the latter
/// do not delay the former. A round of this many takes a few seconds of a provider that responds.
const ROUND: usize = 250;

/// How long a round keeps what it took: longer than it takes if the provider responds. If the process dies
/// in a round, its look-ups wait for so long. A look-up that is made twice does no harm.
const HOLD: Duration = Duration::from_secs(60);

/// When a look-up is tried again that the provider throttled.
const THROTTLED_RETRY: Duration = Duration::from_secs(2);

/// Makes look-ups.
#[derive(Clone)]
pub struct LookUps {
    /// Counts duplicates and receipts.
    pub metrics: Arc<Metrics>,
    /// The ledger.
    pub store: Store,
    /// The provider that is queried.
    pub provider: Arc<dyn Provider>,
    /// The policy for unconfirmed messages whose row has none.
    pub policy: InDoubt,
    /// A message later than this is not sent again.
    pub max_lateness: Duration,
    /// When messages without a receipt are looked up.
    pub unheard: Plan,
    /// How many requests are made at once.
    pub pace: Pace,
}

/// What the provider responded to one look-up.
#[derive(Clone, Debug)]
enum Answer {
    Fetched(Fetched),
    /// What a list has that may concern this look-up.
    Listed(Arc<Listed>),
    /// No request was made: the provider has no look-up, or there is nothing to ask by.
    Unasked,
    /// No request was made, because another one of this round got no response.
    Spared {
        reason: &'static str,
        is_throttled: bool,
    },
}

/// A report that a look-up found, and what is noted if it changes nothing for the look-up.
struct Found {
    report: Report,
    note: String,
}

/// One look-up of a round, with its response.
struct Asked {
    look_up: LookUp,
    answer: Answer,
}

impl LookUps {
    /// One round. Whether there may be more to look up at once.
    pub async fn round(&self) -> Result<bool, StoreError> {
        let due = self.step(self.store.look_ups(ROUND, ROUND, HOLD)).await?;
        if due.is_empty() {
            return Ok(false);
        }
        let full = due.len() >= ROUND;
        let (answers, responds) = self.ask_all(&due).await;
        let asked = due.into_iter().zip(answers);
        let asked: Vec<Asked> = asked
            .map(|(look_up, answer)| Asked { look_up, answer })
            .collect();
        let settled = self.settle(&asked).await;
        // What is known by now is noted, whatever became of the rest.
        let (notes, broken) = settled;
        let notes: Vec<(&LookUp, Noted)> = notes
            .into_iter()
            .filter_map(|(n, noted)| Some((&asked.get(n)?.look_up, noted)))
            .collect();
        self.step(self.store.looked_up(&notes)).await?;
        if let Some(broken) = broken {
            return Err(broken);
        }
        self.metrics
            .count(Counter::Duplicates, self.store.take_duplicates());
        Ok(full && responds)
    }

    fn step<T>(
        &self,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        self.store.bounded(step)
    }

    /// What is noted where there was no response.
    fn failed(&self, look_up: &LookUp, reason: &str) -> Noted {
        let plan = match look_up.about {
            About::Uncertain(_) => Plan::IN_DOUBT,
            About::Sid(_) | About::Nothing => self.unheard,
        };
        Noted {
            asked: look_up.asked,
            next: plan.after_failure(look_up.now.since(look_up.asked_since)),
            note: format!("no response: {reason}"),
        }
    }
}
