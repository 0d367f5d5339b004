//! Punctual sends scheduled messages at their exact moment, once, and can prove it.
pub mod message;
pub mod policy;
pub mod provider;
pub mod schedule;
