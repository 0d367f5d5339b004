//! Whether a message that was accepted and did not arrive is tried again.

use super::super::standing::{RetryPlan, RowStanding};
use super::Allowed;
use crate::message::{Delivery, MessageId, Retry};
use crate::settle::ACCOUNT_PAUSE_MAX;
use crate::settle::AttemptBudget;

/// Whether a message that did not arrive is retried, and when: by what its failure means, and
/// within the row's limits, of which `attempts` are used. A message that may have arrived is not.
pub(super) fn again(
    message: MessageId,
    row: &RowStanding,
    attempts: i32,
    delivery: Delivery,
    allowed: Allowed,
) -> Option<RetryPlan> {
    let failure = delivery.failure()?;
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
