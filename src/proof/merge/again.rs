//! Whether a message that was accepted and did not arrive is tried again.

use std::time::Duration;

use super::super::standing::{RetryPlan, RowStanding};
use crate::message::{Delivery, Failure, MessageId, Retry};
use crate::settle::ACCOUNT_PAUSE_MAX;
use crate::settle::AttemptBudget;

/// Before the first retry of what the carrier may have delivered, where that is retried.
const CARRIER_PAUSE: Duration = Duration::from_secs(180);

/// The installation's settings that decide about retries.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// A message that is later than this gets no further attempt.
    pub max_lateness: Duration,
    /// From the acceptance of one part to the next.
    pub part_gap: Duration,
    /// Whether what may have arrived is retried, at the risk of a second text.
    pub retry_carrier: bool,
}

impl Allowed {
    /// What a failure means here.
    pub(super) fn failure(self, failure: Failure) -> Failure {
        let retry = match failure.retry {
            Retry::MayHaveArrived if self.retry_carrier => Retry::after(CARRIER_PAUSE),
            retry => retry,
        };
        Failure { retry, ..failure }
    }
}

/// Whether a message that did not arrive is retried, and when: by what its failure means, and
/// within the row's limits, of which `attempts` are used. A message that may have arrived is only if the installation
/// wants it.
pub(super) fn again(
    message: MessageId,
    row: &RowStanding,
    attempts: i32,
    delivery: Delivery,
    allowed: Allowed,
) -> Option<RetryPlan> {
    let failure = allowed.failure(delivery.failure()?);
    let limits = row.limits;
    let lateness = limits.late_from + allowed.max_lateness;
    let expires = limits.send_before.map_or(lateness, |own| own.min(lateness));
    match failure.retry {
        Retry::After { base, .. } => {
            let tries = AttemptBudget {
                number: attempts,
                before: attempts.saturating_sub(1),
                max: limits.max_attempts,
                expires,
            };
            let pause = tries.next(base, message, limits.now).ok()?;
            Some(RetryPlan {
                pause,
                counts: true,
            })
        }
        // The account or the sender failed: the request after the pause tests whether it still does.
        Retry::HoldAccount { probe: pause } | Retry::HoldSender { pause } => {
            let pause = pause.min(ACCOUNT_PAUSE_MAX);
            (limits.now + pause <= expires).then_some(RetryPlan {
                pause,
                counts: false,
            })
        }
        Retry::No | Retry::MayHaveArrived => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_carrier_may_have_delivered_is_retried_where_that_is_wanted_and_nothing_else() {
        for (retry, retry_carrier, is_retried) in [
            (Retry::MayHaveArrived, false, false),
            (Retry::MayHaveArrived, true, true),
            (Retry::No, true, false),
        ] {
            let allowed = Allowed {
                max_lateness: Duration::from_secs(3600),
                part_gap: Duration::ZERO,
                retry_carrier,
            };
            let failure = allowed.failure(Failure {
                retry,
                ..Failure::UNEXPLAINED
            });
            assert_eq!(failure.is_retried(), is_retried, "{retry:?}");
            let base = matches!(failure.retry, Retry::After { base, .. } if base == Duration::from_secs(180));
            assert_eq!(base, is_retried, "{retry:?}");
        }
    }
}
