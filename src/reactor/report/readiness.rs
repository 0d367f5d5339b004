//! Whether messages would be sent at their due time, and why not.

use serde::Serialize;

use crate::message::Moment;

/// The response of `GET /readyz`: ready when nothing is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// What is missing, in the order in which a start provides it.
    pub missing: Vec<Missing>,
    /// What is due before this is in quarantine, after a restore. The daemon is ready all the same:
    /// what is due later is sent.
    pub held_before: Option<Moment>,
    /// Warnings, with which the daemon is ready all the same.
    pub remarks: Vec<Remark>,
}

/// A cause, or a warning: its kind is for everybody, its sentence may name triggers, tables and paths.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Remark {
    /// One word, for most causes that of the metric.
    pub kind: &'static str,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Remark {
    /// The kind of the remark that changes are polled, which is what the settings want.
    pub const POLLED: &str = "poll";
    /// How its sentence begins.
    pub const POLLED_TEXT: &str = "changes are polled";
    /// The kind of the remark that there is a change feed, which is what the settings want.
    pub const FED: &str = "feed";
    /// How its sentence begins.
    pub const FED_TEXT: &str = "changes come by the change feed";
}

/// Serialized as its sentence.
impl Serialize for Missing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Readiness {
    /// Whether messages would be sent at their due time.
    pub fn is_ready(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Missing {
    /// The reason for those who may not know names of the database's.
    pub fn in_short(&self) -> String {
        match self {
            Self::Sending(Remark { kind, .. }) => {
                format!("due messages are not sent, or their results are not recorded ({kind})")
            }
            other => other.to_string(),
        }
    }
}

/// One reason not to be ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No connection to the database.
    #[error("not connected to the database")]
    Connection,
    /// The upcoming rows have not been read yet.
    #[error("the upcoming messages are not loaded")]
    Window,
    /// A nonce notified from another connection has not come back.
    #[error("LISTEN/NOTIFY is not verified (it needs a direct or session-mode connection)")]
    Channel,
    /// The database's clock is not known well enough to send by it.
    #[error("the database's clock is not measured")]
    Clock,
    /// It jumped, and nothing else confirms it: by how much, and what to do.
    #[error("{0}")]
    ClockDisputed(String),
    /// Due messages are not sent: why, and what to do.
    #[error("{0}")]
    Sending(Remark),
    /// Shutting down: nothing new is claimed.
    #[error("shutting down")]
    Draining,
}
