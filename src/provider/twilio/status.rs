//! Twilio's message statuses, and the meaning of each.

use super::codes;
use crate::message::{Category, Delivery, Failure};
use crate::proof::ProviderStatus;

/// `MessageStatus` of a callback about a message we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum MessageStatus {
    /// Accepted, not yet processed.
    Accepted,
    /// Scheduled at Twilio for later, which Punctual never requests.
    Scheduled,
    /// In the sender's queue.
    Queued,
    /// Being sent to the carrier.
    Sending,
    /// The carrier accepted it.
    Sent,
    /// Delivered to some of its recipients.
    PartiallyDelivered,
    /// Delivered to the phone.
    Delivered,
    /// The carrier or the phone refused it.
    Undelivered,
    /// Twilio could not send it.
    Failed,
    /// It was cancelled at Twilio.
    Canceled,
    /// The recipient has read it.
    Read,
}

impl MessageStatus {
    const ALL: [Self; 11] = [
        Self::Accepted,
        Self::Scheduled,
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::PartiallyDelivered,
        Self::Delivered,
        Self::Undelivered,
        Self::Failed,
        Self::Canceled,
        Self::Read,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::PartiallyDelivered => "partially_delivered",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Read => "read",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == word)
    }

    /// The meaning of the status, with Twilio's code if something went wrong.
    fn delivery(self, code: Option<i32>) -> Delivery {
        let failure = code.map_or(Failure::UNEXPLAINED, |code| {
            let category = codes::category(code);
            Failure {
                category,
                retry: codes::retry(Some(code), category),
            }
        });
        match self {
            Self::Accepted | Self::Scheduled | Self::Queued => Delivery::Queued,
            Self::Sending => Delivery::Sending,
            Self::Sent | Self::PartiallyDelivered => Delivery::Sent,
            Self::Delivered | Self::Read => Delivery::Delivered,
            Self::Undelivered => Delivery::Undelivered(failure),
            Self::Failed => Delivery::Failed(failure),
            Self::Canceled => Delivery::Cancelled(failure),
        }
    }
}

/// The status with this name and code. `None`: one that this version does not know, or one of inbound
/// messages.
pub(super) fn status(word: &str, code: Option<i32>) -> Option<ProviderStatus> {
    let status = MessageStatus::parse(word)?;
    let (word, delivery) = (status.as_str(), status.delivery(code));
    // Twilio's own sentence is left out, because it may quote numbers; the code is as informative.
    let error = delivery.failure().map(|failure| match code {
        Some(code) => format!("{word}: {} (Code: {code})", sentence(failure.category)),
        None => format!("{word}: Twilio gives no reason"),
    });
    Some(ProviderStatus {
        delivery,
        word,
        code,
        error,
    })
}

const fn sentence(category: Category) -> &'static str {
    match category {
        Category::InvalidNumber => "the number cannot be texted",
        Category::OptedOut => "the recipient has opted out",
        Category::AccountIssue => "the account may not send",
        Category::SenderIssue => "this sender may not text this number",
        Category::RateLimit => "too many messages",
        Category::Unreachable => "the phone is off or out of reach",
        Category::CarrierIssue => "the carrier lost or blocked it",
        Category::Content => "the text was refused",
        Category::Unknown => "see Twilio's page on this code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Retry;

    /// The documented table: Twilio's status, rank, `messages.status`,
    /// `scheduled_messages.status`.
    const DOCUMENT: &str = "
        accepted            | 0 | queued      | sent
        scheduled           | 0 | queued      | sent
        queued              | 0 | queued      | sent
        sending             | 1 | sending     | sent
        sent                | 2 | sent        | sent
        partially_delivered | 2 | sent        | sent
        delivered           | 3 | delivered   | delivered
        undelivered         | 3 | undelivered | failed
        failed              | 3 | failed      | failed
        canceled            | 3 | cancelled   | failed
        read                | 3 | delivered   | delivered";

    #[test]
    fn the_table_says_what_the_document_says() {
        let lines: Vec<_> = DOCUMENT.lines().filter(|l| !l.trim().is_empty()).collect();
        assert_eq!(lines.len(), MessageStatus::ALL.len());
        for line in lines {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let status = status(cells[0], Some(30005)).expect(line);
            let stage = status.delivery.stage();
            assert_eq!(status.word, cells[0], "{line}");
            assert_eq!(stage.rank().to_string(), cells[1], "{line}");
            assert_eq!(stage.as_str(), cells[2], "{line}");
            assert_eq!(stage.row_status().as_str(), cells[3], "{line}");
            assert_eq!(status.error.is_some(), cells[3] == "failed", "{line}");
        }
        for inbound in ["receiving", "received", "Sent", "", "unheard-of"] {
            assert_eq!(status(inbound, None), None, "{inbound}");
        }
    }

    #[test]
    fn a_failure_names_its_code_and_says_what_follows() {
        let check = |code, expected: &str, category, retry| {
            let status = status("undelivered", code).expect("Twilio's word");
            assert_eq!(status.error.as_deref(), Some(expected));
            let failure = Failure { category, retry };
            assert_eq!(status.delivery, Delivery::Undelivered(failure));
        };
        check(
            Some(30005),
            "undelivered: the number cannot be texted (Code: 30005)",
            Category::InvalidNumber,
            Retry::No,
        );
        check(
            None,
            "undelivered: Twilio gives no reason",
            Category::Unknown,
            Retry::No,
        );
        let lost = status("failed", Some(30008)).expect("Twilio's word");
        let failure = lost.delivery.failure().expect("it failed");
        assert!(matches!(failure.retry, Retry::MayHaveArrived));
        let opted_out = status("undelivered", Some(21610)).expect("Twilio's word");
        assert!(opted_out.delivery.is_opt_out() && !lost.delivery.is_opt_out());
    }
}
