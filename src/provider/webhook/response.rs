//! The meaning of an endpoint's response. Pure: status and `Retry-After` in, an [`Outcome`] out.
//!
//! The status alone decides. What an endpoint writes into a response may be anything; it is kept for jobs only
//! (`mod.rs`).

use std::time::Duration;

use crate::message::{Category, Outcome, ProviderSid, Retry, Scope};

/// Before the first retry after a refusal; doubling. An endpoint that is being restarted is back within the first
/// two or three.
pub(super) const RETRY_BASE: Duration = Duration::from_secs(30);

/// The outcome of a request with a response of this status.
pub(super) fn outcome(status: u16, retry_after: Option<Duration>, sid: ProviderSid) -> Outcome {
    let code = Some(i32::from(status));
    let refused = |category, text: &str, retry| Outcome::Refused {
        code,
        category,
        text: text.to_owned(),
        retry,
    };
    let again = |text| refused(Category::Unreachable, text, Retry::after(RETRY_BASE));
    match (status, retry_after) {
        (200..=299, _) => Outcome::Accepted { sid },
        (429, _) | (503, Some(_)) => Outcome::Throttled {
            retry_after,
            code,
            scope: Scope::Account,
            hold: None,
        },
        (410, _) => refused(Category::InvalidNumber, "the endpoint is gone", Retry::No),
        (300..=399, _) => again("the endpoint responded with a redirect, which is not followed"),
        (400..=499, _) => again("the endpoint refused it"),
        (500..=599, _) => again("the endpoint failed"),
        _ => Outcome::Unknown {
            reason: format!("HTTP {status}, which says nothing about the message"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides() {
        let sid = || ProviderSid("WH1".into());
        let soon = Some(Duration::from_secs(7));
        let words = |status, retry_after| match outcome(status, retry_after, sid()) {
            Outcome::Accepted { .. } => "accepted".to_owned(),
            Outcome::Throttled {
                retry_after, code, ..
            } => format!("throttled {code:?} {retry_after:?}"),
            Outcome::Refused { code, retry, .. } => format!("refused {code:?} {retry:?}"),
            Outcome::Unsent { .. } => "unsent".to_owned(),
            Outcome::Unknown { .. } => "unknown".to_owned(),
        };
        for status in 100..=999 {
            let again = format!("refused Some({status}) After {{ base: 30s, slows: None }}");
            let (without, with) = match status {
                200..=299 => ("accepted".to_owned(), "accepted".to_owned()),
                410 => ["refused Some(410) No"; 2].map(str::to_owned).into(),
                429 => (
                    "throttled Some(429) None".to_owned(),
                    "throttled Some(429) Some(7s)".to_owned(),
                ),
                503 => (again, "throttled Some(503) Some(7s)".to_owned()),
                300..=599 => (again.clone(), again),
                _ => ("unknown".to_owned(), "unknown".to_owned()),
            };
            assert_eq!(words(status, None), without, "{status}");
            assert_eq!(words(status, soon), with, "{status}");
        }
    }
}
