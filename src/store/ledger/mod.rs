//! `punctual.*`: which attempts there were and what became of them. Receipts, status look-ups,
//! recovery and a person's decision all end here.

mod instances;
pub mod look_ups;
pub mod quarantine;
pub mod receipts;
mod recovery;
pub mod resolve;
pub mod story;
