//! Keeps the agenda consistent with the table: notifications, reads and sweeps.
//!
//! A notification is a hint; the row is read before anything follows from it. Reads are made one at
//! a time, so that an older response cannot overtake a newer one. A sweep and the reads around it
//! are kept apart by the numbers of the sweeps: every timer carries the number of the sweep that was
//! latest when its row was requested, and a sweep changes only timers with a lower number.
//!
//! What is armed and was not found by a sweep is read (`check`): a stretch of the agenda at a
//! time, and only while there is room to note what is to be read. So a table that changed
//! under a million timers costs one sweep and a read of each, and no turn of the loop is long.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::limits::IntakeLimits;
use crate::message::{MessageId, Moment, Now, Uptime};

mod check;
mod near;
mod table;
mod turns;
mod window;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Near,
    Full,
}

#[derive(Debug)]
struct Sweep {
    reach: Reach,
    /// What is due before this is not read.
    from: Option<Moment>,
    until: Moment,
    /// Whether the channel was verified before it began: what it did not see is notified.
    heard: bool,
    /// Whether what waits for a lock is armed again, too.
    unlocks: bool,
    began: Uptime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// The channel is not connected, or not verified yet.
    Down,
    /// Verified: what commits from now on is notified.
    Up,
    /// Verified, and a full sweep has ended since.
    Loaded,
}

/// Whether transactions may commit without a notification.
#[derive(Clone, Copy, Debug)]
enum Commits {
    Notified,
    Unnotified,
}

/// What is known of the table, and what is being read.
#[derive(Debug)]
pub(super) struct Intake {
    limits: IntakeLimits,
    channel: Channel,
    /// The time between near sweeps.
    near_sweep: Duration,
    commits: Commits,
    /// When the latest near sweep began.
    near_began: Uptime,
    /// None begins before this, after one that failed.
    failed_until: Uptime,
    stopped: bool,
    /// Bounded by [`IntakeLimits::notified_max`], and one read that failed.
    notified: BTreeSet<MessageId>,
    reading: Option<Reading>,
    /// The next read is not sent before this, after one that failed.
    read_after: Uptime,
    sweeping: Option<Sweep>,
    /// The number of the latest sweep.
    sweep: u32,
    checks: check::Checks,
    turns: turns::Turns,
    rescan_wanted: bool,
    rescan_after: Uptime,
    /// The next sweep arms what waits for a lock again, too.
    unlock_wanted: bool,
    /// A sweep that arms those is not to begin before this.
    unlock_after: Uptime,
    next_near: Uptime,
    /// Not before this if notifications were discarded: [`IntakeLimits::near_pause`] after the last sweep began.
    near_after: Uptime,
    /// Near sweeps do not read what has been overdue for long before this, unless it is wanted.
    behind_after: Uptime,
    next_full: Option<Uptime>,
    /// How far the agenda reaches.
    window_until: Moment,
    /// Full sweeps that ended.
    resyncs: u64,
}

#[derive(Debug)]
struct Reading {
    /// The rows that are read, in the order of their ids.
    ids: Vec<MessageId>,
    /// Those of them that have been claimed meanwhile: the response may be from before its record.
    overtaken: BTreeSet<MessageId>,
    /// Those of them that another instance should have claimed.
    passed: BTreeSet<MessageId>,
    sweep: u32,
}

