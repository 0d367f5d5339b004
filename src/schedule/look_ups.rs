//! When the provider is asked what became of a message: at growing intervals, and not for ever.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A provider that gives no answer is asked again after this at the soonest.
const AFTER_FAILURE_MIN: Duration = Duration::from_secs(30);

/// And after this at the latest.
const AFTER_FAILURE_MAX: Duration = HOUR;

/// A provider that has given no answer for this long is not asked about that message any more.
const GIVE_UP: Duration = Duration::from_secs(48 * 3600);

/// The moments at which something is asked, counted from when the question came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookUpPlan(&'static [Duration]);

impl LookUpPlan {
    /// About an unconfirmed message. The first soon, for most lists are up to date; the last when
    /// no list lags any more.
    pub const IN_DOUBT: Self = Self(&[
        Duration::from_secs(5),
        Duration::from_secs(30),
        Duration::from_secs(2 * 60),
        Duration::from_secs(15 * 60),
        HOUR,
    ]);

    /// About a message the provider has, where callbacks are asked for: what was not reported by
    /// the first of these is probably lost. A carrier may take a day.
    pub const UNHEARD: Self = Self(&[
        Duration::from_secs(2 * 60),
        Duration::from_secs(10 * 60),
        HOUR,
        Duration::from_secs(6 * 3600),
        Duration::from_secs(24 * 3600),
    ]);

    /// The same where no callbacks come: what is asked is all that is heard.
    pub const UNTOLD: Self = Self(&[
        Duration::from_secs(30),
        Duration::from_secs(2 * 60),
        Duration::from_secs(10 * 60),
        HOUR,
        Duration::from_secs(6 * 3600),
        Duration::from_secs(24 * 3600),
    ]);

    /// How long after the question came up it is asked first.
    pub fn first(self) -> Duration {
        self.0.first().copied().unwrap_or(MINUTE)
    }

    /// How long from now until it is asked again, after `asked` answers and `age` since the
    /// question came up. `None`: not any more.
    pub fn next(self, asked: u32, age: Duration) -> Option<Duration> {
        let slot = self.0.get(usize::try_from(asked).ok()?)?;
        Some(slot.saturating_sub(age).max(SECOND))
    }

    /// The same after a provider that gave no answer, which does not count as one.
    pub fn after_failure(self, age: Duration) -> Option<Duration> {
        (age < GIVE_UP).then(|| (age / 2).clamp(AFTER_FAILURE_MIN, AFTER_FAILURE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_at_growing_intervals_and_ends() {
        for plan in [
            LookUpPlan::IN_DOUBT,
            LookUpPlan::UNHEARD,
            LookUpPlan::UNTOLD,
        ] {
            let (mut age, mut asked, mut gaps) = (Duration::ZERO, 0, vec![]);
            while let Some(gap) = plan.next(asked, age) {
                age += gap;
                asked += 1;
                gaps.push(gap);
            }
            assert_eq!(gaps[0], plan.first());
            assert!(gaps.is_sorted() && gaps.len() <= 6, "{gaps:?}");
            assert!(age <= HOUR * 24, "{age:?}");
        }
        // Late itself, it does not ask again at once without end.
        let late = LookUpPlan::IN_DOUBT.next(1, HOUR * 10);
        assert_eq!(late, Some(SECOND));
        assert_eq!(LookUpPlan::IN_DOUBT.next(5, HOUR), None);
    }

    #[test]
    fn a_silent_provider_is_asked_a_bounded_number_of_times() {
        let (mut age, mut times) = (Duration::ZERO, 0);
        while let Some(gap) = LookUpPlan::UNHEARD.after_failure(age) {
            age += gap;
            times += 1;
        }
        assert!((40..80).contains(&times), "{times}");
    }
}
