//! What the modem's and the network's codes mean: `+CMS ERROR`, and TP-Status of a report. Pure.
//! `docs/modem.md` has the tables.

use std::time::Duration;

use super::at::Failed;
use crate::message::{Category, Delivery, Failure, Outcome, Retry, Scope};
use crate::proof::ProviderStatus;
use crate::provider::http::tidy::tidy;

const MINUTE: Duration = Duration::from_secs(60);

/// The pause between probes, while the SIM or its subscription does not permit messages. A person has to act.
const PROBE: Duration = MINUTE;

/// The same while there is no network, which comes back by itself.
pub(super) const NO_NETWORK_PROBE: Duration = Duration::from_secs(15);

/// Before the first retry of what the network refused for now.
const RETRY_BASE: Duration = MINUTE;

/// What an error says about the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The network or the SIM certainly did not take it.
    Refused(Category, Retry),
    /// There are too many messages.
    Busy,
    /// The modem does not know what the network did.
    Uncertain,
}

/// `+CMS ERROR` (3GPP TS 27.005, 3.2.5): up to 127 what the network answered (TS 24.011, E-2), up to 255 what the
/// service centre did (TS 23.040, 9.2.3.22), above what the modem itself says.
fn meaning(code: u16) -> Meaning {
    use Meaning::{Busy, Refused, Uncertain};
    let hold = |probe| Retry::HoldAccount { probe };
    match code {
        // No such number; the service centre knows it, and does not serve it.
        1 | 195 | 196 => Refused(Category::InvalidNumber, Retry::No),
        // The SIM's own number is barred, unknown or unsubscribed; and there is no SIM, it wants a PIN, or is another
        // one than the modem wants, there is no service centre, or the modem is set up for something else.
        8 | 10 | 28..=30 | 50 | 69 | 193 | 301..=303 | 310..=313 | 315..=318 | 330 => {
            Refused(Category::AccountIssue, hold(PROBE))
        }
        27 => Refused(Category::Unreachable, Retry::after(RETRY_BASE)),
        // Congestion, no resources, the centre is busy.
        42 | 47 | 192 => Busy,
        // The form of the message is not what network or modem accept.
        81 | 95 | 96 | 97 | 98 | 99 | 111 | 128..=191 | 198 | 199 | 304 | 305 => {
            Refused(Category::Content, Retry::No)
        }
        // The network and the centre answered, and did not take it; and the SIM or its memory is busy or full, before
        // anything was sent.
        2..=127 | 194 | 200..=255 | 314 | 320..=322 | 340 => {
            Refused(Category::CarrierIssue, Retry::after(RETRY_BASE))
        }
        331 => Refused(Category::Unreachable, hold(NO_NETWORK_PROBE)),
        // The modem failed, the network did not answer, the centre has had the same, which may be this one (197), or it
        // is a code of the maker's.
        _ => Uncertain,
    }
}

/// The outcome of a message that the modem did not accept. After its last byte was written, what the modem does not
/// know is uncertain; before, nothing was sent whatever the error.
pub(super) fn outcome(failed: Failed, after_last_byte: bool) -> Outcome {
    let code = match failed {
        Failed::Message(code) => code,
        Failed::Equipment(_) | Failed::Plain => 500,
    };
    match meaning(code) {
        Meaning::Refused(category, retry) => Outcome::Refused {
            code: Some(i32::from(code)),
            category,
            text: sentence(category, code).to_owned(),
            retry,
        },
        Meaning::Busy => Outcome::Throttled {
            retry_after: None,
            code: Some(i32::from(code)),
            scope: Scope::Account,
            hold: None,
        },
        Meaning::Uncertain if after_last_byte => Outcome::Unknown {
            reason: format!("the modem does not say whether the network took it: {failed}"),
        },
        Meaning::Uncertain => Outcome::Unsent {
            reason: format!("the modem refused to send: {failed}"),
        },
    }
}

const fn sentence(category: Category, code: u16) -> &'static str {
    match (category, code) {
        (Category::InvalidNumber, _) => "the number cannot be texted",
        (_, 310) => "there is no SIM in the modem",
        (_, 311..=312 | 316..=318) => "the SIM is locked",
        (_, 330) => "the SIM has no number of a service centre",
        (_, 331) => "the modem has no network",
        (_, 322) => "the memory for messages is full",
        (Category::AccountIssue, 300..) => "the modem or its SIM cannot send",
        (Category::AccountIssue, _) => "the network does not let this SIM send",
        (Category::Content, _) => "the network does not accept a message of this form",
        (Category::Unreachable, _) => "the recipient cannot be reached now",
        (_, 300..) => "the modem could not send it now",
        _ => "the network could not take it now",
    }
}

