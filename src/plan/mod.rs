//! What is planned ahead: when each message of a campaign is due, and which events a user is reminded of on a day.
//! Pure: a plan is a function of its arguments, so a preview is the plan.

pub mod campaign;
pub mod estimate;
mod open_time;
pub mod reminders;
#[cfg(test)]
mod tests;

pub use open_time::OpenTime;
