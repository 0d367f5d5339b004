//! When the status of a message is looked up: at growing intervals, and not for ever.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// After a look-up without a response the next one is not made before this.
const AFTER_FAILURE_MIN: Duration = Duration::from_secs(30);

/// After a look-up without a response the next one is made by then.
const AFTER_FAILURE_MAX: Duration = HOUR;

/// After so long without a response the message is not looked up any more.
const GIVE_UP: Duration = Duration::from_secs(48 * 3600);

/// The times of the look-ups, counted from when they became necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookUpPlan(&'static [Duration]);

impl LookUpPlan {
    /// The plan of an unconfirmed message. The first is soon, because most lists are up to date; the last is
    /// when no list lags any more.
    pub const UNCERTAIN: Self = Self(&[
        Duration::from_secs(5),
        Duration::from_secs(30),
        Duration::from_secs(2 * 60),
        Duration::from_secs(15 * 60),
        HOUR,
    ]);

    /// The plan of a message that the provider has, where callbacks are requested: a callback that has not
    /// come by the first of these is probably lost. A carrier may take a day.
    pub const UNHEARD: Self = Self(&[
        Duration::from_secs(2 * 60),
        Duration::from_secs(10 * 60),
        HOUR,
        Duration::from_secs(6 * 3600),
        Duration::from_secs(24 * 3600),
    ]);

    /// The same without callbacks: look-ups are the only source.
    pub const NO_RECEIPTS: Self = Self(&[
        Duration::from_secs(30),
        Duration::from_secs(2 * 60),
        Duration::from_secs(10 * 60),
        HOUR,
        Duration::from_secs(6 * 3600),
        Duration::from_secs(24 * 3600),
    ]);

    /// The pause before the first look-up.
    pub fn first(self) -> Duration {
        self.0.first().copied().unwrap_or(MINUTE)
    }

    /// The pause before the next look-up, after `asked` responses and at `age`. `None`: there is
    /// no further one.
    pub fn next(self, asked: u32, age: Duration) -> Option<Duration> {
        let slot = self.0.get(usize::try_from(asked).ok()?)?;
        Some(slot.saturating_sub(age).max(SECOND))
    }

    /// The same after a look-up without a response, which is not counted.
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
            LookUpPlan::UNCERTAIN,
            LookUpPlan::UNHEARD,
            LookUpPlan::NO_RECEIPTS,
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
        // A look-up that is late itself is not followed by others at once.
        let late = LookUpPlan::UNCERTAIN.next(1, HOUR * 10);
        assert_eq!(late, Some(SECOND));
        assert_eq!(LookUpPlan::UNCERTAIN.next(5, HOUR), None);
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
