//! Checks of senders: those that the next messages name, and the default one.

use crate::message::Sender;
use crate::provider;
use crate::store::doctor::{Finding, Level};

/// How many are shown.
const SHOWN: usize = 3;

/// Twilio's numbers for its test credentials begin so; with others they are refused.
const TEST_NUMBERS: &str = "+1500555000";

/// Senders that the provider will refuse, of `named` with their number of messages; `None`: no sender.
pub(super) fn unusable(named: &[(Option<String>, i64)], has_default: bool) -> Finding {
    const WHAT: &str = "senders";
    let mut faults = Vec::new();
    for (sender, n) in named {
        let why = match sender {
            None if has_default => continue,
            None => "no from_number, and no default sender is set".to_owned(),
            Some(text) => match Sender::parse(text, provider::TEXTS.sender_pools) {
                Ok(sender) if is_for_tests(&sender) => {
                    "a number of Twilio's test credentials".to_owned()
                }
                Ok(_) => continue,
                Err(why) => format!("a from_number that is not usable: {why}"),
            },
        };
        faults.push(format!("{n} of the next 1,000 have {why}"));
    }
    if faults.is_empty() {
        return Finding::ok(WHAT, "those of the next 1,000 are usable");
    }
    let more = faults.len().saturating_sub(SHOWN);
    faults.truncate(SHOWN);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    Finding::not(
        Level::Warn,
        WHAT,
        faults.join("; "),
        "they will fail: write a number in E.164, a short code, a name or a messaging service (MG…), or null for \
         the default sender",
    )
}

pub(super) fn is_for_tests(sender: &Sender) -> bool {
    sender.as_str().starts_with(TEST_NUMBERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_finding_repeats_a_number() {
        let named = [
            (Some("555-1234".to_owned()), 3),
            (Some("+15005550006".to_owned()), 2),
            (Some("+12025550100".to_owned()), 1),
            (None, 4),
        ];
        let found = unusable(&named, false).found;
        assert_eq!(found.matches("of the next").count(), 3, "{found}");
        assert!(!found.contains("555"), "{found}");
        assert_eq!(unusable(&named[2..], true).level, Level::Ok);
    }

    #[test]
    fn a_messaging_service_is_a_sender() {
        let level = |sender: &str| unusable(&[(Some(sender.to_owned()), 1)], true).level;
        let service = "MG0123456789abcdef0123456789abcdef";
        assert_eq!(level(service), Level::Ok);
        assert_eq!(level(&service[..33]), Level::Warn);
    }
}
