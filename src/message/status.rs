//! The statuses of a message, and the transitions between them.
//!
//! The guard in `triggers/scheduled_messages.sql` uses the same table: `store/expressions/lists.rs` writes it as SQL.

use std::str::FromStr;

/// `scheduled_messages.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Waits for its due time.
    Pending,
    /// Claimed by an instance; the request may be in progress.
    Sending,
    /// The provider accepted it.
    Sent,
    /// The provider reports that it arrived. Final.
    Delivered,
    /// It was refused, or did not arrive.
    Failed,
    /// It will not be sent.
    Cancelled,
    /// Its latest attempt has an uncertain outcome.
    Unconfirmed,
}

/// Who changes a row. The database distinguishes the two by the setting `punctual.writer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Writer {
    /// Any session without `punctual.writer = 'on'`.
    User,
    /// A session of Punctual itself.
    Daemon,
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Cancelled,
        Self::Unconfirmed,
    ];

    /// The value in the column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// An unknown status.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a status that this version does not know")]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;
    fn from_str(s: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == s)
            .ok_or_else(|| UnknownStatus(s.to_owned()))
    }
}

/// Whether `writer` may change the status of a row from `from` (`None`: the row is new) to `to`.
///
/// An unchanged status is always permitted here; the guard decides which other columns may change.
pub const fn transition(from: Option<Status>, to: Status, writer: Writer) -> bool {
    use Status::{Cancelled, Delivered, Failed, Pending, Sending, Sent, Unconfirmed};
    match writer {
        Writer::User => match from {
            None => matches!(to, Pending | Sent | Failed | Cancelled),
            Some(Pending) => matches!(to, Pending | Cancelled | Sent | Failed),
            Some(Sending) => matches!(to, Sending),
            Some(Sent) => matches!(to, Sent),
            Some(Delivered) => matches!(to, Delivered),
            Some(Failed) => matches!(to, Failed | Pending),
            Some(Cancelled) => matches!(to, Cancelled | Pending),
            Some(Unconfirmed) => matches!(to, Unconfirmed),
        },
        Writer::Daemon => match from {
            None => matches!(to, Pending),
            Some(Pending) => matches!(to, Pending | Sending | Cancelled | Sent | Delivered),
            Some(Sending) => matches!(
                to,
                Sending | Pending | Cancelled | Sent | Delivered | Failed | Unconfirmed
            ),
            Some(Unconfirmed) => matches!(
                to,
                Unconfirmed | Sent | Delivered | Failed | Pending | Cancelled
            ),
            Some(Sent) => matches!(to, Sent | Delivered | Failed | Pending),
            Some(Delivered) => matches!(to, Delivered),
            Some(Failed) => matches!(to, Failed | Sent | Delivered),
            Some(Cancelled) => matches!(to, Cancelled | Sent | Delivered),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_column_parse_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("SENT".parse::<Status>().is_err());
    }

    #[test]
    fn delivered_is_final() {
        for to in Status::ALL {
            for writer in [Writer::User, Writer::Daemon] {
                assert_eq!(
                    transition(Some(Status::Delivered), to, writer),
                    to == Status::Delivered
                );
            }
        }
    }

    #[test]
    fn only_a_claim_leads_into_sending() {
        for from in Status::ALL {
            let claimed = transition(Some(from), Status::Sending, Writer::Daemon);
            assert_eq!(claimed, matches!(from, Status::Pending | Status::Sending));
            let user = transition(Some(from), Status::Sending, Writer::User);
            assert_eq!(user, from == Status::Sending);
        }
    }
}
