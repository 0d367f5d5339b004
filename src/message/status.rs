//! The states of a message and who may lead it from one to the next.
//!
//! This table stands here and once more in SQL (the guard in `triggers/scheduled_messages.sql`);
//! a test walks every cell of both.

use std::str::FromStr;

/// `scheduled_messages.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Waits for its time.
    Pending,
    /// Claimed by an instance: it may be on its way.
    Sending,
    /// The provider took it.
    Sent,
    /// The provider says it arrived. Final.
    Delivered,
    /// It was refused, or did not arrive.
    Failed,
    /// It is not to be sent.
    Cancelled,
    /// Nobody knows whether the provider took it.
    Unconfirmed,
}

/// Who changes a row. The database tells these two apart by the setting `punctual.writer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Writer {
    /// Every session that has not set `punctual.writer = 'on'`.
    User,
    /// A session of Punctual itself.
    Daemon,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Cancelled,
        Self::Unconfirmed,
    ];

    /// As the column has it.
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

/// A status this version does not know.
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

/// Whether `writer` may put a row into `to` when it stands in `from` (`None`: it is new).
///
/// Staying where one is is no transition and always allowed here; what may change beside the
/// status is the guard's business.
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
