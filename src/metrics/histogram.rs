//! A histogram with fixed bounds, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// The upper bounds of its buckets, in microseconds; above the last there is one more. The first
/// is well below what a timer can do, and 100 ms, by which lateness is judged, is among them.
pub const BOUNDS_US: [u64; 18] = [
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    60_000_000,
    300_000_000,
    3_600_000_000,
];

/// Counts of durations, by fixed bounds.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

/// What a histogram holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Histogram))]
pub struct HistogramReport {
    /// Values in all.
    pub count: u64,
    /// Their sum, in microseconds.
    pub sum_us: u64,
    /// The greatest.
    pub max_us: u64,
    /// The upper bounds; values above the last are in one more bucket.
    pub bounds_us: &'static [u64],
    /// Values in each bucket, not added up.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// Takes a value in.
    pub fn note(&self, us: u64) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
        self.max_us.fetch_max(us, Relaxed);
    }

    /// Its contents. Values that are added meanwhile may be in it or not.
    pub fn report(&self) -> HistogramReport {
        let counts: Vec<u64> = self.counts.iter().map(|c| c.load(Relaxed)).collect();
        HistogramReport {
            count: counts.iter().sum(),
            sum_us: self.sum_us.load(Relaxed),
            max_us: self.max_us.load(Relaxed),
            bounds_us: &BOUNDS_US,
            counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_below_it() {
        let histogram = Histogram::default();
        for us in [0, 250, 251, 3_600_000_000, 3_600_000_001] {
            histogram.note(us);
        }
        let report = histogram.report();
        assert_eq!(report.count, 5);
        assert_eq!(report.counts[0], 2);
        assert_eq!(report.counts[1], 1);
        assert_eq!(report.counts[BOUNDS_US.len() - 1], 1);
        assert_eq!(report.counts[BOUNDS_US.len()], 1);
        assert_eq!(report.max_us, 3_600_000_001);
    }
}
