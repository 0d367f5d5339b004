//! Who comes first: a request that begins, or its time-out that withdraws it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const HELD: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Both ends hold it, and only one of the two can happen.
#[derive(Clone, Debug, Default)]
pub(super) struct Latch(Arc<AtomicU8>);

impl Latch {
    /// Begins. `false`: it was withdrawn.
    pub(super) fn take(&self) -> bool {
        self.swap(TAKEN)
    }

    /// Withdraws it. `true`: it has not begun, and never will.
    pub(super) fn withdraw(&self) -> bool {
        self.swap(WITHDRAWN)
    }

    fn swap(&self, to: u8) -> bool {
        let swapped = self
            .0
            .compare_exchange(HELD, to, Ordering::AcqRel, Ordering::Acquire);
        swapped.is_ok()
    }
}
