//! What is planned ahead: when each message of a campaign is due. Pure: a plan is a function of its arguments, so a
//! preview is the plan.

pub mod campaign;
pub mod estimate;
mod open_time;
#[cfg(test)]
mod tests;

pub use open_time::OpenTime;
