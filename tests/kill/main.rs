//! The built daemon is killed, suspended and cut off while it sends, over a real Postgres whose
//! commits reach the disk, and a stand-in for Twilio that counts how often each text went out.
//!
//! Nothing may be sent twice, nothing may be lost without a word, and nothing that went out may
//! be called unsent. `docs/reliability.md` tells what was seen, `docs/testing.md` how to see more.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chance;
mod cluster;
mod crash_loop;
mod faults;
mod herd;
mod judge;
mod points;
mod suspend;
mod world;

#[allow(dead_code, reason = "shared with the tests of the daemon")]
#[path = "../daemon/daemon.rs"]
mod daemon;
#[allow(dead_code, reason = "shared with the simulation")]
#[path = "../sim/dice.rs"]
mod dice;
#[allow(dead_code, reason = "shared with the tests of the store")]
#[path = "../pg/harness.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the tests of the daemon")]
#[path = "../daemon/proxy.rs"]
mod proxy;
#[allow(dead_code, reason = "shared with the tests of the provider")]
#[path = "../wire/standin.rs"]
mod standin;
#[path = "../wire/twilio/mod.rs"]
mod twilio;
