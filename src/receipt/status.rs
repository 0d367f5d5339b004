//! Twilio's words for how far a message has come, and what each means to us.

use crate::message::{Category, Status};
use crate::provider::twilio::codes;

/// `MessageStatus` of a callback about a message we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reached {
    /// Taken, not yet looked at.
    Accepted,
    /// Kept by Twilio for later; nothing of ours asks for that.
    Scheduled,
    /// In the sender's queue.
    Queued,
    /// On its way to the carrier.
    Sending,
    /// The carrier took it.
    Sent,
    /// Some of its recipients have it.
    PartiallyDelivered,
    /// The phone has it.
    Delivered,
    /// The carrier or the phone did not take it.
    Undelivered,
    /// Twilio could not send it.
    Failed,
    /// Somebody cancelled it at Twilio.
    Canceled,
    /// The recipient has read it.
    Read,
}

impl Reached {
    /// Every one, for tests and documentation.
    pub const ALL: [Self; 11] = [
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

    /// Twilio's word.
    pub const fn as_str(self) -> &'static str {
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

    /// From Twilio's word. `None`: a word of a later day, or one of inbound messages.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == word)
    }

    /// How far it is. Callbacks come in any order and carry no time: a lower rank never
    /// overwrites a higher one.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Accepted | Self::Scheduled => 0,
            Self::Queued => 1,
            Self::Sending => 2,
            Self::Sent | Self::PartiallyDelivered => 3,
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Canceled => 4,
            Self::Read => 5,
        }
    }

    /// Whether nothing but an echo can follow.
    pub const fn is_terminal(self) -> bool {
        self.rank() >= 4
    }

    /// What `scheduled_messages.status` becomes by it.
    pub const fn row_status(self) -> Status {
        match self {
            Self::Accepted
            | Self::Scheduled
            | Self::Queued
            | Self::Sending
            | Self::Sent
            | Self::PartiallyDelivered => Status::Sent,
            Self::Delivered | Self::Read => Status::Delivered,
            Self::Undelivered | Self::Failed | Self::Canceled => Status::Failed,
        }
    }

    /// What the app's `messages.status` becomes by it.
    pub const fn app_status(self) -> &'static str {
        match self {
            Self::Accepted | Self::Scheduled | Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent | Self::PartiallyDelivered => "sent",
            Self::Delivered | Self::Read => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Canceled => "cancelled",
        }
    }

    /// Whether it did not arrive because the recipient has opted out.
    pub fn is_opt_out(self, code: Option<i32>) -> bool {
        self.row_status() == Status::Failed && code.map(codes::category) == Some(Category::OptedOut)
    }

    /// For `error_message`: why it did not arrive. `None` where it has not failed. Twilio's own
    /// sentence is left out, for it may quote numbers; the code tells as much.
    pub fn failure(self, code: Option<i32>) -> Option<String> {
        if self.row_status() != Status::Failed {
            return None;
        }
        let word = self.as_str();
        Some(match code {
            Some(code) => format!("{word}: {} (Code: {code})", sentence(codes::category(code))),
            None => format!("{word}: Twilio gives no reason"),
        })
    }
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

    /// The table as people keep it: word, rank, `messages.status`, `scheduled_messages.status`.
    const DOCUMENT: &str = "
        accepted            | 0 | queued      | sent
        scheduled           | 0 | queued      | sent
        queued              | 1 | queued      | sent
        sending             | 2 | sending     | sent
        sent                | 3 | sent        | sent
        partially_delivered | 3 | sent        | sent
        delivered           | 4 | delivered   | delivered
        undelivered         | 4 | undelivered | failed
        failed              | 4 | failed      | failed
        canceled            | 4 | cancelled   | failed
        read                | 5 | delivered   | delivered";

    #[test]
    fn the_table_says_what_the_document_says() {
        let lines: Vec<_> = DOCUMENT.lines().filter(|l| !l.trim().is_empty()).collect();
        assert_eq!(lines.len(), Reached::ALL.len());
        for line in lines {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let reached = Reached::parse(cells[0]).expect(line);
            assert_eq!(reached.rank().to_string(), cells[1], "{line}");
            assert_eq!(reached.app_status(), cells[2], "{line}");
            assert_eq!(reached.row_status().as_str(), cells[3], "{line}");
            let failure = reached.failure(Some(30005));
            assert_eq!(failure.is_some(), cells[3] == "failed", "{line}");
        }
        for inbound in ["receiving", "received", "Sent", "", "unheard-of"] {
            assert_eq!(Reached::parse(inbound), None, "{inbound}");
        }
    }

    #[test]
    fn a_failure_names_its_code() {
        let undelivered = Reached::Undelivered;
        assert_eq!(
            undelivered.failure(Some(30005)).as_deref(),
            Some("undelivered: the number cannot be texted (Code: 30005)")
        );
        assert_eq!(
            undelivered.failure(None).as_deref(),
            Some("undelivered: Twilio gives no reason")
        );
    }
}
