//! Punctual sends scheduled messages at their exact moment, once, and can prove it.
//!
//! The way of a message through the modules:
//!
//! ```text
//! scheduled_messages ──trigger──▶ NOTIFY ──▶ listen ──▶ reactor ⇄ schedule (wheel)
//!                                                          │ due − lead
//!                    record ◀── provider ◀── policy ◀── claim┘      (dispatch performs these)
//! ```
//!
//! [`listen`] hears that a row changed, [`store`] reads it, the [`reactor`] arms it on the
//! wheel of [`schedule`]. A moment before it is due the reactor has it claimed: [`dispatch`]
//! asks the [`store`], [`policy`] judges, and what is cleared waits in memory for its instant,
//! which [`clock`] tells. Then [`provider`] makes the request, and what came of it is recorded.
//! The [`journal`] knows what had begun, should the process die meanwhile.
//!
//! The way back: [`receipt`] takes what the provider reports later, [`proof`] decides what it changes, the
//! [`store`] writes it. What a user may still change is decided in SQL, by the guard in
//! `triggers/scheduled_messages.sql`. `ARCHITECTURE.md` has both ways with the files.
//!
//! Modules in reading order, and imports go one way, from later to earlier:
//!
//! - [`message`], [`schedule`], [`policy`], [`reactor`], [`proof`]: pure. Time comes in as an argument,
//!   decisions go out as values.
//! - [`clock`], [`metrics`], [`store`], [`listen`], [`provider`], [`journal`]: the world, one
//!   thing each.
//! - [`dispatch`]: performs single decisions. [`receipt`]: takes callbacks and looks up what was not reported. [`http`]: what may be asked from outside.
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
