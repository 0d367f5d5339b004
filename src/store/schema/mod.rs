//! The schema: brought up to date by `punctual migrate`, checked at every start, and examined by
//! `punctual doctor`.

mod app;
pub mod doctor;
pub(in crate::store) mod faults;
mod files;
pub mod migrate;
mod preset;
mod source;

pub use app::AppTables;
pub use preset::{PRESETS, Preset};
pub use source::SourceTable;
