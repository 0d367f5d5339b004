//! What only a real Postgres can answer. One private cluster for this binary, one database
//! for each test.

// The allowance for tests in clippy.toml does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

mod cluster;
mod connect;
mod harness;
mod migrate;
mod opt_out;
mod receipts;
mod tls;
