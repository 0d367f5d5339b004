//! What is proven about messages, and what follows from it. Pure.
//!
//! A provider reports what happened to a message by callbacks, status look-ups and lists; a journal knows which
//! requests had begun when its process died; a restored database has lost what was sent since. In each case the
//! inputs are standings and reports, the outputs are the writes. The store reads and writes, `receipt` and the
//! daemon query; none of them decides.
//!
//! - [`report`]: what a provider reports about one of its messages.
//! - [`standing`], [`mod@merge`]: what a report changes, alone or in a group.
//! - [`matching`]: what a provider's list proves about an attempt with an uncertain outcome.
//! - [`look_up`]: what follows from a look-up of such an attempt.
//! - [`quarantine`]: the same for messages that are in quarantine after a restore.
//! - [`history`]: how an instance recognises the history of its database.
//! - [`recovery`]: what a journal proves about the attempts of a dead instance.

pub mod history;
pub mod look_up;
pub mod matching;
pub mod merge;
pub mod quarantine;
pub mod recovery;
pub mod report;
pub mod standing;

pub use merge::merge;
pub use report::{About, Price, ProviderMessage, ProviderStatus, Report, TextKey, whole_number};
pub use standing::{Change, RetryLimits, Standing};
