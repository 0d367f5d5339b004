//! Messages that are due and not sent, and why.

/// Why messages that are due have not been claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingCause {
    /// The database refuses claims.
    Refused,
    /// Claims get no response.
    Unanswered,
    /// Claims succeed and change nothing.
    NoEffect,
    /// Another transaction has locked them.
    Locked,
    /// Something in the schema keeps claims from taking effect.
    Schema,
    /// A breaker is open.
    Breaker,
    /// They are paused.
    Paused,
    /// They wait for their pace.
    Paced,
    /// As many requests as allowed are in flight.
    Backlog,
    /// None of these.
    Unknown,
}

impl WaitingCause {
    /// Each, in order.
    pub const ALL: [Self; 10] = [
        Self::Refused,
        Self::Unanswered,
        Self::NoEffect,
        Self::Locked,
        Self::Schema,
        Self::Breaker,
        Self::Paused,
        Self::Paced,
        Self::Backlog,
        Self::Unknown,
    ];

    /// As the metrics have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::NoEffect => "no_effect",
            Self::Locked => "locked",
            Self::Schema => "schema",
            Self::Breaker => "breaker",
            Self::Paused => "paused",
            Self::Paced => "paced",
            Self::Backlog => "backlog",
            Self::Unknown => "unknown",
        }
    }
}

/// Messages that are due and not sent, by their cause.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waiting {
    /// `None`: nothing waits.
    pub cause: Option<WaitingCause>,
    /// Messages.
    pub messages: u64,
    /// For how long the oldest has been due, in seconds.
    pub oldest_s: f64,
}
