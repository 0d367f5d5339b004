//! Keeps the agenda true to the table: notices, reads and sweeps.
//!
//! A notice is a hint; the row is read before anything follows from it. Reads are made one at
//! a time, so that an older answer cannot overtake a newer one. A sweep and the reads around it
//! are told apart by numbering the sweeps: every timer carries the number of the sweep that was
//! latest when its row was asked for, and a sweep changes only timers with a lower number.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Command, Reactor, Upcoming};
use crate::message::{MessageId, Moment, Now, RowState, Uptime};
use crate::schedule::Timer;

/// How often what is about to be due is read again, whatever was noticed or not.
pub(super) const NEAR_SWEEP: Duration = Duration::from_secs(10);

/// A sweep every so often, at the most, however often somebody cries "rescan".
const RESCAN_PAUSE: Duration = Duration::from_secs(1);

/// More ids than this waiting to be read are not worth naming: everything is read.
const NOTICED_MAX: usize = 10_000;

/// Ids in one read.
const READ_MAX: usize = 1_000;

/// After a read or a sweep that failed.
const FAILED_PAUSE: Duration = Duration::from_millis(500);

/// A row that another instance is sending is looked at again when its lease is over, and not
/// more often than this.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Near,
    Full,
}

#[derive(Debug)]
struct Sweep {
    reach: Reach,
    until: Moment,
    /// Whether the channel has stood since before it began: what it did not see is heard.
    heard: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// Nothing is heard, or nothing is known of it.
    Down,
    /// Proven: what commits from now on is heard.
    Up,
    /// And a full sweep has ended since.
    Loaded,
}

/// What is known of the world, and what is being asked.
#[derive(Debug)]
pub(super) struct Intake {
    channel: Channel,
    stopped: bool,
    noticed: BTreeSet<MessageId>,
    reading: Option<Reading>,
    /// Not before this, after a failure.
    read_after: Uptime,
    sweeping: Option<Sweep>,
    /// The number of the latest sweep.
    sweep: u32,
    rescan_wanted: bool,
    rescan_after: Uptime,
    next_near: Uptime,
    next_full: Option<Uptime>,
    /// How far the agenda reaches.
    window_until: Moment,
    /// Full sweeps that ended.
    resyncs: u64,
}

#[derive(Debug)]
struct Reading {
    ids: Vec<MessageId>,
    sweep: u32,
}

