//! The meaning of a server's refusal. Pure: step and code in, an [`Outcome`] out.
//!
//! A code of 4xx is for now, one of 5xx for good (RFC 5321, 4.2.1). The enhanced code at the start of the text
//! (RFC 3463), where there is one, says what it is about.

use std::time::Duration;

use super::connection::Step;
use crate::message::{Category, Outcome, Retry, Scope};

/// Before the first retry after a refusal for now; doubling. A mailbox that is full or busy is so for minutes.
const RETRY_BASE: Duration = Duration::from_secs(60);

/// Between two probes of a server that refuses this client or its login.
const PROBE: Duration = Duration::from_secs(60);

/// The outcome of a message that the server refused at this step.
pub(super) fn outcome(at: Step, code: u16, text: &str) -> Outcome {
    let enhanced = enhanced(text);
    let number = Some(i32::from(code));
    let refused = |category, retry| Outcome::Refused {
        code: number,
        category,
        text: text.to_owned(),
        retry,
    };
    let throttled = |scope| Outcome::Throttled {
        retry_after: None,
        code: number,
        scope,
        hold: None,
    };
    match (at, code, enhanced) {
        // The service is not available to this client now.
        (_, 421, _) | (Step::Greeting, 400..=499, _) => throttled(Scope::Account),
        (Step::Greeting | Step::Login, ..) | (_, 530 | 535, _) => {
            refused(Category::AccountIssue, Retry::HoldAccount { probe: PROBE })
        }
        // A rate limit, or greylisting, which is about sender and recipient.
        (_, 450 | 451, Some((4, 7, _))) => throttled(Scope::Recipient),
        (_, 500..=599, _) => refused(category(at, code, enhanced), Retry::No),
        _ => refused(Category::Unreachable, Retry::after(RETRY_BASE)),
    }
}

/// What a refusal for good is about.
fn category(at: Step, code: u16, enhanced: Option<(u16, u16, u16)>) -> Category {
    match (enhanced, at, code) {
        (Some((_, 1, 7 | 8)), ..) => Category::SenderIssue,
        (Some((_, 2, 1 | 2)), ..) => Category::Unreachable,
        (Some((_, 2, 3) | (_, 3, 4) | (_, 6, _)), ..) | (_, _, 552) => Category::Content,
        (_, Step::Sender, _) => Category::SenderIssue,
        (Some((_, 7, _)), ..) => Category::CarrierIssue,
        (Some((_, 1, _)), ..) | (_, Step::Recipient, _) => Category::InvalidNumber,
        (_, Step::Content, _) => Category::Content,
        _ => Category::Unknown,
    }
}

/// The enhanced code at the start of a text, like `5.1.1`.
pub(super) fn enhanced(text: &str) -> Option<(u16, u16, u16)> {
    let mut numbers = text.split_whitespace().next()?.splitn(3, '.');
    let mut next = || numbers.next()?.parse().ok();
    let code = (next()?, next()?, next()?);
    matches!(code.0, 2 | 4 | 5).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_and_the_step_decide() {
        let for_good = |category: &str| format!("{category} No");
        let held = "AccountIssue HoldAccount { probe: 60s }".to_owned();
        let later = "Unreachable After { base: 60s, slows: None }".to_owned();
        for (at, code, text, expected) in [
            (
                Step::Recipient,
                550,
                "5.1.1 no such user",
                for_good("InvalidNumber"),
            ),
            (
                Step::Recipient,
                550,
                "no such user",
                for_good("InvalidNumber"),
            ),
            (
                Step::Recipient,
                550,
                "5.2.1 disabled",
                for_good("Unreachable"),
            ),
            (Step::Recipient, 552, "5.2.2 full", for_good("Unreachable")),
            (
                Step::Recipient,
                554,
                "5.7.1 rejected",
                for_good("CarrierIssue"),
            ),
            (
                Step::Sender,
                550,
                "5.7.1 not yours",
                for_good("SenderIssue"),
            ),
            (
                Step::Recipient,
                550,
                "5.1.8 bad sender",
                for_good("SenderIssue"),
            ),
            (Step::Content, 554, "5.6.0 bad", for_good("Content")),
            (Step::Content, 554, "spam", for_good("Content")),
            (Step::Data, 503, "no", for_good("Unknown")),
            (Step::Sender, 530, "5.7.0 log in first", held.clone()),
            (Step::Login, 535, "5.7.8 no", held.clone()),
            (Step::Login, 454, "4.7.0 later", held.clone()),
            (Step::Greeting, 554, "go away", held),
            (Step::Greeting, 451, "busy", "throttled Account".into()),
            (
                Step::Content,
                421,
                "4.3.2 closing",
                "throttled Account".into(),
            ),
            (
                Step::Recipient,
                450,
                "4.7.1 greylisted",
                "throttled Recipient".into(),
            ),
            (
                Step::Content,
                451,
                "4.7.0 slow down",
                "throttled Recipient".into(),
            ),
            (Step::Recipient, 450, "4.2.1 mailbox busy", later.clone()),
            (Step::Recipient, 452, "4.3.1 full", later.clone()),
            (Step::Content, 451, "", later),
        ] {
            let found = match outcome(at, code, text) {
                Outcome::Refused {
                    category, retry, ..
                } => format!("{category:?} {retry:?}"),
                Outcome::Throttled { scope, .. } => format!("throttled {scope:?}"),
                other => format!("{other:?}"),
            };
            assert_eq!(found, expected, "{at:?} {code} {text}");
        }
    }
}
