//! What a language model is asked for the text of a message, and whether its answer may be sent. Pure.
//!
//! - [`Brief`]: what is known of an event, and when the text is sent. Titles are written by strangers: they are data.
//! - [`Request`]: the rules for the model, and the brief as JSON in a message of its own.
//! - [`judge`]: an answer is sent only if all that it says follows from the brief.
//! - [`Prices`]: what a call costs, and may cost at most.

mod brief;
mod end;
mod judge;
mod price;
mod request;
#[cfg(test)]
mod tests;

pub use brief::{Brief, BriefError};
pub use end::DraftEnd;
pub use judge::{Fault, judge};
pub use price::{Nanos, Prices, Spent, Usage};
pub use request::Request;

/// The most characters of a text.
pub const TEXT_MAX: usize = 160;

/// The most tokens of an answer: a text of 160 characters in a language of few characters a token.
pub const TOKENS_MAX: u32 = 200;
