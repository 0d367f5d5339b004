//! `punctual.*`: the attempts and their outcomes. Receipts, status look-ups, recovery and manual
//! decisions are all recorded here.

mod instances;
pub mod look_ups;
pub mod quarantine;
pub mod receipts;
mod recovery;
pub mod resolve;
pub mod story;
