//! When. Pure: time comes in as an argument.
//!
//! [`Wheel`] holds what is upcoming.

pub mod wheel;
pub use wheel::Wheel;
