//! Twilio's error codes: the category of each, and whether to retry. No other module has codes. Twilio has a page
//! on each: `https://www.twilio.com/docs/api/errors/CODE`. Those of 21703, 21704 (the messaging service has no
//! number that it can use) and 30033 (the sender's campaign is suspended) have not been read yet: what these mean is
//! not confirmed.
//!
//! A code is in the response to a refused request or, later, in a status callback. The list is
//! Twilio's and changes, so the HTTP status is evaluated before the code, the raw code is always
//! kept, and one that is not in the table is `Unknown`: not retried, and alerted.

use std::time::Duration;

use crate::message::{Category, Outcome, Retry, Scope, Sender};

/// The recipient has opted out.
pub const OPTED_OUT: &[i32] = &[21610, 30004];

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

const fn too_many(scope: Scope, base: Duration) -> Retry {
    let slows = Some(scope);
    Retry::After { base, slows }
}

/// How often a paused account is probed: often enough that a paid bill is noticed soon.
const PROBE: Duration = minutes(5);

/// All known codes, by their meaning.
const TABLE: &[(&[i32], Category, Retry)] = &[
    (
        &[21211, 21217, 21401, 21614, 21635, 30005, 30006],
        Category::InvalidNumber,
        Retry::No,
    ),
    (OPTED_OUT, Category::OptedOut, Retry::No),
    (
        // The credentials, the account's state, or the URL that names it; and the messaging service that is to
        // pick a sender: missing, without a (usable) number, or an invalid name.
        &[
            20003, 20005, 20006, 20008, 20403, 20404, 70051, 10001, 90010, 30002, 21701, 21703,
            21704, 21705,
        ],
        Category::AccountIssue,
        Retry::HoldAccount { probe: PROBE },
    ),
    (
        &[21408, 21606, 21608, 21612, 21659, 30024, 30034],
        Category::SenderIssue,
        Retry::No,
    ),
    // The sender belongs to another account, is not registered, or cannot text any recipient.
    (
        &[21660, 21661, 30032, 30033],
        Category::SenderIssue,
        Retry::HoldSender { pause: PROBE },
    ),
    (
        // 20429 comes as a 429 too, which is then retried sooner.
        &[20429, 63017],
        Category::RateLimit,
        too_many(Scope::Account, minutes(5)),
    ),
    // The sender's queue at Twilio is full, or its campaign is over its rate.
    (
        &[21611, 30001, 30022],
        Category::RateLimit,
        too_many(Scope::Sender, minutes(5)),
    ),
    // Too many between two numbers within 30 seconds.
    (
        &[14107],
        Category::RateLimit,
        too_many(Scope::Recipient, minutes(1)),
    ),
    // The daily limit is used up: a rolling 24 hours, so a probe an hour is enough.
    (
        &[63038],
        Category::RateLimit,
        Retry::HoldAccount { probe: minutes(60) },
    ),
    (&[30003], Category::Unreachable, Retry::after(minutes(1))),
    (
        &[30008, 30410],
        Category::CarrierIssue,
        Retry::MayHaveArrived,
    ),
    // Blocked as SMS pumping; the block is lifted after a while.
    (
        &[30450, 30453],
        Category::CarrierIssue,
        Retry::after(minutes(30)),
    ),
    // The last one: outside of the 24 hours after the recipient's own message, in which WhatsApp takes a free text.
    (&[21617, 21658, 30007, 63016], Category::Content, Retry::No),
];

fn row(code: i32) -> Option<(Category, Retry)> {
    TABLE
        .iter()
        .find(|(codes, ..)| codes.contains(&code))
        .map(|&(_, category, retry)| (category, retry))
}

/// The category of a code; [`Category::Unknown`] if it is not in the table.
pub fn category(code: i32) -> Category {
    row(code).map_or(Category::Unknown, |(category, _)| category)
}

/// What follows from a refusal with this code. Without a code its category decides, and the only one
/// that is known without a code is the account's.
pub fn retry(code: Option<i32>, category: Category) -> Retry {
    match (code.and_then(row), category) {
        (Some((_, retry)), _) => retry,
        (None, Category::AccountIssue) => Retry::HoldAccount { probe: PROBE },
        (None, _) => Retry::No,
    }
}

