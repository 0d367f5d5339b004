//! What is proven about messages, and what follows from it. Pure.
//!
//! A provider says what became of a message by callbacks, status look-ups and lists; a journal knows
//! what had begun when its process died; a restored database has lost what was sent since. In each
//! case the inputs are how things stand and what was said, the output is what is to be written. The
//! store reads and writes, `receipt` and the daemon ask; none of them decides.
//!
//! - [`report`]: what a provider says of one of its messages.
//! - [`standing`], [`mod@merge`]: what a report changes, alone or in a group.
//! - [`matching`]: what a provider's list proves about an attempt with an uncertain outcome.
//! - [`quarantine`]: the same for messages that are in quarantine after a restore.
//! - [`history`]: by what an instance recognises the history of its database.
//! - [`recovery`]: what a journal proves about the attempts of a dead instance.

pub mod history;
pub mod matching;
pub mod merge;
pub mod quarantine;
pub mod recovery;
pub mod report;
pub mod standing;

pub use merge::merge;
pub use report::{About, ProviderMessage, ProviderStatus, Report, TextKey, whole_number};
pub use standing::{Change, Room, Standing};
