//! What the planner of reminders has done.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::plan::reminders::Skip;

/// Reminders that were planned, and events without one.
#[derive(Debug, Default)]
pub struct Reminders {
    planned: AtomicU64,
    skipped: [AtomicU64; Skip::ALL.len()],
}

impl Reminders {
    /// So many were planned.
    pub fn planned(&self, messages: usize) {
        let n = u64::try_from(messages).unwrap_or(u64::MAX);
        self.planned.fetch_add(n, Relaxed);
    }

    /// An event has none, for this reason.
    pub fn skipped(&self, skip: Skip) {
        if let Some(count) = self.skipped.get(skip as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// How many were planned.
    pub(super) fn all_planned(&self) -> u64 {
        self.planned.load(Relaxed)
    }

    /// How many events have none, by the reason.
    pub(super) fn all_skipped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = Skip::ALL.iter().zip(&self.skipped);
        // One that was planned before was not skipped.
        let all = all.filter(|(skip, _)| **skip != Skip::Planned);
        all.map(|(skip, n)| (skip.as_str(), n.load(Relaxed)))
    }
}
