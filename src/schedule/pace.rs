//! The slots of a pace: one message each, a gap after the other. The database takes them (`claim_paced.sql`); this is the
//! same rule for forecasts and for the simulation.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::message::Moment;

/// How long after the beginning of its slot a message of a campaign may start. The next slot begins a gap after that, so
/// that the gap is kept between the requests, whichever instances make them.
pub const PACE_SLACK: Duration = Duration::from_secs(1);

/// The gap after the message of a slot: a function of the pace's seed and the slot's number, so that it is the same
/// whoever asks, and is never drawn again.
pub fn gap(seed: i64, position: i64, (min, max): (Duration, Duration)) -> Duration {
    let hash = Sha256::digest(format!("{seed}:{position}"));
    let drawn = u128::from(u32::from_be_bytes([0, hash[0], hash[1], hash[2]]));
    let span = max.saturating_sub(min).as_micros();
    let more = u64::try_from((drawn * span) >> 24).unwrap_or(u64::MAX);
    min + Duration::from_micros(more)
}

/// When the slots from `position` on begin, the first of them at `next`.
pub fn slots(
    seed: i64,
    position: i64,
    gaps: (Duration, Duration),
    next: Moment,
) -> impl Iterator<Item = Moment> {
    (position..).scan(next, move |next, position| {
        let slot = *next;
        *next = slot + PACE_SLACK + gap(seed, position, gaps);
        Some(slot)
    })
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

        /// However late within its slot each message starts, and wherever the first slot is.
        #[test]
        fn starts_are_a_gap_apart(
            seed: i64, min in 1..600_000_000_u64, more in 0..600_000_000_u64,
            late in prop::collection::vec(0..=1_000_000_u64, 2..40),
        ) {
            let gaps = (Duration::from_micros(min), Duration::from_micros(min + more));
            let slots = slots(seed, 0, gaps, Moment::from_micros(0));
            let starts: Vec<_> = slots.zip(&late).map(|(slot, late)| slot + Duration::from_micros(*late)).collect();
            for pair in starts.windows(2) {
                prop_assert!(pair[1].since(pair[0]) >= gaps.0);
                prop_assert!(pair[1].since(pair[0]) <= gaps.1 + 2 * PACE_SLACK);
            }
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
