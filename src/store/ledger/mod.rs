//! `punctual.*`: the attempts and their outcomes. Receipts, status look-ups, recovery and manual
//! decisions are all recorded here.

pub(in crate::store) mod instances;
pub mod look_ups;
pub mod quarantine;
pub mod receipts;
mod recovery;
pub mod resolve;
pub mod retention;
pub mod story;
