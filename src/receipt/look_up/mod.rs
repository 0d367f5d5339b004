//! Looks up at the provider what it has not reported: the status of an accepted message, and whether it has
//! an unconfirmed one at all. The responses are merged like callbacks.
//!
//! - `queries`: which requests are made for many look-ups, and how many at once.
//! - `lists`: what lists show, compared with the ledger.
//! - `found`: what each response proves.
//! - `settle`: evaluates the responses, for all look-ups of a round together.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::limits::daemon::LookUpLimits;
use crate::message::InDoubt;
use crate::metrics::{Counter, Metrics};
use crate::proof::Report;
use crate::provider::{Fetched, Listed, Providers};
use crate::schedule::LookUpPlan as Plan;
use crate::store::look_ups::{LookUp, LookUpNote, LookUpSubject};
use crate::store::{Store, StoreError};

mod found;
mod lists;
mod queries;
mod settle;

pub use queries::Pace;

/// Makes look-ups.
#[derive(Clone)]
pub struct LookUps {
    /// Counts duplicates and receipts.
    pub metrics: Arc<Metrics>,
    /// Says how long ago it was sent what the list does not show: the database's own clock may have jumped.
    pub clock: Arc<Clock>,
    /// The ledger.
    pub store: Store,
    /// The providers that are queried.
    pub providers: Providers,
    /// The policy for unconfirmed messages whose row has none.
    pub policy: InDoubt,
    /// A message later than this is not sent again.
    pub max_lateness: Duration,
    /// When messages without a receipt are looked up.
    pub unheard: Plan,
    /// How many requests are made at once to each account.
    pub pace: Pace,
    /// Look-ups in a round, and pauses.
    pub limits: LookUpLimits,
    /// Reports in one transaction.
    pub group: usize,
}

/// What the provider responded to one look-up.
#[derive(Clone, Debug)]
enum Response {
    Fetched(Fetched),
    /// What a list has that may concern this look-up.
    Listed(Arc<Listed>),
    /// No request was made: the provider has no look-up, or there is nothing to query by.
    NotQueried,
    /// No request was made: the settings have no provider for its account and channel. They may be wrong, and have it
    /// again, so this is no result.
    NotConfigured,
    /// No request was made, because another one of this round to its account got no response.
    Skipped {
        reason: &'static str,
        is_throttled: bool,
    },
}

/// A report that a look-up found, and the note to store if the report does not settle it.
struct Found {
    report: Report,
    note: String,
}

/// One look-up of a round, with its response.
struct Queried {
    look_up: LookUp,
    response: Response,
}

impl LookUps {
    /// One round. Returns whether there may be more to look up at once.
    pub async fn round(&self) -> Result<bool, StoreError> {
        let (most, reservation) = (self.limits.round, self.limits.reservation);
        let due = self
            .step(
                self.store
                    .look_ups(most, most, reservation, self.clock.now().db),
            )
            .await?;
        if due.is_empty() {
            return Ok(false);
        }
        let full = due.len() >= most;
        let (responses, responds) = self.query_all(&due).await;
        let queried = due.into_iter().zip(responses);
        let queried: Vec<Queried> = queried
            .map(|(look_up, response)| Queried { look_up, response })
            .collect();
        // The results so far are stored, even if an error ended the round.
        let (notes, broken) = self.settle(&queried).await;
        let notes: Vec<(&LookUp, LookUpNote)> = notes
            .into_iter()
            .filter_map(|(n, noted)| Some((&queried.get(n)?.look_up, noted)))
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

    /// When a message is looked up.
    const fn plan(&self, look_up: &LookUp) -> Plan {
        match look_up.about {
            LookUpSubject::Uncertain(_) => Plan::UNCERTAIN,
            LookUpSubject::Sid(_) | LookUpSubject::Nothing => self.unheard,
        }
    }

    /// The result of a look-up without a response.
    fn failed(&self, look_up: &LookUp, reason: &str) -> LookUpNote {
        let age = look_up.now.since(look_up.asked_since);
        LookUpNote {
            asked: look_up.asked,
            next: self.plan(look_up).after_failure(age),
            note: format!("no response: {reason}"),
        }
    }
}
