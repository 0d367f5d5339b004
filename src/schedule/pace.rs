//! The slots of a pace: one message each, a gap after the other. The database takes them (`claim_paced.sql`); this is
//! the same rule for forecasts and for the simulation.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::message::Moment;

/// How long after the beginning of its slot a message of a campaign may start. The next slot begins a gap after that,
/// so that the gap is kept between the requests, whichever instances make them.
pub const PACE_SLACK: Duration = Duration::from_secs(1);

/// The same where its sender has a rate.
pub const RATE_SLACK: Duration = Duration::from_millis(50);

/// When a sender has room for a message of so many segments, if it has room for one at `next`. More than a burst wait
/// for a whole one.
pub fn room_at(next: Moment, segments: i32, burst: i32, each: Duration) -> Moment {
    next + each * segments.min(burst).saturating_sub(1).unsigned_abs()
}

/// When it has room for one again, after a message of so many segments in the slot.
pub fn after_charge(
    next: Moment,
    slot: Moment,
    segments: i32,
    burst: i32,
    each: Duration,
) -> Moment {
    let full = slot - each * burst.saturating_sub(1).unsigned_abs();
    next.max(full) + each * segments.unsigned_abs()
}

/// The gap after the message of a slot: a function of the pace's seed and the slot's number, so that it is the same
/// whoever asks, and is never drawn again.
pub fn gap(seed: i64, position: i64, (min, max): (Duration, Duration)) -> Duration {
    let hash = Sha256::digest(format!("{seed}:{position}"));
    let drawn = u128::from(u32::from_be_bytes([0, hash[0], hash[1], hash[2]]));
    let span = max.saturating_sub(min).as_micros();
    let more = u64::try_from((drawn * span) >> 24).unwrap_or(u64::MAX);
    min + Duration::from_micros(more)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_gap_is_within_its_range_and_always_the_same(
            seed: i64, position in 0..i64::MAX, min in 1..86_400_000_000_u64, more in 0..86_400_000_000_u64,
        ) {
            let gaps = (Duration::from_micros(min), Duration::from_micros(min + more));
            let one = gap(seed, position, gaps);
            prop_assert!((gaps.0..=gaps.1).contains(&one));
            prop_assert_eq!(one, gap(seed, position, gaps));
        }
    }

    #[test]
    fn gaps_are_spread_over_their_range() {
        let gaps = (Duration::from_secs(240), Duration::from_secs(420));
        let all: Vec<_> = (0..1_000).map(|n| gap(7, n, gaps).as_secs()).collect();
        let lower = all.iter().filter(|secs| **secs < 330).count();
        assert!(
            (400..600).contains(&lower),
            "{lower} of 1,000 are in the lower half"
        );
    }
}
