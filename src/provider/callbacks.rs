//! What a provider posts to us by itself. Each provider knows its own paths, signatures and words,
//! and tells what they mean.

use crate::proof::Report;

/// A request as it came in.
#[derive(Clone, Copy)]
pub struct CallbackRequest<'a> {
    /// Path and query, byte for byte as received.
    pub path_and_query: &'a str,
    /// The value of a header, if it was given and is text.
    pub header: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    /// The body.
    pub body: &'a [u8],
}

impl CallbackRequest<'_> {
    /// The path alone.
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }
}

/// What a callback says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// What became of a message.
    Report(Report),
    /// A recipient ends or resumes messages.
    Opt(OptOut),
    /// Nothing that matters here.
    Nothing,
}

/// A recipient's command, and between whom it holds.
///
/// `Debug` tells no number.
#[derive(Clone, PartialEq, Eq)]
pub struct OptOut {
    /// What the recipient wants.
    pub command: OptCommand,
    /// The provider's name for the reply, by which a repetition is known.
    pub id: String,
    /// Our senders: the number it was sent to, and the pool that has it. Rows may name either.
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

/// What a reply asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptCommand {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
}

/// A request that is not a callback of the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCallback {
    /// It is not the provider's, or not as the provider sent it. Which of the two is not told: it
    /// would only help whoever forges.
    #[error("the signature is missing or wrong")]
    Forged {
        /// What to look at if it is the provider's after all.
        check: &'static str,
    },
    /// The provider's, and not what a callback has.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Reads what a provider posts.
pub trait Callbacks: Send + Sync + 'static {
    /// The paths, below the public URL, to which it posts.
    fn paths(&self) -> &'static [&'static str];

    /// What a request to one of them says, once it is certain that the provider made it.
    fn read(&self, request: &CallbackRequest<'_>) -> Result<Callback, BadCallback>;
}
