//! How long to pause before trying something again.

use std::time::Duration;

use uuid::Uuid;

/// Exponential backoff: `base` for the first pause, doubled for each after it, never more
/// than `cap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// `base` is the first pause, `cap` the longest; a cap below the base is the base.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        let cap = if cap.as_nanos() < base.as_nanos() {
            base
        } else {
            cap
        };
        Self { base, cap }
    }

    /// The pause after the `n`-th failure in a row, from 1.
    pub fn pause(self, n: u32) -> Duration {
        let doublings = n.saturating_sub(1).min(31);
        self.base
            .checked_mul(1 << doublings)
            .map_or(self.cap, |d| d.min(self.cap))
    }

    /// [`Self::pause`] with up to a quarter taken off, so that what failed together does not
    /// come back together. The share follows from `whose`: the same message and failure give
    /// the same pause, which keeps a simulation repeatable.
    pub fn spread(self, n: u32, whose: Uuid) -> Duration {
        let pause = self.pause(n);
        let (high, low) = whose.as_u64_pair();
        let mixed = (high ^ low ^ u64::from(n)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let [.., b, a] = mixed.to_le_bytes();
        let share = u32::from(u16::from_le_bytes([a, b]));
        pause.saturating_sub(pause / 4 * share / u32::from(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn doubles_up_to_its_cap() {
        let backoff = Backoff::new(SECOND, SECOND * 60);
        let pauses: Vec<_> = (1..=8).map(|n| backoff.pause(n).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.pause(u32::MAX), SECOND * 60);
    }

    #[test]
    fn spreads_downwards_by_a_quarter_at_most() {
        let backoff = Backoff::new(SECOND, SECOND * 60);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let pause = backoff.spread(3, Uuid::new_v4());
            assert!(pause <= SECOND * 4 && pause >= SECOND * 3, "{pause:?}");
            seen.insert(pause);
        }
        assert!(seen.len() > 100, "{} distinct pauses", seen.len());
    }
}
