//! What a plan asks of its sender: segments in all and on each day, when they are sent at a rate, and how long they
//! wait where somebody else keeps to one.

use std::time::Duration;

use jiff::civil::Date;

use super::OpenTime;
use super::campaign::Planned;
use crate::message::Moment;

/// A plan, with the segments of each of its messages.
#[derive(Clone, Copy, Debug)]
pub struct Estimate<'a> {
    planned: &'a [Planned],
    segments: &'a [usize],
    open: &'a OpenTime,
}

impl<'a> Estimate<'a> {
    /// Of these messages, which have so many segments each.
    pub const fn of(planned: &'a [Planned], segments: &'a [usize], open: &'a OpenTime) -> Self {
        Self {
            planned,
            segments,
            open,
        }
    }

    /// All segments.
    pub fn segments(&self) -> usize {
        self.segments.iter().sum()
    }

    fn each(&self) -> impl Iterator<Item = (Moment, usize)> + use<'a> {
        let due = self.planned.iter().map(|one| one.at);
        due.zip(self.segments.iter().copied())
    }

    /// The segments of each day of the campaign's calendar on which some are due.
    pub fn days(&self) -> Vec<(Date, usize)> {
        let mut days: Vec<(Date, usize)> = Vec::new();
        for (at, segments) in self.each() {
            let Ok(at) = jiff::Timestamp::from_microsecond(at.as_micros()) else {
                continue;
            };
            let day = self.open.zone().to_datetime(at).date();
            match days.last_mut().filter(|last| last.0 == day) {
                Some(last) => last.1 += segments,
                None => days.push((day, segments)),
            }
        }
        days
    }

    /// When the last message is sent, where a segment takes so long and nothing is sent while it is closed. `None`:
    /// there is none, or no open hour for it.
    pub fn last_at_rate(&self, segment: Duration) -> Option<Moment> {
        let mut last = None;
        let mut free = self.planned.first()?.at;
        for (at, segments) in self.each() {
            let start = self.open.next(at.max(free))?;
            last = Some(start);
            free = self.open.after(start, times(segment, segments))?;
        }
        last
    }

    /// How long a message waits at most, where all are handed in when they are due, and a segment takes so long.
    pub fn longest_wait(&self, segment: Duration) -> Duration {
        let mut longest = Duration::ZERO;
        let mut free: Option<Moment> = None;
        for (at, segments) in self.each() {
            let start = free.map_or(at, |free| free.max(at));
            longest = longest.max(start.since(at));
            free = Some(start + times(segment, segments));
        }
        longest
    }
}

fn times(segment: Duration, n: usize) -> Duration {
    segment * u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::plan::campaign::{Pacing, Skips, Start};

    const MINUTE: Duration = Duration::from_secs(60);

    /// 20 messages from 19:30, half an hour before it closes.
    fn evening() -> (OpenTime, Vec<Planned>) {
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        let open = OpenTime::new("mon-fri 09:00-20:00".parse().unwrap(), zone);
        let start: jiff::Timestamp = "2026-07-07T02:30:00Z".parse().unwrap();
        let start = Start::At(Moment::from_micros(start.as_microsecond()));
        let pacing = Pacing {
            seed: 1,
            gaps: (4 * MINUTE, 7 * MINUTE),
            skips: Skips {
                per_mille: 0,
                ..Skips::default()
            },
        };
        let planned = pacing.plan(&open, start, 0, 20).unwrap();
        (open, planned)
    }

    #[test]
    fn segments_count_by_the_days_of_the_campaign() {
        let (open, planned) = evening();
        let estimate = Estimate::of(&planned, &[3; 20], &open);
        assert_eq!(estimate.segments(), 60);
        let days = estimate.days();
        let names: Vec<String> = days.iter().map(|(day, _)| day.to_string()).collect();
        assert_eq!(names, ["2026-07-06", "2026-07-07"]);
        assert_eq!(days[0].1 + days[1].1, 60);
        assert!((12..=24).contains(&days[0].1), "{days:?}");
        assert!(Estimate::of(&[], &[], &open).days().is_empty());
    }

    #[test]
    fn a_rate_that_is_enough_moves_nothing_and_a_low_one_waits_for_the_hours() {
        let (open, planned) = evening();
        let estimate = Estimate::of(&planned, &[3; 20], &open);
        let last = planned[19].at;
        assert_eq!(estimate.last_at_rate(Duration::from_secs(1)), Some(last));
        assert_eq!(
            estimate.longest_wait(Duration::from_secs(1)),
            Duration::ZERO
        );
        // 19 messages of half an hour each: one that evening, and the others from nine.
        let slow = estimate.last_at_rate(10 * MINUTE).unwrap();
        let first = planned[0].at;
        assert_eq!(open.between(first, slow), 19 * 30 * MINUTE);
        // Somebody else's queue knows no hours: the last waits less, by the night.
        let waits = estimate.longest_wait(10 * MINUTE);
        assert!((240 * MINUTE..360 * MINUTE).contains(&waits), "{waits:?}");
        assert_eq!(Estimate::of(&[], &[], &open).last_at_rate(MINUTE), None);
    }
}
