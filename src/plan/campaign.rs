//! The plan of a campaign: its messages in their order, a random gap apart, now and then a longer one, and only while
//! its hours are open.
//!
//! The gap after a message is the one that the pace of the campaign draws for the same slot, by the same seed
//! ([`crate::schedule::pace`]). So the claim moves nothing that is on time, and what has waited during an outage is
//! sent with gaps of the same kind.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::OpenTime;
use crate::message::Moment;
use crate::schedule::PACE_SLACK;
use crate::schedule::pace::gap;

/// Of so many messages in a row about the same number is followed by a longer gap.
const BLOCK: i64 = 20;

/// How a campaign paces its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// The plan is a function of it.
    pub seed: i64,
    /// The shortest and the longest gap.
    pub gaps: (Duration, Duration),
    /// The longer gaps.
    pub skips: Skips,
}

/// Now and then a gap is longer, as with a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skips {
    /// How many of 1,000 gaps.
    pub per_mille: u32,
    /// By how much longer: the least and the most.
    pub length: (Duration, Duration),
}

/// The gaps that people leave.
impl Default for Skips {
    fn default() -> Self {
        Self {
            per_mille: 175,
            length: (Duration::from_secs(600), Duration::from_secs(900)),
        }
    }
}

/// When a plan begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Then, or when it opens.
    At(Moment),
    /// A gap after the last message that is planned already, and not before a moment.
    After {
        /// When that one is due.
        last: Moment,
        /// Now.
        not_before: Moment,
    },
}

/// When a message is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its place in the campaign, from 0.
    pub position: i64,
    /// When.
    pub at: Moment,
    /// The gap before it, in open time, without what is added to it; of the first none.
    pub gap: Duration,
    /// What is added to it.
    pub skip: Option<Duration>,
}

impl Pacing {
    /// The gaps of the pace that the claims keep. A slot lasts a second, and the gap of a pace begins after that.
    pub fn pace(&self) -> (Duration, Duration) {
        let (min, max) = self.gaps;
        (min, max.saturating_sub(PACE_SLACK).max(min))
    }

    /// The plan of `n` messages, the first of which has this position; `None`: there is no open hour for all of them.
    pub fn plan(
        &self,
        open: &OpenTime,
        start: Start,
        first: i64,
        n: usize,
    ) -> Option<Vec<Planned>> {
        let mut gaps = Gaps::of(*self);
        let mut planned: Vec<Planned> = Vec::with_capacity(n);
        for position in (first..).take(n) {
            let before = planned.last().map(|last| last.at);
            let next = match (before, start) {
                (None, Start::At(at)) => Planned {
                    position,
                    at: open.next(at)?,
                    gap: Duration::ZERO,
                    skip: None,
                },
                (None, Start::After { last, not_before }) => {
                    let mut next = gaps.next(open, last, position)?;
                    next.at = next.at.max(open.next(not_before)?);
                    next
                }
                (Some(before), _) => gaps.next(open, before, position)?,
            };
            planned.push(next);
        }
        Some(planned)
    }
}

/// The gaps of a campaign, with the block of messages whose longer gaps are known.
struct Gaps {
    pacing: Pacing,
    block: Option<(i64, Vec<bool>)>,
}

impl Gaps {
    const fn of(pacing: Pacing) -> Self {
        Self {
            pacing,
            block: None,
        }
    }

    /// The message of this position, after the one before it.
    fn next(&mut self, open: &OpenTime, before: Moment, position: i64) -> Option<Planned> {
        let gap = gap(self.pacing.seed, position - 1, self.pacing.pace()) + PACE_SLACK;
        let skip = self.skip(position - 1);
        Some(Planned {
            position,
            at: open.after(before, gap + skip.unwrap_or_default())?,
            gap,
            skip,
        })
    }

    /// What is added to the gap after this position.
    fn skip(&mut self, position: i64) -> Option<Duration> {
        let (number, within) = (position.div_euclid(BLOCK), position.rem_euclid(BLOCK));
        if self.block.as_ref().map(|(of, _)| *of) != Some(number) {
            self.block = Some((number, self.skips_of(number)));
        }
        let (_, skips) = self.block.as_ref()?;
        let is_one = *skips.get(usize::try_from(within).ok()?)?;
        is_one.then(|| {
            let (min, max) = self.pacing.skips.length;
            let span = max.saturating_sub(min).as_micros();
            let drawn = u128::from(self.draw("length", position) >> 40);
            min + Duration::from_micros(u64::try_from((drawn * span) >> 24).unwrap_or_default())
        })
    }

    /// Which of a block have a longer gap: their number is the chance of one, rounded up or down, so that their share
    /// of a campaign hardly differs from it.
    fn skips_of(&self, number: i64) -> Vec<bool> {
        let expected = u64::from(self.pacing.skips.per_mille.min(1_000)) * BLOCK.unsigned_abs();
        let more = self.draw("more", number) % 1_000 < expected % 1_000;
        let count = expected / 1_000 + u64::from(more);
        let keys: Vec<(u64, i64)> = (0..BLOCK)
            .map(|n| {
                (
                    self.draw("rank", number.wrapping_mul(BLOCK).wrapping_add(n)),
                    n,
                )
            })
            .collect();
        let rank = |key: &(u64, i64)| keys.iter().filter(|other| *other < key).count() as u64;
        keys.iter().map(|key| rank(key) < count).collect()
    }

    fn draw(&self, what: &str, n: i64) -> u64 {
        let hash = Sha256::digest(format!("{}:{what}:{n}", self.pacing.seed));
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(first)
    }
}

/// How long a plan takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From the first message to the last.
    pub all: Duration,
    /// How much of it is open.
    pub open: Duration,
    /// On how many days of the campaign's calendar messages are due.
    pub days: usize,
}

impl Span {
    /// Of these messages; `None`: there is none.
    pub fn of(planned: &[Planned], open: &OpenTime) -> Option<Self> {
        let (first, last) = (planned.first()?.at, planned.last()?.at);
        let day = |one: &Planned| {
            let at = jiff::Timestamp::from_microsecond(one.at.as_micros()).ok()?;
            Some(open.zone().to_datetime(at).date())
        };
        let mut days: Vec<_> = planned.iter().filter_map(day).collect();
        days.dedup();
        Some(Self {
            all: last.since(first),
            open: open.between(first, last),
            days: days.len(),
        })
    }
}
