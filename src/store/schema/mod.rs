//! The schema: brought up to date by `punctual migrate`, checked at every start, and examined by
//! `punctual doctor`.

pub mod doctor;
mod files;
pub mod migrate;
