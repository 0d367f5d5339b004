//! What `punctual demo` brings along so that the path of a message can be walked without a
//! database or a provider of one's own. Tests start the same things.

mod lines;
pub mod phone;
pub mod postgres;
mod run;
pub mod script;
mod users;

pub use run::{DemoError, Verdict, Ways, run};
