//! When to act on a due time that is given (it is `due!` in `src/store/expressions.rs`): timers, pauses, clock, order
//! of instances. Pure: time is an argument, decisions are values.
//!
//! In the path of a message this is between its notification and its claim: what `listen` and the
//! sweeps find is armed in the [`Wheel`], and what the wheel returns, when its time comes, is
//! claimed. [`Agenda`] has one for each priority and sees what is due together; [`Lead`] says how long
//! before its time a message is claimed; [`offset::Offset`] what the database's clock says;
//! [`Backoff`] how long to pause after a failure; [`Ranking`] whose turn it is where several
//! instances run; [`pace`] when the messages of a pace may start; [`LookUpPlan`] when the status of a
//! message is looked up.

mod agenda;
mod backoff;
mod density;
mod lead;
mod look_ups;
pub mod offset;
pub mod pace;
pub mod queue;
mod ranking;
pub mod wheel;

pub use agenda::{Agenda, Timer, Walk};
pub use backoff::Backoff;
pub use density::DENSITY_BUCKET;
pub use lead::{LEAD_MAX, Lead, LeadSetting, ROUND_TRIP_MAX};
pub use look_ups::LookUpPlan;
pub use pace::{PACE_SLACK, RATE_SLACK};
pub use ranking::{HowMany, Ranking, SLICE, STAGGER, Turn, slice};
pub use wheel::{LEVELS, LevelInfo, Wheel};