/// The outcome, corrected by the sender. That a sender is not Twilio's (21659) may depend on the destination if it
/// is a short code, which belongs to one country; for a phone number it is so for every recipient.
pub(super) fn judged_by_sender(outcome: Outcome, from: &Sender) -> Outcome {
    match (outcome, from) {
        (
            Outcome::Refused {
                code: Some(code @ 21659),
                category,
                text,
                ..
            },
            Sender::Number(_),
        ) => Outcome::Refused {
            code: Some(code),
            category,
            text,
            retry: Retry::HoldSender { pause: PROBE },
        },
        (outcome, _) => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documented table: codes, category, retry.
    const DOCUMENT: &str = "
        21211 21217 21401 21614 21635 30005 30006 | invalid_number | no
        21610 30004                         | opted_out     | no
        20003 20005 20006 20008 20403 20404 70051 10001 90010 30002 | account_issue | hold 300
        21701 21703 21704 21705             | account_issue | hold 300
        21408 21606 21608 21612 21659 30024 30034 | sender_issue | no
        21660 21661 30032 30033             | sender_issue  | sender 300
        20429 63017                         | rate_limit    | after 300 Account
        21611 30001 30022                   | rate_limit    | after 300 Sender
        14107                               | rate_limit    | after 60 Recipient
        63038                               | rate_limit    | hold 3600
        30003                               | unreachable   | after 60
        30008 30410                         | carrier_issue | may have arrived
        30450 30453                         | carrier_issue | after 1800
        21617 21658 30007 63016             | content       | no";

    fn words(retry: Retry) -> String {
        match retry {
            Retry::No => "no".into(),
            Retry::After { base, slows } => {
                let whose = slows.map(|scope| format!(" {scope:?}"));
                format!("after {}{}", base.as_secs(), whose.unwrap_or_default())
            }
            Retry::HoldAccount { probe } => format!("hold {}", probe.as_secs()),
            Retry::HoldSender { pause } => format!("sender {}", pause.as_secs()),
            Retry::MayHaveArrived => "may have arrived".to_owned(),
        }
    }

    #[test]
    fn the_table_says_what_the_document_says() {
        let mut listed = Vec::new();
        for line in DOCUMENT.lines().filter(|line| !line.trim().is_empty()) {
            let [codes, kind, then] = line.split('|').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            for code in codes.split_whitespace().map(|c| c.parse().unwrap()) {
                assert_eq!(category(code).as_str(), kind.trim(), "{code}");
                let what_follows = retry(Some(code), category(code));
                assert_eq!(words(what_follows), then.trim(), "{code}");
                listed.push(code);
            }
        }
        let mut known: Vec<_> = TABLE.iter().flat_map(|(codes, ..)| *codes).collect();
        assert_eq!(known.len(), listed.len(), "one of the two has more");
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), listed.len(), "a code is in two rows");
    }

    #[test]
    fn a_phone_number_that_is_not_twilios_is_the_senders_issue_and_a_short_code_may_be_the_destinations()
     {
        let pause = Retry::HoldSender { pause: PROBE };
        for (code, from, then) in [
            (21659, "+15005550006", pause),
            (21659, "12345", Retry::No),
            (21659, "ACME", Retry::No),
            (21606, "+15005550006", Retry::No),
            (21660, "12345", pause),
        ] {
            let refused = Outcome::Refused {
                code: Some(code),
                category: category(code),
                text: String::new(),
                retry: retry(Some(code), category(code)),
            };
            let got = judged_by_sender(refused, &from.parse().unwrap());
            assert!(
                matches!(got, Outcome::Refused { retry, .. } if retry == then),
                "{code} {from} {got:?}"
            );
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_not_retried() {
        for code in [0, -1, 21212, i32::MAX] {
            assert_eq!(category(code), Category::Unknown);
            assert_eq!(retry(Some(code), Category::Unknown), Retry::No);
        }
        assert_eq!(retry(None, Category::Unknown), Retry::No);
        let probe = Retry::HoldAccount { probe: PROBE };
        assert_eq!(retry(None, Category::AccountIssue), probe);
        assert_eq!(retry(Some(99_999), Category::AccountIssue), probe);
    }
}
