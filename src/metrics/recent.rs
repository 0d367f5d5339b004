//! How late requests started lately: a histogram for every five minutes of the last day.

use std::sync::{Mutex, PoisonError};

use super::histogram::{BOUNDS_US, HistogramReport};
use crate::message::Moment;

/// How long a stretch lasts, in microseconds.
const STRETCH_US: i64 = 300_000_000;

/// The stretches of an hour, and the present one.
const HOUR: i64 = 12 + 1;

/// The stretches of a day, and the present one.
const DAY: i64 = 12 * 24 + 1;

#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    /// Its number since the epoch. A place in the ring with another number is empty.
    number: i64,
    sum_us: u64,
    max_us: u64,
    counts: [u32; BOUNDS_US.len() + 1],
}

/// The lateness of the last day's requests.
#[derive(Debug, Default)]
pub struct Recent {
    /// A ring of [`DAY`] places, made with the first value.
    stretches: Mutex<Vec<Stretch>>,
}

impl Recent {
    pub(super) fn note(&self, at: Moment, us: u64) {
        let number = at.as_micros().div_euclid(STRETCH_US);
        let Some(place) = place(number) else {
            return;
        };
        let mut stretches = self
            .stretches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if stretches.is_empty() {
            stretches.resize(usize::try_from(DAY).unwrap_or(0), Stretch::default());
        }
        let Some(stretch) = stretches.get_mut(place) else {
            return;
        };
        if stretch.number > number {
            // Of more than a day ago: the clock was set back.
            return;
        }
        if stretch.number < number {
            *stretch = Stretch {
                number,
                ..Stretch::default()
            };
        }
        let count = &mut stretch.counts[BOUNDS_US.partition_point(|bound| *bound < us)];
        *count = count.saturating_add(1);
        stretch.sum_us = stretch.sum_us.saturating_add(us);
        stretch.max_us = stretch.max_us.max(us);
    }

    /// Those of the last hour, to five minutes.
    pub fn hour(&self, now: Moment) -> HistogramReport {
        self.last(HOUR, now)
    }

    /// Those of the last 24 hours, to five minutes.
    pub fn day(&self, now: Moment) -> HistogramReport {
        self.last(DAY, now)
    }

    fn last(&self, stretches: i64, now: Moment) -> HistogramReport {
        let newest = now.as_micros().div_euclid(STRETCH_US);
        let mut report = HistogramReport {
            count: 0,
            sum_us: 0,
            max_us: 0,
            bounds_us: &BOUNDS_US,
            counts: vec![0; BOUNDS_US.len() + 1],
        };
        let all = self
            .stretches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The estimate of the database's clock may go back a little.
        let wanted = |stretch: &&Stretch| stretch.number > newest - stretches && stretch.number > 0;
        for stretch in all.iter().filter(wanted) {
            for (sum, count) in report.counts.iter_mut().zip(stretch.counts) {
                *sum += u64::from(count);
                report.count += u64::from(count);
            }
            report.sum_us = report.sum_us.saturating_add(stretch.sum_us);
            report.max_us = report.max_us.max(stretch.max_us);
        }
        report
    }
}

fn place(number: i64) -> Option<usize> {
    usize::try_from(number.rem_euclid(DAY)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Moment {
        Moment::from_micros(1_767_258_000_000_000 + minutes * 60_000_000)
    }

    #[test]
    fn an_hour_and_a_day_end_where_they_should() {
        let recent = Recent::default();
        assert_eq!(recent.day(at(0)).count, 0);
        for (minutes, us) in [(0, 200), (1, 300_000), (62, 400)] {
            recent.note(at(minutes), us);
        }
        assert_eq!(recent.hour(at(62)).count, 3, "to five minutes");
        let hour = recent.hour(at(66));
        assert_eq!((hour.count, hour.max_us, hour.sum_us), (1, 400, 400));
        let day = recent.day(at(66));
        assert_eq!((day.count, day.max_us, day.counts[0]), (3, 300_000, 1));
        assert_eq!(recent.day(at(24 * 60 + 6)).count, 1);
        assert_eq!(recent.day(at(48 * 60)).count, 0);
        // The place of a stretch is taken by the one a day and a stretch later, and not returned.
        recent.note(at(24 * 60 + 5), 100);
        recent.note(at(0), 100);
        assert_eq!(recent.day(at(24 * 60 + 5)).counts[0], 1);
    }
}
