//! What only a real Postgres can answer. One private cluster for this binary, one database
//! for each test.

// The allowance for tests in clippy.toml does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

mod cells;
mod cluster;
mod connect;
mod guard;
mod harness;
mod migrate;
mod rows;
mod tls;
mod ways;
