//! How many requests at once the provider accepts from one lane: fewer as soon as it says "too many" to two
//! recipients, more again as time passes.

use crate::limits::ProviderLimits;
use crate::message::{PartyKey, Uptime};

/// The rate of one lane. Additive increase, multiplicative decrease.
#[derive(Debug)]
pub(super) struct Throttle {
    limits: ProviderLimits,
    max: usize,
    permits: usize,
    /// When it was last lowered; before that, when it began.
    lowered: Uptime,
    is_lowered: bool,
    /// The pair that was throttled last, and when: one alone shows nothing about the others.
    latest: Option<(PartyKey, Uptime)>,
}

impl Throttle {
    /// Starts at `max`, until the provider throttles; none counts as one.
    pub(super) fn new(max: usize, limits: ProviderLimits, now: Uptime) -> Self {
        let max = max.max(1);
        Self {
            limits,
            max,
            permits: max,
            lowered: now,
            is_lowered: false,
            latest: None,
        }
    }

    /// The most requests at once that there ever are.
    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// Requests at once. Never none: a request has to find out when it is over.
    pub(super) fn permits(&self, now: Uptime) -> usize {
        if self.permits == self.max {
            return self.max;
        }
        let more = self
            .steps(now)
            .saturating_mul(self.max.div_ceil(self.limits.steps));
        self.permits.saturating_add(more).min(self.max)
    }

    /// Steps up since it was last lowered.
    fn steps(&self, now: Uptime) -> usize {
        let steps = now.since(self.lowered).as_micros() / self.limits.step_every.as_micros().max(1);
        usize::try_from(steps).unwrap_or(usize::MAX)
    }

    /// The provider said "too many" to a request of this pair, one of `at_once`.
    pub(super) fn throttled(&mut self, pair: PartyKey, at_once: usize, now: Uptime) {
        let latest = self.latest.replace((pair, now));
        let is_general = latest
            .is_some_and(|(other, at)| other != pair && now.since(at) < self.limits.general_within);
        if !is_general {
            return;
        }
        if self.is_lowered && now.since(self.lowered) < self.limits.crowd {
            return;
        }
        self.permits = (self.permits(now).min(at_once) / 2).max(1);
        self.is_lowered = true;
        self.lowered = now;
    }

    /// When there will be more; `None` at the top.
    pub(super) fn next_step(&self, now: Uptime) -> Option<Uptime> {
        let next = u32::try_from(self.steps(now)).map_or(u32::MAX, |n| n.saturating_add(1));
        (self.permits(now) < self.max).then(|| self.lowered + self.limits.step_every * next)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::message::{LaneKey, Parties};

    const fn at(ms: i64) -> Uptime {
        Uptime::from_micros(ms * 1_000)
    }

    fn pair(n: usize) -> PartyKey {
        Parties::of(&LaneKey::default(), None, &n.to_string()).pair
    }

    impl Throttle {
        /// Two recipients hear it.
        fn throttled_twice(&mut self, at_once: usize, now: Uptime) {
            self.throttled(pair(1), at_once, now);
            self.throttled(pair(2), at_once, now);
        }
    }

    #[test]
    fn one_recipient_says_nothing_about_the_others() {
        let mut throttle = Throttle::new(256, ProviderLimits::default(), at(0));
        for s in 0..60 {
            throttle.throttled(pair(1), 1, at(s * 1_000));
        }
        assert_eq!(throttle.permits(at(60_000)), 256);
        throttle.throttled(pair(2), 256, at(70_000));
        assert_eq!(throttle.permits(at(70_000)), 256, "much later");
        throttle.throttled(pair(3), 256, at(70_001));
        assert_eq!(throttle.permits(at(70_001)), 128);
    }

    #[test]
    fn halves_once_a_crowd() {
        let mut throttle = Throttle::new(256, ProviderLimits::default(), at(0));
        for ms in [0, 1, 999] {
            throttle.throttled_twice(256, at(ms));
            assert_eq!(throttle.permits(at(ms)), 128, "{ms}");
        }
        throttle.throttled_twice(128, at(1_000));
        assert_eq!(throttle.permits(at(1_000)), 64);
        throttle.throttled_twice(10, at(2_000));
        assert_eq!(throttle.permits(at(2_000)), 5, "half of what was too much");
        for s in 3..20 {
            throttle.throttled_twice(1, at(s * 1_000));
        }
        assert_eq!(throttle.permits(at(19_000)), 1, "and never none");
    }

    #[test]
    fn comes_back_step_by_step_within_a_minute() {
        let mut throttle = Throttle::new(256, ProviderLimits::default(), at(0));
        throttle.throttled_twice(2, at(0));
        let mut now = at(0);
        let mut last = throttle.permits(now);
        assert_eq!(last, 1);
        while let Some(next) = throttle.next_step(now) {
            let before = throttle.permits(next - Duration::from_micros(1));
            assert_eq!(before, last, "not before its time");
            now = next;
            let permits = throttle.permits(now);
            assert!(permits > last && permits <= last + 5);
            last = permits;
            assert!(next <= at(60_000), "{next:?}");
        }
        assert_eq!(last, 256);
    }

    proptest! {
        /// Whatever comes, when, and however late it is noticed.
        #[test]
        fn stays_between_one_and_all(
            max in 0..600_usize,
            events in proptest::collection::vec((0..5_000_i64, any::<bool>(), 0..600_usize), 0..60),
        ) {
            let mut now = 0;
            let mut throttle = Throttle::new(max, ProviderLimits::default(), at(now));
            for (after, throttled, at_once) in events {
                let earlier = throttle.permits(at(now));
                now += after;
                let before = throttle.permits(at(now));
                prop_assert!(before >= earlier);
                if throttled {
                    throttle.throttled(pair(at_once), at_once, at(now));
                }
                prop_assert!(throttle.permits(at(now)) <= before);
                prop_assert!((1..=max.max(1)).contains(&throttle.permits(at(now))));
            }
        }
    }
}
