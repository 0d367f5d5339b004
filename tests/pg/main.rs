//! What only a real Postgres can answer. One private cluster for this binary, one database
//! for each test.

// The allowance for tests in clippy.toml does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

mod cluster;
mod connect;
mod harness;
mod live;
mod live_app;
mod live_role;
mod live_shape;
mod migrate;
mod tls;
