//! `punctual demo`: sends a script of messages through a private Postgres, the real daemon and a simulated
//! phone. Tests use the same Postgres.

mod lines;
pub mod phone;
mod play;
pub mod postgres;
mod run;
pub mod script;
mod users;
mod webhook;

pub use run::{DemoError, DemoOptions, DemoReport, run};
