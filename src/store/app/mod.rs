//! The tables that the app owns or shows: what Punctual writes into them for the app, and how a user changes
//! `scheduled_messages` in a session like the app's own.

pub mod drafts;
pub(in crate::store) mod in_app;
mod outbox;
pub mod planner;
pub(in crate::store) mod push;
mod reminders;
pub(in crate::store) mod rows;
mod sources;
mod templates;
pub mod user;
