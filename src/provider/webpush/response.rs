//! The meaning of a push service's response (RFC 8030). Pure: status and `Retry-After` in, an [`Outcome`] out.

use std::time::Duration;

use crate::message::{Category, Outcome, ProviderSid, Retry, Scope};

/// Before the first retry after a refusal; doubling.
const RETRY_BASE: Duration = Duration::from_secs(60);

/// Whether there is no such subscription any more: the browser has ended it, or the user has.
pub(super) const fn is_gone(status: u16) -> bool {
    matches!(status, 404 | 410)
}

/// The outcome of a request with a response of this status.
pub(super) fn outcome(status: u16, retry_after: Option<Duration>, sid: ProviderSid) -> Outcome {
    let code = Some(i32::from(status));
    let refused = |category, text: &str, retry| Outcome::Refused {
        code,
        category,
        text: text.to_owned(),
        retry,
    };
    match status {
        200..=299 => Outcome::Accepted { sid },
        404 | 410 => refused(
            Category::InvalidNumber,
            "the subscription has ended",
            Retry::No,
        ),
        413 => refused(
            Category::Content,
            "the message is too long for the push service",
            Retry::No,
        ),
        // Others of 500 and above may come from a gateway that had passed the request on.
        429 | 503 => Outcome::Throttled {
            retry_after,
            code,
            scope: Scope::Account,
            hold: None,
        },
        // Of one subscription, if that was made with other keys; of all, if the settings or the clock are wrong.
        401 | 403 => refused(
            Category::SenderIssue,
            "the push service does not accept the VAPID keys for this subscription",
            Retry::after(RETRY_BASE),
        ),
        300..=399 => refused(
            Category::Unreachable,
            "the push service responded with a redirect, which is not followed",
            Retry::after(RETRY_BASE),
        ),
        400..=499 => refused(Category::Unknown, "the push service refused it", Retry::No),
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
        let soon = Some(Duration::from_secs(7));
        let words =
            |status, retry_after| match outcome(status, retry_after, ProviderSid("PU1".into())) {
                Outcome::Accepted { .. } => "accepted",
                Outcome::Throttled { .. } => "throttled",
                Outcome::Refused {
                    retry: Retry::No, ..
                } => "refused",
                Outcome::Refused { .. } => "again",
                Outcome::Unsent { .. } => "unsent",
                Outcome::Unknown { .. } => "unknown",
            };
        for status in 100..=999 {
            let (without, with) = match status {
                200..=299 => ("accepted", "accepted"),
                429 | 503 => ("throttled", "throttled"),
                300..=399 | 401 | 403 => ("again", "again"),
                400..=499 => ("refused", "refused"),
                _ => ("unknown", "unknown"),
            };
            assert_eq!(words(status, None), without, "{status}");
            assert_eq!(words(status, soon), with, "{status}");
            assert_eq!(is_gone(status), [404, 410].contains(&status), "{status}");
        }
    }
}
