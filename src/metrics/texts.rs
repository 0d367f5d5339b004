//! What is counted of the texts that a language model writes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Histogram;
use crate::wording::{DraftEnd, Spent};

/// The texts of a process.
#[derive(Debug, Default)]
pub struct Texts {
    ends: [AtomicU64; DraftEnd::ALL.len()],
    cost_nanos: AtomicU64,
    tokens: [AtomicU64; 2],
    /// From a request to its answer, or to the failure.
    pub took: Histogram,
}

impl Texts {
    /// A draft has ended.
    pub fn ended(&self, end: DraftEnd, many: u64) {
        self.ends[end as usize].fetch_add(many, Relaxed);
    }

    /// A call was made.
    pub fn called(&self, spent: &Spent) {
        self.took.note(micros(spent.took));
        let cost = spent.cost.unwrap_or_default();
        self.cost_nanos.fetch_add(cost.0, Relaxed);
        if let Some(usage) = spent.usage {
            self.tokens[0].fetch_add(usage.input, Relaxed);
            self.tokens[1].fetch_add(usage.output, Relaxed);
        }
    }

    /// How many drafts ended so.
    pub fn count(&self, end: DraftEnd) -> u64 {
        self.ends[end as usize].load(Relaxed)
    }

    /// What calls have cost, in billionths of a USD.
    pub fn cost_nanos(&self) -> u64 {
        self.cost_nanos.load(Relaxed)
    }

    /// The tokens of requests, and those of answers.
    pub fn tokens(&self) -> [u64; 2] {
        [self.tokens[0].load(Relaxed), self.tokens[1].load(Relaxed)]
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
