//! How late requests started.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Lateness of every request of this run, in microseconds, to three significant digits.
#[derive(Debug)]
pub struct Lateness(Histogram<u64>);

/// More than a day is recorded as a day.
const LATEST_US: u64 = 24 * 3600 * 1_000_000;

impl Lateness {
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATEST_US, 3);
        Self(histogram.expect("1 < LATEST_US and 3 digits are within the histogram's limits"))
    }

    pub(super) fn note(&mut self, late: Duration) {
        self.0
            .saturating_record(u64::try_from(late.as_micros()).unwrap_or(LATEST_US));
    }

    /// How many were measured.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The lateness that the share `q` (0 to 1) of all messages did not exceed, in µs.
    pub fn quantile_us(&self, q: f64) -> u64 {
        self.0.value_at_quantile(q)
    }

    /// The latest of all, in µs.
    pub fn max_us(&self) -> u64 {
        self.0.max()
    }
}
