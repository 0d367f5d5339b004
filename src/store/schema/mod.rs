//! The schema: brought up to date by `punctual migrate`, checked at every start, and examined by
//! `punctual doctor`.

pub mod doctor;
pub(in crate::store) mod faults;
mod files;
pub mod migrate;
pub(in crate::store) mod preset;
pub(in crate::store) mod source;
