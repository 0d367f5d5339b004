//! The tables that the app owns: what Punctual writes into them for the app, and how a user changes
//! `scheduled_messages` in a session like the app's own.

mod outbox;
mod reminders;
pub(in crate::store) mod rows;
mod templates;
pub mod user;
