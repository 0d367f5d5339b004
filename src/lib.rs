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
//! it. `ARCHITECTURE.md` has both paths with the files, `docs/glossary.md` the terms.
//!
//! Where to find:
//!
//! - what a user may still change: the statuses in the table of `src/message/status.rs`
//!   ([`message::status::transition`]), the columns in `punctual.guard_update` of `triggers/scheduled_messages.sql`. A
//!   cancel that comes too late: `guard_update` skips the row, and `punctual.guard_statement` raises `PT409`, or warns
//!   if the statement changed other rows (in a nested statement `guard_update` raises at once)
//! - what decides whether a claim is sent: [`policy::judge`], with a [`Reason`](policy::Reason) if it is not
//! - which numbers no text goes to: `src/policy/guards.rs`. What texts cost: `src/policy/costs.rs`; what a day has
//!   left, `triggers/costs.sql`; what waits at a cap, `src/dispatch/costs.rs`; the correction of what was counted,
//!   `src/daemon/chores/costs.rs`
//! - which texts say the same: `src/policy/bursts.rs`; how many are too many, `triggers/bursts.sql`; what is held,
//!   `src/dispatch/bursts.rs`
//! - what will happen to a message, and why not: [`forecast::of`], by what
//!   `src/store/operator/sql/forecast_rows.sql` reads of it and what the instances publish
//!   ([`PublishedState`](forecast::PublishedState))
//! - what makes a message `failed`: a verdict ([`policy::judge`]), a refusal by the provider (`src/settle/mod.rs`),
//!   a report that it was not delivered (`src/proof/merge.rs`), or the row itself when it is written
//!   (`punctual.guard_insert`, `triggers/validate.sql`)
//! - what makes it `unconfirmed`: an outcome that is uncertain (`src/settle/mod.rs`), or the death of its instance
//!   (`src/store/ledger/sql/reap.sql`). What resolves that: a callback (`src/proof/merge.rs`), a journal
//!   (`src/proof/recovery.rs`), a person (`src/store/ledger/resolve.rs`), a look-up. Whether it is sent again without
//!   proof: `resolve` in `src/proof/matching.rs`, by `in_doubt` and by whether the provider is idempotent
//! - what a status callback changes: `change`, after `is_conflict`, in `src/proof/merge.rs`, where a callback, like
//!   the result of a look-up,
//!   is a [`Report`](proof::report::Report); of a message of several parts, `src/proof/merge/part.rs`. Whether a
//!   callback is genuine: [`Callbacks`](provider::Callbacks), of Twilio `src/provider/twilio/callback.rs`. A STOP or
//!   START reply: `opt` in `src/receipt/mod.rs`
//! - when a message is due: `due!` in `src/store/expressions.rs`. What moves that: a retry
//!   (`src/settle/budget.rs`), a deferral (`src/policy/`), the next part (`record_accepted.sql`), the end of a pause
//!   (`claim.sql`)
//! - a campaign: when its messages are due, [`plan::campaign`]; the acts of people, `src/store/operator/campaigns/`;
//!   what may be scheduled, `triggers/campaigns.sql`; what a reply stops, `src/store/ledger/replies.rs`
//! - reminders of events that Punctual makes: which, [`plan::reminders`]; the daemon's steps,
//!   `src/store/app/planner.rs`
//! - notifications: who is notified of an event, and by which channels, `triggers/notifications.sql`; how far a
//!   delivery has come, `punctual.delivery_changed` there
//! - a pause: its kinds and what each stops, [`PauseScope`](message::PauseScope) and [`Pausable`](message::Pausable) in
//!   `src/message/pause.rs`; the same in SQL, `pause_key` in `src/store/expressions/lists.rs`. For the claim:
//!   `paused_until!` in `src/store/path/sql/claim.sql`; for what is claimed already: `src/reactor/pauses.rs`, called by
//!   `claims.rs` and `sends.rs` beside it. A new kind: those, `src/reactor/io.rs`, `triggers/pauses.sql`,
//!   `src/cli/pause.rs`, and a migration for the CHECK of `punctual.pauses`
//! - a new provider: the steps are in `docs/providers.md`. [`provider::Provider`] and its
//!   [`Capabilities`](message::Capabilities); chosen in
//!   `src/config/provider.rs`, built in `with` and, with its callbacks, `callbacks` of `src/cli/run.rs`
//! - a new condition for claims: `free` in `src/store/path/sql/claim.sql`, which `claim_paced.sql` and `paces_load.sql`
//!   there repeat. If it can last, also `expire_candidates.sql`, `overdue.sql`, `overdue_retry.sql`, `load_window.sql`,
//!   `read_rows.sql` and `forecast_rows.sql`, and the reactor, as for pauses (`src/reactor/pauses.rs`) and paces
//!   (`src/reactor/paces.rs`)
//! - a new channel: [`Channel`](message::Channel) in `src/message/lane.rs`, its address in `src/message/address.rs`,
//!   its rules in `src/policy/channels.rs`, its providers in `src/config/provider.rs`
//! - by which account a message goes that names none: [`message::choose`], called in `src/reactor/lanes/ways.rs`; what
//!   may go on by another, [`Outcome::may_go_on`](message::Outcome::may_go_on)
//! - jobs of the app: `triggers/job_runs.sql`; what an endpoint answers, `src/provider/webhook/mod.rs`
//! - tracking links: codes, texts and clicks, `triggers/links.sql`; `GET /l/{code}`, `src/http/links.rs`
//! - what is deleted, and when: `punctual.retain` in `triggers/retention.sql`, called by
//!   `src/daemon/chores/retention.rs`
//! - a text by a language model: which messages want one, `triggers/drafts.sql`; what is refused, [`wording::judge`];
//!   when it is put there, `punctual.put_text` there; the task, `src/daemon/writer.rs`
//! - a new command: `src/cli/mod.rs`
//! - all SQL: `src/store/*/sql`, `triggers/` for what runs in the statements of the app, `migrations/` for the tables.
//!   `name!(alias)` in it is an expression of `src/store/expressions.rs` or `src/store/expressions/`
//!
//! The modules in reading order. Imports go one way, from later to earlier:
//!
//! - [`version`]; [`message`], [`schedule`], [`policy`], [`wording`], [`forecast`], [`limits`], [`settle`], [`plan`],
//!   [`reactor`], [`proof`]: pure. Time is an argument, decisions are values.
//! - [`clock`], [`metrics`], [`store`], [`listen`], [`provider`], [`journal`]: input and output, one thing each.
//! - [`dispatch`]: performs single decisions. [`receipt`]: callbacks, replies and look-ups. [`http`]: the daemon's
//!   HTTP interface.
//! - [`config`], [`daemon`], [`demo`], [`cli`]: put it together.

pub mod version;

pub mod message;

pub mod schedule;

pub mod policy;

pub mod wording;

pub mod forecast;

pub mod limits;

pub mod settle;

pub mod plan;

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
