//! The statements that every message goes through: the window is loaded, rows are read again and
//! claimed, results are recorded.

pub(in crate::store) mod accepted;
pub(in crate::store) mod bursts;
pub(in crate::store) mod claims;
pub(in crate::store) mod costs;
pub(in crate::store) mod expiry;
pub(in crate::store) mod facts;
pub(in crate::store) mod no_effect;
pub(in crate::store) mod outcomes;
pub(in crate::store) mod paces;
mod pauses;
pub(in crate::store) mod rows;
pub(in crate::store) mod texts;
pub(in crate::store) mod window;
