//! Messages that are due and not sent, and why.

use std::time::Duration;

/// Why messages that are due have not been sent.
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
    /// A request failed, and they wait for the next one.
    Provider,
    /// This instance is not ready, or was not until a few seconds ago.
    NotReady,
    /// None of these.
    Unknown,
}

impl WaitingCause {
    /// Each, in order.
    pub const ALL: [Self; 12] = [
        Self::Refused,
        Self::Unanswered,
        Self::NoEffect,
        Self::Locked,
        Self::Schema,
        Self::Breaker,
        Self::Paused,
        Self::Paced,
        Self::Backlog,
        Self::Provider,
        Self::NotReady,
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
            Self::Provider => "provider",
            Self::NotReady => "not_ready",
            Self::Unknown => "unknown",
        }
    }
}

/// Messages that are due and not sent, by their cause.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waiting {
    messages: [u64; WaitingCause::ALL.len()],
    /// For how long the oldest of those that nobody wants to wait has been due, in seconds.
    pub oldest_s: f64,
}

impl Waiting {
    /// Adds messages of one cause, the oldest of them due for so long.
    pub fn add(&mut self, cause: WaitingCause, messages: u64, oldest: Duration) {
        self.messages[cause as usize] += messages;
        if !matches!(cause, WaitingCause::Paused | WaitingCause::Paced) {
            self.oldest_s = self.oldest_s.max(oldest.as_secs_f64());
        }
    }

    /// How many of this cause.
    pub const fn messages(&self, cause: WaitingCause) -> u64 {
        self.messages[cause as usize]
    }
}
