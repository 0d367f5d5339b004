//! The daemon is killed, suspended and cut off while it sends, over a Postgres whose commits reach the disk, and a
//! stand-in for Twilio that counts how often each text was sent.
//!
//! Nothing may be sent twice, nothing may be lost without a reason, and nothing that was sent may be reported as
//! unsent. `docs/reliability.md` has the results, `docs/testing.md` how to run more of it.

mod chance;
mod cluster;
mod faults;
mod herd;
mod in_a_loop;
mod judge;
mod points;
mod providers;
mod suspend;
mod world;
