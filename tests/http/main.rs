//! The HTTP interface over real loopback sockets, with somebody else in the reactor's place.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod access;
mod acts;
mod callbacks;
mod campaigns;
mod command;
mod events;
mod limits;
mod login;
mod metrics;
mod openapi;
mod routes;
mod server;

#[allow(dead_code, reason = "shared with the tests of the store")]
#[path = "../pg/harness.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the tests of the store")]
#[path = "../pg/rows.rs"]
mod rows;
