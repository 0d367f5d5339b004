//! Callbacks of providers: each provider has its own paths, signatures and parameters, and parses them.

use tokio::sync::oneshot;

use super::modem::SegmentReport;
use crate::proof::Report;

/// A request as it was received.
#[derive(Clone, Copy)]
pub struct CallbackRequest<'a> {
    /// Path and query, byte for byte as received.
    pub path_and_query: &'a str,
    /// The value of a header, if it is present and text.
    pub header: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    /// The body.
    pub body: &'a [u8],
}

impl CallbackRequest<'_> {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }
}

/// The content of a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// The status of a message.
    Report(Report),
    /// The status of a segment, by a modem.
    Segment(Box<SegmentReport>),
    /// A recipient opts out, or in again.
    Opt(OptOut),
    /// A reply that is no command.
    Reply(Reply),
    /// Nothing that is used.
    Nothing,
}

/// What a recipient has answered.
///
/// `Debug` shows neither number nor text.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The provider's id of it, by which a repetition is recognised.
    pub id: String,
    /// The account to which it came.
    pub account: String,
    /// Our senders: the number that received it, and the pool of that number.
    pub ours: Vec<String>,
    /// The recipient.
    pub theirs: String,
    /// The text; empty for a picture.
    pub text: String,
    /// It asks for help, and the provider does not answer that.
    pub asks_help: bool,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// What a provider has received without HTTP.
#[derive(Debug)]
pub struct Heard {
    /// What it says.
    pub callback: Callback,
    /// Signals that it is recorded. Until then the provider keeps it; dropped, it never was.
    pub recorded: oneshot::Sender<()>,
}

/// A recipient's command, and the numbers that it is about.
///
/// `Debug` shows no number.
#[derive(Clone, PartialEq, Eq)]
pub struct OptOut {
    /// The command.
    pub command: OptCommand,
    /// The provider's id of the reply, by which a repetition is recognised.
    pub id: String,
    /// Our senders: the number that received it, and the pool of that number. Rows may have either.
    pub ours: Vec<String>,
    /// The recipient.
    pub theirs: String,
}

impl std::fmt::Debug for OptOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OptOut")
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

/// The command in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptCommand {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
}

/// A request that is not accepted as a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCallback {
    /// It is not from the provider, or was changed on the way. The response does not say which, because that
    /// would help a forger.
    #[error("the signature is missing or wrong")]
    Forged {
        /// What to check if it is from the provider.
        check: &'static str,
    },
    /// It is from the provider, but cannot be parsed.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Parses the callbacks of a provider.
pub trait Callbacks: Send + Sync + 'static {
    /// The paths of its callbacks, below the public URL.
    fn paths(&self) -> Vec<String>;

    /// Verifies that a request to one of them is from the provider, and parses it.
    fn read(&self, request: &CallbackRequest<'_>) -> Result<Callback, BadCallback>;
}
