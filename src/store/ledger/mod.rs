//! `punctual.*`: which attempts there were and what became of them. Receipts, status look-ups,
//! recovery and a person's decision all end here.

pub mod enquiries;
pub mod held;
mod instances;
pub mod receipts;
mod recovery;
pub mod resolve;
pub mod story;
