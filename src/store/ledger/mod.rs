//! `punctual.*`: the attempts and their outcomes, by receipts, look-ups, recovery and manual decisions too; opt-outs;
//! the days and settings by which functions and views of the database judge.

mod apart;
pub mod consents;
pub(in crate::store) mod days;
pub mod forget;
pub(in crate::store) mod instances;
pub mod look_ups;
pub mod quarantine;
pub mod receipts;
mod recovery;
pub(in crate::store) mod replies;
pub mod resolve;
pub mod retention;
pub mod segments;
mod settings;
pub mod story;
pub(in crate::store) mod suppressions;
