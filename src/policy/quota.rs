//! The daily quota among the messages of one claim.
//!
//! The claim statement hands out quota before the other rules are applied. A message that is then
//! rejected or deferred may have used quota that another message of the same claim was refused:
//! that one is not cancelled but deferred until the quota has been returned.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use super::{Reason, ReasonKind, Rules, Verdict, judge};
use crate::message::facts::Limit;
use crate::message::{Claim, Moment, ProviderCapabilities};

/// By then the quota is returned: a verdict is recorded within milliseconds, in the order in which
/// it was reached. If it should take longer, the message is over the limit after all.
const QUOTA_RETURNED: Duration = Duration::from_secs(1);

/// Judges the messages of one claim, each as of its due time, or as of `now` if that has passed.
pub fn judge_all(
    claims: &[Claim],
    rules: &Rules,
    capabilities: &ProviderCapabilities,
    now: Moment,
) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = claims
        .iter()
        .map(|claim| judge(claim, rules, capabilities, now.max(claim.due)))
        .collect();
    let mut returned: HashMap<Option<Uuid>, usize> = HashMap::new();
    for (claim, verdict) in claims.iter().zip(&verdicts) {
        let facts = &claim.facts;
        if matches!(facts.limit, Limit::Taken { .. }) && !matches!(verdict, Verdict::Send(_)) {
            *returned.entry(facts.user_id).or_default() += 1;
        }
    }
    if returned.is_empty() {
        return verdicts;
    }
    for (claim, verdict) in claims.iter().zip(&mut verdicts) {
        let over =
            matches!(verdict, Verdict::Cancel { reason } if reason.kind == ReasonKind::DailyLimit);
        let user = claim.facts.user_id;
        if let Some(left @ 1..) = returned.get_mut(&user).filter(|_| over) {
            *left -= 1;
            *verdict = Verdict::Defer {
                until: now.max(claim.due) + QUOTA_RETURNED,
                reason: Reason::new(
                    ReasonKind::DailyLimit,
                    "the daily quota it needs is being returned by another message",
                ),
            };
        }
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::message::{Capabilities, Facts};

    const USERS: [Uuid; 2] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    const NOW: Moment = Moment::from_micros(1_000_000);

    /// A message to `to` of a user, with quota or without.
    fn claim(user: usize, to: &str, has_quota: bool) -> Claim {
        let day = date(2026, 1, 1);
        let limit = if has_quota {
            Limit::Taken { day }
        } else {
            Limit::Over { limit: 1 }
        };
        let facts = Facts {
            user_id: Some(USERS[user]),
            limit,
            ..Facts::default()
        };
        Claim {
            to_number: to.into(),
            from_number: Some(GOOD.into()),
            due: NOW,
            wanted_at: NOW,
            is_retry: false,
            facts,
            ..super::super::tests::claim()
        }
    }

    const GOOD: &str = "+15005550006";
    const BAD: &str = "nobody";

    #[track_caller]
    fn check(claims: &[Claim], expected: &[&str]) {
        let capabilities = ProviderCapabilities::texts(Capabilities::SENDS_ONLY);
        let verdicts = judge_all(claims, &Rules::default(), &capabilities, NOW);
        let said: Vec<&str> = verdicts
            .iter()
            .map(|verdict| match verdict {
                Verdict::Send(_) => "send",
                Verdict::Defer { until, .. } if *until == NOW + QUOTA_RETURNED => "again",
                Verdict::Defer { .. } => "defer",
                Verdict::Cancel { reason } if reason.kind == ReasonKind::DailyLimit => "over",
                Verdict::Cancel { .. } => "cancel",
                Verdict::Reject { .. } => "reject",
            })
            .collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn who_is_over_the_limit_for_want_of_a_place_that_is_returned_asks_again() {
        let over = || claim(0, GOOD, false);
        check(
            &[claim(0, BAD, true), over(), over()],
            &["reject", "again", "over"],
        );
        check(
            &[over(), claim(0, BAD, true), claim(0, BAD, true), over()],
            &["again", "reject", "reject", "again"],
        );
    }

    #[test]
    fn a_place_that_is_used_or_another_users_is_none() {
        let over = || claim(0, GOOD, false);
        check(&[claim(0, GOOD, true), over()], &["send", "over"]);
        check(&[claim(1, BAD, true), over()], &["reject", "over"]);
        // What used no quota returns none.
        check(&[claim(0, BAD, false), over()], &["over", "over"]);
    }
}
