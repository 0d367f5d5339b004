//! The results of the latest claims and records, for the check why messages are not sent.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock;
use crate::message::Uptime;
use crate::store::StoreError;

/// A failure of a claim, or of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it failed.
    pub at: Uptime,
    /// The database's error.
    pub error: String,
    /// Whether it refused; otherwise it did not respond, and it is not known whether it took effect.
    pub is_refusal: bool,
}

impl Failure {
    fn of(error: &StoreError) -> Self {
        Self {
            at: clock::reading().up,
            error: error.to_string(),
            is_refusal: error.is_refusal(),
        }
    }
}

/// The latest results.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// When a claim last succeeded.
    pub won: Option<Uptime>,
    /// The latest claim that failed since then.
    pub claim: Option<Failure>,
    /// The latest record that failed since one succeeded.
    pub record: Option<Failure>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Noted>);

impl Notes {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        // Consistent after every statement, so a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current state.
    pub fn get(&self) -> Noted {
        self.noted().clone()
    }

    pub(super) fn won(&self) {
        let mut noted = self.noted();
        noted.won = Some(clock::reading().up);
        noted.claim = None;
    }

    pub(super) fn claim_failed(&self, error: &StoreError) {
        self.noted().claim = Some(Failure::of(error));
    }

    pub(super) fn recorded(&self) {
        self.noted().record = None;
    }

    pub(super) fn record_failed(&self, error: &StoreError) {
        self.noted().record = Some(Failure::of(error));
    }
}
