//! What only a real Postgres can answer. One private cluster for this binary, one database
//! for each test.

// The allowance for tests in clippy.toml does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

mod api;
mod app_columns;
mod app_path;
mod app_schema;
mod app_tables;
mod arrived;
mod bursts;
mod calendar;
mod callbacks;
mod campaign_hours;
mod campaigns;
mod cells;
mod changes;
mod channels;
mod claim;
mod cluster;
mod connect;
mod consents;
mod content;
mod costs;
mod daily_metrics;
mod dead;
mod doubt;
mod drafts;
mod dumps;
mod erase;
mod forecast;
mod guard;
mod harness;
mod history;
mod in_app;
mod inserts;
mod jobs;
mod known;
mod least;
mod limits;
mod links;
mod live;
mod live_app;
mod live_role;
mod live_shape;
mod mapped;
mod migrate;
mod missed;
mod neighbours;
mod notice;
mod notifications;
mod numbers;
mod operator;
mod opt_out;
mod ours;
mod outcome;
mod overdue;
mod paces;
mod parts;
mod pauses;
mod people;
mod planner;
mod plans;
mod presets;
mod push;
mod quarantine;
mod rates;
mod receipts;
mod recovery;
mod refusals;
mod replicated;
mod replies;
mod retention;
mod retry;
mod rollback;
mod rows;
mod shown;
mod sources;
mod take_over;
mod tls;
mod user_notices;
mod validate;
mod ways;
mod white;
mod window;
mod without_attempt;
mod writers;

#[allow(dead_code, reason = "shared with the simulation")]
#[path = "../sim/dice.rs"]
mod dice;
#[allow(dead_code, reason = "shared with the tests of the provider")]
#[path = "../wire/standin.rs"]
mod standin;
#[path = "../wire/twilio/mod.rs"]
mod twilio;
