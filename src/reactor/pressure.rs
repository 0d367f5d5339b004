//! How many requests at once the provider bears: fewer as soon as it says "too many", more
//! again as time passes.

use super::limits::ProviderLimits;
use crate::message::Uptime;

/// See the module. Additive increase, multiplicative decrease.
#[derive(Debug)]
pub(super) struct Pressure {
    limits: ProviderLimits,
    max: usize,
    permits: usize,
    halved: Option<Uptime>,
    stepped: Uptime,
}

impl Pressure {
    /// Bears `max` until it is told otherwise; none is taken as one.
    pub(super) fn new(max: usize, limits: ProviderLimits, now: Uptime) -> Self {
        let max = max.max(1);
        Self {
            limits,
            max,
            permits: max,
            halved: None,
            stepped: now,
        }
    }

    /// Requests at once. Never none: somebody has to find out when it is over.
    pub(super) const fn permits(&self) -> usize {
        self.permits
    }

    /// The provider said "too many" to one of `at_once` requests.
    pub(super) fn throttled(&mut self, at_once: usize, now: Uptime) {
        if self
            .halved
            .is_some_and(|at| now.since(at) < self.limits.crowd)
        {
            return;
        }
        self.halved = Some(now);
        self.stepped = now;
        self.permits = (self.permits.min(at_once) / 2).max(1);
    }

    /// Steps up, if it is time.
    pub(super) fn advance(&mut self, now: Uptime) {
        let Some(at) = self.next_step() else {
            return;
        };
        if now < at {
            return;
        }
        let steps = now.since(self.stepped).as_micros() / self.limits.step_every.as_micros();
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let more = steps.saturating_mul(self.max.div_ceil(self.limits.steps));
        self.permits = self.permits.saturating_add(more).min(self.max);
        self.stepped = now;
    }

    /// When there will be more; `None` at the top.
    pub(super) fn next_step(&self) -> Option<Uptime> {
        (self.permits < self.max).then(|| self.stepped + self.limits.step_every)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const fn at(ms: i64) -> Uptime {
        Uptime::from_micros(ms * 1_000)
    }

    #[test]
    fn halves_once_a_crowd() {
        let mut pressure = Pressure::new(256, ProviderLimits::default(), at(0));
        for ms in [0, 1, 999] {
            pressure.throttled(256, at(ms));
            assert_eq!(pressure.permits(), 128, "{ms}");
        }
        pressure.throttled(128, at(1_000));
        assert_eq!(pressure.permits(), 64);
        pressure.throttled(10, at(2_000));
        assert_eq!(pressure.permits(), 5, "half of what was too much");
        for s in 3..20 {
            pressure.throttled(5, at(s * 1_000));
        }
        assert_eq!(pressure.permits(), 1, "and never none");
    }

    #[test]
    fn comes_back_step_by_step_within_a_minute() {
        let mut pressure = Pressure::new(256, ProviderLimits::default(), at(0));
        pressure.throttled(2, at(0));
        let mut last = pressure.permits();
        assert_eq!(last, 1);
        while let Some(next) = pressure.next_step() {
            pressure.advance(next - Duration::from_micros(1));
            assert_eq!(pressure.permits(), last, "not before its time");
            pressure.advance(next);
            assert!(pressure.permits() > last && pressure.permits() <= last + 5);
            last = pressure.permits();
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
            let mut pressure = Pressure::new(max, ProviderLimits::default(), at(now));
            for (after, throttled, at_once) in events {
                now += after;
                let before = pressure.permits();
                if throttled {
                    pressure.throttled(at_once, at(now));
                    prop_assert!(pressure.permits() <= before);
                } else {
                    pressure.advance(at(now));
                    prop_assert!(pressure.permits() >= before);
                }
                prop_assert!((1..=max.max(1)).contains(&pressure.permits()));
            }
        }
    }
}