impl Intake {
    pub(super) fn new(now: Now) -> Self {
        Self {
            channel: Channel::Down,
            stopped: false,
            noticed: BTreeSet::new(),
            reading: None,
            read_after: now.up,
            sweeping: None,
            sweep: 0,
            rescan_wanted: false,
            rescan_after: now.up,
            next_near: now.up + NEAR_SWEEP,
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

    pub(super) const fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// The number to stamp on what is asked for now.
    pub(super) const fn sweep_number(&self) -> u32 {
        self.sweep
    }

    /// The channel may have been deaf for a while: the next proof is followed by a full sweep.
    pub(super) const fn channel_down(&mut self) {
        self.channel = Channel::Down;
        if let Some(sweep) = &mut self.sweeping {
            sweep.heard = false;
        }
    }

    pub(super) const fn rescan(&mut self) {
        self.rescan_wanted = true;
    }

    /// The window, and the pauses of what was held, were reckoned by a clock that was wrong.
    pub(super) const fn clock_found(&mut self) {
        self.rescan_wanted = true;
        self.rescan_after = Uptime::MIN;
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.noticed.clear();
    }

    /// Asks for a row to be read.
    pub(super) fn look_at(&mut self, id: MessageId) {
        if self.noticed.len() < NOTICED_MAX {
            self.noticed.insert(id);
        } else {
            self.noticed.clear();
            self.rescan_wanted = true;
        }
    }

    pub(super) fn next_wakeup(&self, now: Now) -> Option<Moment> {
        if self.stopped {
            return None;
        }
        let mut next: Option<Uptime> = None;
        let mut at = |up: Uptime| next = Some(next.map_or(up, |n| n.min(up)));
        if self.reading.is_none() && !self.noticed.is_empty() {
            at(self.read_after);
        }
        if self.sweeping.is_none() {
            at(self.next_near);
            if let Some(full) = self.next_full {
                at(full);
            }
            if self.rescan_wanted {
                at(self.rescan_after);
            }
        }
        next.map(|up| now.db + up.since(now.up))
    }

    fn begin_sweep(&mut self, now: Now, horizon: Duration) -> Option<Moment> {
        if self.stopped || self.sweeping.is_some() {
            return None;
        }
        let full_is_due = self.next_full.is_some_and(|at| at <= now.up)
            || (self.rescan_wanted && self.rescan_after <= now.up);
        let reach = if full_is_due {
            Reach::Full
        } else if self.next_near <= now.up {
            Reach::Near
        } else {
            return None;
        };
        let until = match reach {
            Reach::Full => {
                self.rescan_wanted = false;
                self.rescan_after = now.up + RESCAN_PAUSE;
                self.next_full = Some(now.up + horizon / 2);
                // From here on, not from the end of the sweep: what is noticed meanwhile belongs
                // into this window.
                self.window_until = now.db + horizon;
                self.window_until
            }
            Reach::Near => now.db + NEAR_SWEEP * 2,
        };
        self.next_near = now.up + NEAR_SWEEP;
        self.sweep = self.sweep.wrapping_add(1);
        self.sweeping = Some(Sweep {
            reach,
            until,
            heard: self.channel_is_up(),
        });
        Some(until)
    }
}

impl<P: Clone> Reactor<P> {
    pub(super) fn channel_up(&mut self) {
        if self.intake.channel == Channel::Down {
            self.intake.channel = Channel::Up;
            self.intake.next_full = None;
            self.intake.rescan_wanted = true;
            self.intake.rescan_after = Uptime::MIN;
        }
    }

    pub(super) fn noticed(&mut self, ids: Vec<MessageId>) {
        if self.intake.stopped {
            return;
        }
        for id in ids {
            match self.busy.get_mut(&id) {
                Some(busy) => busy.recheck = true,
                None => self.intake.look_at(id),
            }
        }
    }

    pub(super) fn read_noticed(&mut self, now: Now) {
        let intake = &mut self.intake;
        let pausing = now.up < intake.read_after;
        if intake.reading.is_some() || intake.noticed.is_empty() || pausing {
            return;
        }
        let mut ids = Vec::with_capacity(intake.noticed.len().min(READ_MAX));
        while ids.len() < READ_MAX {
            match intake.noticed.pop_first() {
                Some(id) => ids.push(id),
                None => break,
            }
        }
        let sweep = intake.sweep;
        intake.reading = Some(Reading {
            ids: ids.clone(),
            sweep,
        });
        self.commands.push_back(Command::Read(ids));
    }

    pub(super) fn rows_read(&mut self, rows: Option<Vec<(MessageId, RowState)>>, now: Now) {
        let Some(reading) = self.intake.reading.take() else {
            return;
        };
        if self.intake.stopped {
            return;
        }
        let Some(rows) = rows else {
            self.intake.read_after = now.up + FAILED_PAUSE;
            for id in reading.ids {
                self.intake.look_at(id);
            }
            return;
        };
        for (id, state) in rows {
            match self.busy.get_mut(&id) {
                Some(busy) => busy.recheck = true,
                None => self.row_read(id, state, reading.sweep, now),
            }
        }
    }

    fn row_read(&mut self, id: MessageId, state: RowState, sweep: u32, now: Now) {
        let swept_since = self.agenda.get(id).filter(|timer| timer.seen != sweep);
        match (swept_since, state) {
            // A sweep that began after this read was asked for says otherwise; which of the two
            // saw the later state cannot be told. A new read can.
            (Some(timer), state) if sweep != self.intake.sweep && !state.is_due_at(timer.due) => {
                self.intake.look_at(id);
            }
            _ => self.row_is(id, state, sweep, 0, now),
        }
    }

    /// Puts a row, as it was read, on the agenda or takes it off. `held`: how often in a row it
    /// was pending and due and could not be had.
    pub(super) fn row_is(
        &mut self,
        id: MessageId,
        state: RowState,
        sweep: u32,
        held: u16,
        now: Now,
    ) {
        if self.draining {
            return;
        }
        match state {
            RowState::Pending {
                due,
                version,
                attempts,
            } => {
                let row = Upcoming {
                    id,
                    due,
                    version,
                    attempts,
                };
                if held > 0 {
                    let pause = super::claims::HELD.pause(u32::from(held));
                    self.arm(&row, (now.db + pause).max(due), sweep, held);
                } else if due <= self.intake.window_until.max(now.db) {
                    self.arm(&row, due, sweep, 0);
                } else {
                    self.agenda.remove(id);
                }
            }
            RowState::Sending { lease_until } => {
                let again = lease_until.max(now.db + WATCH_PAUSE);
                let watch = Timer {
                    due: again,
                    version: 0,
                    seen: sweep,
                    attempts: 0,
                    held: 0,
                    watch: true,
                };
                self.agenda.insert(id, again, watch);
            }
            RowState::Gone { .. } => {
                self.agenda.remove(id);
            }
        }
    }

    fn arm(&mut self, row: &Upcoming, at: Moment, sweep: u32, held: u16) {
        let timer = Timer {
            due: row.due,
            // Only shown, never compared.
            version: u32::try_from(row.version).unwrap_or(u32::MAX),
            seen: sweep,
            attempts: u16::try_from(row.attempts).unwrap_or(u16::MAX),
            held,
            watch: false,
        };
        self.agenda.insert(row.id, at, timer);
    }

    pub(super) fn sweep(&mut self, now: Now) {
        let horizon = self.settings.horizon;
        if let Some(until) = self.intake.begin_sweep(now, horizon) {
            self.commands.push_back(Command::Load { until });
        }
    }

    pub(super) fn loaded(&mut self, rows: &[Upcoming]) {
        if self.draining {
            return;
        }
        let sweep = self.intake.sweep;
        for row in rows {
            if let Some(busy) = self.busy.get_mut(&row.id) {
                busy.recheck = true;
                continue;
            }
            match self.agenda.get(row.id) {
                // Asked for since the sweep began: that answer is the newer one.
                Some(timer) if timer.seen == sweep => {}
                // Waiting out somebody's lock.
                Some(timer) if timer.held > 0 && timer.due == row.due => {}
                _ => self.arm(row, row.due, sweep, 0),
            }
        }
    }

    pub(super) fn load_ended(&mut self, complete: bool, now: Now) {
        let Some(sweep) = self.intake.sweeping.take() else {
            return;
        };
        if !complete {
            match sweep.reach {
                Reach::Full => {
                    self.intake.rescan_wanted = true;
                    self.intake.rescan_after = now.up + FAILED_PAUSE;
                }
                Reach::Near => self.intake.next_near = now.up + FAILED_PAUSE,
            }
            return;
        }
        if sweep.reach == Reach::Full {
            if self.intake.channel == Channel::Up && sweep.heard {
                self.intake.channel = Channel::Loaded;
            }
            self.intake.resyncs += 1;
            if self.intake.next_full.is_none() {
                self.intake.next_full = Some(now.up + self.settings.horizon / 2);
            }
        }
        // Armed, in the window, and not found there: changed while nobody told us. Reading
        // them decides; a timer that is merely newer than the sweep loses nothing by it.
        let number = self.intake.sweep;
        let stale = |(_, timer): &(MessageId, Timer)| {
            timer.seen != number && timer.due <= sweep.until && !timer.watch
        };
        let missing: Vec<_> = match sweep.reach {
            Reach::Full => self.agenda.iter().filter(stale).collect(),
            Reach::Near => self
                .agenda
                .upcoming(usize::MAX, Some(sweep.until))
                .into_iter()
                .filter(stale)
                .collect(),
        };
        for (id, _) in missing {
            self.intake.look_at(id);
        }
    }
}
