//! The tables that the app owns or shows: what Punctual writes into them for the app, and how a user changes
//! `scheduled_messages` in a session like the app's own.

pub mod drafts;
mod held;
pub(in crate::store) mod in_app;
pub(in crate::store) mod jobs;
pub(in crate::store) mod links;
mod outbox;
pub mod planner;
pub(in crate::store) mod preferences;
pub(in crate::store) mod push;
mod reminders;
pub(in crate::store) mod rows;
mod sources;
mod templates;
pub mod user;

pub use in_app::InAppMessages;
pub use jobs::KeptAnswers;
pub use links::{Link, TrackingLinks};
pub use push::PushSubscriptions;