/// The SIM, or its subscription, does not permit messages, for a reason that only a person can remove.
pub(super) fn account(text: &str) -> Outcome {
    Outcome::Refused {
        code: None,
        category: Category::AccountIssue,
        text: tidy(text),
        retry: Retry::HoldAccount { probe: PROBE },
    }
}

/// What a report says (TS 23.040, 9.2.3.15). `None`: nothing that this knows.
pub(super) fn status(code: u8) -> Option<ProviderStatus> {
    let failed = |category, retry| Delivery::Undelivered(Failure { category, retry });
    let (delivery, word) = match code {
        0x00 => (Delivery::Delivered, "delivered"),
        // Passed on, or replaced by a later one: the centre does not know more.
        0x01..=0x1f => (Delivery::Sent, "forwarded"),
        // It goes on trying.
        0x20..=0x3f => (Delivery::Sent, "trying"),
        // Not tried again: for good, or because the time was over.
        0x41 | 0x43 | 0x49 => (failed(Category::InvalidNumber, Retry::No), "undelivered"),
        0x46 | 0x60..=0x62 => (failed(Category::Unreachable, Retry::No), "undelivered"),
        0x40..=0x7f => (failed(Category::CarrierIssue, Retry::No), "undelivered"),
        0x80.. => return None,
    };
    let failure = delivery.failure();
    Some(ProviderStatus {
        delivery,
        word,
        code: failure.map(|_| i32::from(code)),
        error: failure.map(|failure| {
            let why = match (failure.category, code) {
                (_, 0x46) => "the phone could not be reached in time",
                (Category::Unreachable, _) => "the phone is off or out of reach",
                (Category::InvalidNumber, _) => "the number cannot be texted",
                _ => "the network did not deliver it",
            };
            format!("{word}: {why} (Code: {code})")
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documented table.
    const DOCUMENT: &str = "
        1 195 196                    | invalid_number | no
        8 10 28 29 30 50 69 193      | account_issue  | hold 60
        301 302 303 310 311 312 313 315 316 317 318 330 | account_issue | hold 60
        27                           | unreachable    | after 60
        331                          | unreachable    | hold 15
        81 95 96 97 98 99 111 128 143 144 191 198 199 304 305 | content | no
        21 22 38 41 127 194 208 255 314 320 321 322 340 | carrier_issue | after 60
        42 47 192                    | busy           | -
        0 197 300 332 500 512 65535  | uncertain      | -";

    #[test]
    fn the_table_says_what_the_document_says() {
        for line in DOCUMENT.lines().filter(|line| !line.trim().is_empty()) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            for code in cells[0]
                .split_whitespace()
                .map(|code| code.parse().unwrap())
            {
                let got = match meaning(code) {
                    Meaning::Busy => ("busy", "-".to_owned()),
                    Meaning::Uncertain => ("uncertain", "-".to_owned()),
                    Meaning::Refused(category, retry) => {
                        let retry = match retry {
                            Retry::No => "no".to_owned(),
                            Retry::After { base, slows: None } => {
                                format!("after {}", base.as_secs())
                            }
                            Retry::HoldAccount { probe } => format!("hold {}", probe.as_secs()),
                            other => panic!("{other:?}"),
                        };
                        (category.as_str(), retry)
                    }
                };
                assert_eq!(got, (cells[1], cells[2].to_owned()), "{code}");
            }
        }
    }

    #[test]
    fn before_the_last_byte_nothing_is_uncertain_and_after_it_only_an_answer_of_the_network_is_certain()
     {
        for failed in [Failed::Plain, Failed::Equipment(100)]
            .into_iter()
            .chain((0..=600).map(Failed::Message))
        {
            let before = outcome(failed, false);
            assert!(!matches!(
                before,
                Outcome::Unknown { .. } | Outcome::Accepted { .. }
            ));
            match outcome(failed, true) {
                Outcome::Unsent { reason } => panic!("{failed:?}: {reason}"),
                Outcome::Unknown { .. } => assert!(matches!(before, Outcome::Unsent { .. })),
                after => assert_eq!(before, after),
            }
        }
        assert!(matches!(
            outcome(Failed::Plain, true),
            Outcome::Unknown { .. }
        ));
    }

    #[test]
    fn a_report_is_an_end_only_if_the_centre_has_stopped_trying() {
        for code in 0..=255 {
            let stage = status(code).map(|status| status.delivery.stage());
            let expected = match code {
                0x00 => Some("delivered"),
                0x01..=0x3f => Some("sent"),
                0x40..=0x7f => Some("undelivered"),
                0x80.. => None,
            };
            assert_eq!(
                stage.map(crate::message::Stage::as_str),
                expected,
                "{code:#x}"
            );
        }
        let late = status(0x46).unwrap();
        assert_eq!(late.code, Some(70));
        let error = "undelivered: the phone could not be reached in time (Code: 70)";
        assert_eq!(late.error.as_deref(), Some(error));
    }
}
