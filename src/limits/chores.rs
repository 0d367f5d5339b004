//! The limits of the daemon's chores.

use std::time::Duration;

use super::daemon::{milliseconds, seconds};

/// Chores. Each does one bounded step; with more to do it is due at once, after all others that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChoreLimits {
    /// How often most chores are due, and how soon one that failed is repeated.
    pub every: Duration,
    /// How long one step takes further rows. It finishes those it has taken.
    pub step: Duration,
    /// Messages cancelled in one step because they are too late.
    pub expired: u32,
    /// Claims of dead instances in one step.
    pub reaped: u32,
    /// Heartbeats, claims and paces in one step that a clock which ran ahead has left in the future. So many of the
    /// open claims are read for it, those whose lease ends last.
    pub times_ahead: u32,
    /// Messages in one step that follow a change they have missed. The app waits at most 100 ms for their locks.
    pub followed: u32,
    /// Writes in one step that the app's tables had refused; each is a transaction.
    pub outbox: u32,
    /// Outcomes written to source tables in one step, one statement for each table.
    pub source_writes: u32,
    /// Users in one step whose count of the day is shown in the app's table.
    pub counts_shown: u32,
    /// Users in one step whose reminders are planned, a transaction.
    pub planned: u32,
    /// How often it is looked for users to be planned, at least: a notification of a change may be lost.
    pub plan_every: Duration,
    /// Messages in one step that are `sending` without an open attempt.
    pub without_attempt: u32,
    /// How often these are looked for: they come from restores and from other programs, so seldom.
    pub without_attempt_every: Duration,
    /// How long such a row must not have changed. A claim, which changes it, commits within seconds.
    pub without_attempt_unchanged: Duration,
    /// How often the days of each zone are written, for two days, and a walk begins that deletes what is long over.
    pub days_every: Duration,
    /// Rows read in one step of that walk.
    pub retained: u32,
    /// How long before they are due the numbers of messages are checked: once for each of these.
    pub numbers_ahead: [Duration; 2],
    /// Messages in one step of that; those of one instant are read together.
    pub numbers: u32,
    /// How often it is looked for messages that have come so near.
    pub numbers_every: Duration,
    /// Texts in one step whose cost is corrected, or forgotten.
    pub costs: u32,
    /// Texts in one step that are no longer held, or no longer counted by what they say.
    pub texts: u32,
}

impl Default for ChoreLimits {
    fn default() -> Self {
        Self {
            every: seconds(5),
            step: milliseconds(250),
            expired: 1_000,
            reaped: 1_000,
            times_ahead: 100,
            followed: 25,
            outbox: 50,
            source_writes: 250,
            counts_shown: 100,
            planned: 250,
            plan_every: seconds(60),
            without_attempt: 1_000,
            without_attempt_every: seconds(30),
            without_attempt_unchanged: seconds(60),
            days_every: seconds(3_600),
            retained: 1_000,
            numbers_ahead: [seconds(7 * 24 * 3_600), seconds(3_600)],
            numbers: 1_000,
            numbers_every: seconds(60),
            costs: 250,
            texts: 1_000,
        }
    }
}
