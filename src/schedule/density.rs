//! How many are due when, roughly: kept up to date with each change, because to count a million
//! timers at each request would delay those that are due.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::message::Moment;

/// The width of a bucket: fine enough to see a minute's shape, and an hour's window has 720.
pub const DENSITY_BUCKET: Duration = Duration::from_secs(5);

/// The same, to count with.
const BUCKET_US: i64 = 5_000_000;

/// Timers by the bucket they lie in; no empty bucket is kept.
#[derive(Debug, Default)]
pub(super) struct Density(BTreeMap<i64, u32>);

impl Density {
    const fn bucket(at: Moment) -> i64 {
        at.as_micros().div_euclid(BUCKET_US)
    }

    pub(super) fn add(&mut self, at: Moment) {
        *self.0.entry(Self::bucket(at)).or_insert(0) += 1;
    }

    pub(super) fn take(&mut self, at: Moment) {
        let bucket = Self::bucket(at);
        if let Some(count) = self.0.get_mut(&bucket) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&bucket);
            }
        }
    }

    pub(super) fn from(&self, now: Moment, buckets: usize) -> (Moment, Vec<u32>) {
        let first = Self::bucket(now);
        let mut counts = vec![0_u32; buckets];
        if let Some(overdue) = counts.first_mut() {
            *overdue = self.0.range(..first).map(|(_, count)| *count).sum();
        }
        for (bucket, count) in self.0.range(first..) {
            let index = usize::try_from(bucket - first).unwrap_or(usize::MAX);
            let Some(into) = counts.get_mut(index) else {
                break;
            };
            *into += count;
        }
        (Moment::from_micros(first.saturating_mul(BUCKET_US)), counts)
    }
}