impl Intake {
    pub(super) fn new(limits: IntakeLimits, now: Now) -> Self {
        Self {
            limits,
            channel: Channel::Down,
            near_sweep: limits.near_sweep,
            commits: Commits::Notified,
            near_began: now.up,
            failed_until: now.up,
            stopped: false,
            notified: BTreeSet::new(),
            reading: None,
            read_after: now.up,
            sweeping: None,
            sweep: 0,
            checks: check::Checks::default(),
            turns: turns::Turns::new(limits),
            rescan_wanted: false,
            rescan_after: now.up,
            unlock_wanted: false,
            unlock_after: now.up,
            next_near: now.up + limits.near_sweep,
            near_after: now.up,
            behind_after: now.up,
            next_full: None,
            window_until: now.db,
            resyncs: 0,
        }
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.channel, Channel::Loaded)
    }

    pub(super) const fn channel_is_up(&self) -> bool {
        !matches!(self.channel, Channel::Down)
    }

    pub(super) const fn window_until(&self) -> Moment {
        self.window_until
    }

    /// Up to when sweeps have read what is due, or will with the next near one: what is asked of the database reaches
    /// as far, for what has been notified may be due after the window.
    pub(super) fn read_until(&self, now: Now) -> Moment {
        self.window_until().max(now.db + self.near_sweep * 2)
    }

    /// A pace that the sweep under way does not find is gone, if its next message could start by then. A full sweep
    /// finds those that have a message in the window, however far away their slots are; others once they have one.
    pub(super) fn sweep_finds_paces_until(&self) -> Moment {
        let sweep = self.sweeping.as_ref();
        let near = sweep.filter(|sweep| sweep.reach == Reach::Near);
        near.map_or(Moment::MAX, |sweep| sweep.until)
    }

    pub(super) const fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// The number for rows that are requested now.
    pub(super) const fn sweep_number(&self) -> u32 {
        self.sweep
    }

    /// Notifications may have been lost: the next verification is followed by a full sweep.
    pub(super) const fn channel_down(&mut self) {
        self.channel = Channel::Down;
        if let Some(sweep) = &mut self.sweeping {
            sweep.heard = false;
        }
    }

    /// Whether transactions may commit without a notification.
    pub(super) fn unnotified(&mut self, unnotified: bool, now: Now) {
        (self.commits, self.near_sweep) = if unnotified {
            (Commits::Unnotified, self.limits.unnotified_sweep)
        } else {
            (Commits::Notified, self.limits.near_sweep)
        };
        self.next_near = self.next_near.min(now.up + self.near_sweep);
    }

    pub(super) const fn rescan(&mut self) {
        self.rescan_wanted = true;
    }

    /// Everything is to be read again: what is about to be due at once, and the rest as soon as
    /// [`IntakeLimits::rescan_share`] permits. The window, and the pauses after a lock, were computed by a clock that
    /// was wrong, or without what is due again.
    pub(super) fn resync(&mut self) {
        self.rescan_wanted = true;
        self.unlock_wanted = true;
        self.near_by(Uptime::MIN);
    }

    /// What is about to be due is read as soon as [`IntakeLimits::rescan_share`] permits, and armed even if it waits
    /// for a lock.
    pub(super) const fn sweep_unlocked(&mut self) {
        self.unlock_wanted = true;
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.notified.clear();
        self.checks = check::Checks::default();
        self.turns = turns::Turns::new(self.limits);
    }

    /// Notes that a row is to be read. If there is no room, all is read: first what is about to be due, for which the
    /// pause before a full sweep may be too long.
    pub(super) fn note_for_read(&mut self, id: MessageId) {
        if self.stopped {
            return;
        }
        if self.notified.len() < self.limits.notified_max {
            self.notified.insert(id);
        } else {
            self.notified.clear();
            self.rescan_wanted = true;
            self.sweep_soon();
        }
    }

    /// A row is claimed; a read of it that is under way is out of date.
    pub(super) fn overtake(&mut self, id: MessageId) {
        if let Some(reading) = &mut self.reading
            && reading.ids.binary_search(&id).is_ok()
        {
            reading.overtaken.insert(id);
        }
    }

    pub(super) fn next_wakeup(&self, first: Option<Moment>, now: Now) -> Option<Moment> {
        if self.stopped {
            return None;
        }
        let mut next: Option<Uptime> = None;
        let mut at = |up: Uptime| next = Some(next.map_or(up, |n| n.min(up)));
        if self.reading.is_none() && !self.notified.is_empty() {
            at(self.read_after);
        }
        if let (None, Some(turns)) = (&self.reading, self.turns.next()) {
            at(turns.max(self.read_after));
        }
        if self.may_check() {
            at(now.up);
        }
        if self.sweeping.is_none() {
            at(self.near_at(first, now));
            if let Some(full) = self.next_full {
                at(full);
            }
            if self.rescan_wanted {
                at(self.rescan_after);
            }
        }
        next.map(|up| now.db + up.since(now.up))
    }

    /// From when and up to when, and how many rows, the sweep reads that begins now.
    fn begin_sweep(
        &mut self,
        first: Option<Moment>,
        now: Now,
        horizon: Duration,
    ) -> Option<(Option<Moment>, Moment, usize)> {
        if self.stopped || self.sweeping.is_some() {
            return None;
        }
        let full_is_due = self.next_full.is_some_and(|at| at <= now.up)
            || (self.rescan_wanted && self.rescan_after <= now.up);
        let reach = if full_is_due {
            Reach::Full
        } else if self.near_at(first, now) <= now.up {
            Reach::Near
        } else {
            return None;
        };
        let until = match reach {
            Reach::Full => {
                self.rescan_wanted = false;
                self.rescan_after = now.up + self.limits.rescan_pause;
                self.next_full = Some(now.up + horizon / 2);
                // From here on, not from the end of the sweep: what is noticed meanwhile belongs
                // into this window.
                self.window_until = now.db + horizon;
                self.window_until
            }
            Reach::Near => self.near_until(now),
        };
        let (from, most) = match reach {
            Reach::Full => (None, self.full_most()),
            Reach::Near => (self.near_from(now), usize::MAX),
        };
        self.next_near = now.up + self.near_sweep;
        self.near_began = now.up;
        self.near_after = now.up + self.limits.near_pause;
        self.sweep = self.sweep.wrapping_add(1);
        self.sweeping = Some(Sweep {
            reach,
            from,
            until,
            heard: self.channel_is_up(),
            unlocks: std::mem::take(&mut self.unlock_wanted),
            began: now.up,
        });
        Some((from, until, most))
    }
}
