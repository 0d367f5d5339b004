//! The provider over real sockets, against a stand-in that can misbehave in every way a
//! network and a server can.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod child;
mod connections;
mod email;
mod gsm;
mod llm;
mod lookup;
mod mail;
#[allow(dead_code, reason = "shared with the tests of daemons")]
mod model;
mod modem;
mod outcomes;
mod request;
mod setup;
mod standin;
mod stateful;
mod tls;
mod twilio;
mod validator;
mod webhook;

#[allow(dead_code, reason = "shared with the simulation")]
#[path = "../sim/dice.rs"]
mod dice;
