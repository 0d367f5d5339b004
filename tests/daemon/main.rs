//! The built daemon over a real Postgres and a stand-in for Twilio: what a message goes
//! through, and what networks and servers can do to it on the way.
//!
//! Tests share one cluster; those that bring a server down have one of their own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod account;
mod accounts;
mod app_schema;
mod bouncer;
mod campaigns;
mod canary;
mod channels;
mod clock;
mod contract;
mod crash;
mod cut;
mod daemon;
mod days;
mod doubt;
mod email;
mod ending;
mod fates;
mod feed;
mod forecast;
mod guards;
mod history;
mod http;
mod jobs;
mod journal;
mod journey;
mod lawful;
mod limits;
mod links;
mod log;
mod modem;
mod notifications;
#[cfg(feature = "otlp")]
mod otlp;
mod outage;
mod paces;
mod parts;
mod pauses;
mod planned;
mod policy;
mod poll;
mod prepared;
mod presets;
mod proxy;
mod push;
mod push_service;
mod quarantine;
mod ranks;
mod rates;
mod reminders;
mod reports;
mod restore;
mod routes;
mod slots;
mod small;
mod smtp_server;
mod sources;
mod start;
mod stuck;
mod systemd;
mod table;
mod tasks;
mod timeline;
mod watch;
mod webhooks;
mod workers;
mod world;
mod writer;

#[allow(dead_code, reason = "shared with the simulation")]
#[path = "../sim/dice.rs"]
mod dice;
#[path = "../wire/gsm/mod.rs"]
mod gsm;
#[allow(dead_code, reason = "shared with the tests of the store")]
#[path = "../pg/harness.rs"]
mod harness;
#[path = "../wire/mail/mod.rs"]
mod mail;
#[allow(dead_code, reason = "shared with the tests of the provider")]
#[path = "../wire/model.rs"]
mod model;
#[allow(dead_code, reason = "shared with the tests of the provider")]
#[path = "../wire/standin.rs"]
mod standin;
#[path = "../wire/twilio/mod.rs"]
mod twilio;
