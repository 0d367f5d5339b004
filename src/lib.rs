//! Punctual sends scheduled messages at their exact moment, once, and can prove it.
//!
//! The path of a message through the modules:
//!
//! ```text
//! scheduled_messages ──trigger──▶ NOTIFY ──▶ listen ──▶ reactor ⇄ schedule (wheel)
//!                                                          │ due − lead
//!                    record ◀── provider ◀── policy ◀── claim┘      (dispatch performs these)
//! ```
//!
//! [`listen`] receives that a row changed, the [`store`] reads it, the [`reactor`] arms it on the wheel of
//! [`schedule`]. Shortly before it is due, the reactor has it claimed: [`dispatch`] asks the [`store`], [`policy`]
//! judges the claim, and a cleared message waits in memory for its due time, by the [`clock`]. Then a [`provider`]
//! makes the request, and its outcome is recorded. The [`journal`] shows after a crash which requests had begun.
//!
//! And back: [`receipt`] takes callbacks and makes look-ups, [`proof`] decides what they change, the [`store`] writes
//! it. `ARCHITECTURE.md` has both paths with the files.
//!
//! Where to find:
//!
//! - what a user may still change: the table in `src/message/status.rs` ([`message::status::transition`]). The guard in
//!   `triggers/scheduled_messages.sql` has it as `user_transitions!()`. A cancel that comes too late:
//!   `punctual.guard_update` there skips the row, and `punctual.guard_statement` raises `PT409`, or warns if the
//!   statement changed other rows
//! - what decides whether a claim is sent: [`policy::judge`]
//! - what a status callback changes: `merge` in `src/proof/merge.rs`, where a callback, like the result of a look-up,
//!   is a [`Report`](proof::report::Report). Whether a callback is genuine: [`Callbacks`](provider::Callbacks). A STOP
//!   or START reply: `opt` in `src/receipt/mod.rs`
//! - a new provider: [`provider::Provider`] and its [`Capabilities`](message::Capabilities); chosen in
//!   `src/config/provider.rs`, built in `provider` and, with its callbacks, `callbacks` of `src/cli/run.rs`
//! - a new condition for claims: `free` in `src/store/path/sql/claim.sql`. If it can last, also
//!   `expire_candidates.sql`, `overdue.sql`, `load_window.sql` and `read_rows.sql` there, and the reactor, as for
//!   pauses (`src/reactor/pauses.rs`). `src/reactor/pause.rs` is something else: the wait after the database failed
//! - all SQL: `src/store/*/sql`, and `triggers/` for what runs in the statements of the app
//!
//! The modules in reading order. Imports go one way, from later to earlier:
//!
//! - [`message`], [`schedule`], [`policy`], [`reactor`], [`proof`]: pure. Time is an argument, decisions are values.
//! - [`clock`], [`metrics`], [`store`], [`listen`], [`provider`], [`journal`]: input and output, one thing each.
//! - [`dispatch`]: performs single decisions. [`receipt`]: callbacks, replies and look-ups. [`http`]: the daemon's
//!   HTTP interface.
//! - [`config`], [`daemon`], [`demo`], [`cli`]: put it together.

pub mod message;

pub mod schedule;

pub mod policy;

pub mod reactor;

pub mod proof;

pub mod clock;

pub mod metrics;

pub mod store;

pub mod listen;

pub mod provider;

pub mod journal;

pub mod dispatch;

pub mod receipt;

pub mod http;

pub mod config;

pub mod daemon;

pub mod demo;

pub mod cli;
