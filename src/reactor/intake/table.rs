//! Rows that were read are put on the agenda or taken off it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::events::Disarmed;
use super::super::{Command, Reactor, Upcoming};
use super::{Channel, Reach, Reading};
use crate::message::{MessageId, Moment, Now, Priority, RowState, Uptime};
use crate::schedule::{Ranking, Timer, Turn, slice};

impl<P: Clone> Reactor<P> {
    pub(in crate::reactor) fn channel_up(&mut self) {
        if self.intake.channel == Channel::Down {
            self.intake.channel = Channel::Up;
            self.intake.next_full = None;
            self.intake.rescan_wanted = true;
            self.intake.near_by(Uptime::MIN);
        }
    }

    /// The order of the instances has changed: everything is read and armed again, what is about to be due first.
    pub(in crate::reactor) fn members(&mut self, ranking: Ranking) {
        let was_alone = self.ranking.as_ref().is_none_or(Ranking::is_alone);
        if self.ranking.as_ref() != Some(&ranking) && !(was_alone && ranking.is_alone()) {
            self.intake.rescan();
            self.intake.sweep_soon();
        }
        self.ranking = Some(ranking);
    }

    pub(in crate::reactor) fn notified(&mut self, ids: Vec<MessageId>) {
        if self.intake.stopped {
            return;
        }
        for id in ids {
            match self.busy.get_mut(&id) {
                Some(busy) => busy.recheck = true,
                None => self.intake.note_for_read(id),
            }
        }
    }

    pub(in crate::reactor) fn read_notified(&mut self, now: Now) {
        let intake = &mut self.intake;
        let pausing = now.up < intake.read_after;
        let is_none = intake.notified.is_empty() && !intake.turns.are_ripe(now);
        if intake.reading.is_some() || is_none || pausing {
            return;
        }
        let batch = intake.limits.read_batch;
        let mut ids = Vec::with_capacity(intake.notified.len().min(batch));
        // First and half of it, so that they wait for no long row of notifications.
        let is_free = |id: &MessageId| !self.busy.contains_key(id);
        let passed = intake.turns.take(now, is_free, &mut ids);
        while ids.len() < batch {
            let Some(id) = intake.notified.pop_first() else {
                break;
            };
            // Claimed since it was notified: the response could be from before its record.
            match self.busy.get_mut(&id) {
                Some(busy) => busy.recheck = true,
                None => ids.push(id),
            }
        }
        if ids.is_empty() {
            return;
        }
        ids.sort_unstable();
        ids.dedup();
        let sweep = intake.sweep;
        intake.reading = Some(Reading {
            ids: ids.clone(),
            overtaken: BTreeSet::new(),
            passed,
            sweep,
        });
        self.commands.push_back(Command::Read(ids));
    }

    pub(in crate::reactor) fn rows_read(
        &mut self,
        rows: Option<Vec<(MessageId, RowState)>>,
        now: Now,
    ) {
        let Some(reading) = self.intake.reading.take() else {
            return;
        };
        if self.intake.stopped {
            return;
        }
        let Some(rows) = rows else {
            self.intake.read_after = now.up + self.intake.limits.failed_pause;
            // They were noted before: a read that fails is no reason to read everything.
            for id in reading.ids {
                let is_passed = reading.passed.contains(&id);
                if !is_passed || !self.intake.turns.note(id, true, now) {
                    self.intake.notified.insert(id);
                }
            }
            return;
        };
        let behind = if reading.passed.is_empty() {
            BTreeMap::new()
        } else {
            self.behind(now)
        };
        for (id, state) in rows {
            match self.busy.get_mut(&id) {
                Some(busy) => busy.recheck = true,
                None if reading.overtaken.contains(&id) => self.intake.note_for_read(id),
                None if reading.passed.contains(&id) => {
                    self.turn_has_passed(id, state, reading.sweep, &behind, now);
                }
                None => self.row_read(id, state, reading.sweep, now),
            }
        }
    }

    pub(super) fn row_read(&mut self, id: MessageId, state: RowState, sweep: u32, now: Now) {
        let swept_since = self.lanes.get(id).filter(|timer| timer.seen != sweep);
        let is_news = swept_since.is_some_and(|timer| !state.is_due_at(timer.due));
        if is_news && sweep != self.intake.sweep {
            // A sweep that began after this read was requested differs; which of the two
            // saw the later state cannot be known. A new read can.
            self.intake.note_for_read(id);
        } else {
            self.row_is(id, state, sweep, 0, now);
        }
    }

    /// Puts a row, as it was read, on the agenda or takes it off. `lock_misses`: how
    /// often in a row it was pending and due, and locked by another transaction.
    pub(in crate::reactor) fn row_is(
        &mut self,
        id: MessageId,
        state: RowState,
        sweep: u32,
        lock_misses: u16,
        now: Now,
    ) {
        if self.draining {
            return;
        }
        match Upcoming::read(id, state) {
            Ok(row) if lock_misses > 0 => {
                let at = self.locked.next_try(lock_misses, now).max(row.due);
                self.arm(&row, (at, Turn::Anybodys), sweep, lock_misses, now);
            }
            Ok(row) if self.is_in_window(id, row.due, now) => {
                let turn = self.turn(id, row.due, now);
                self.arm(&row, turn, sweep, 0, now);
            }
            Ok(row) => {
                let former = self.lanes.remove(id);
                self.log_disarmed(id, former, Disarmed::AfterWindow(row.due), now);
            }
            Err(other) => self.row_is_not_armed(id, other, sweep, now),
        }
    }

    /// A row that waits for something else than its due time: its pace, or another instance.
    fn row_is_not_armed(&mut self, id: MessageId, state: RowState, sweep: u32, now: Now) {
        match state {
            RowState::Pending { pace, due, .. } => {
                let former = self.lanes.remove(id);
                let at = pace.as_ref().map_or(due, |pace| pace.at);
                self.log_disarmed(id, former, Disarmed::AfterWindow(at), now);
                if let Some(pace) = pace {
                    self.note_pace(*pace, sweep, now);
                }
            }
            RowState::Sending { lease_until, lane } => {
                let again = lease_until.max(now.db + self.intake.limits.watch_pause);
                let watch = Timer {
                    due: again,
                    version: 0,
                    seen: sweep,
                    attempts: 0,
                    lock_misses: 0,
                    watch: true,
                    turn: Turn::Others,
                    priority: Priority::Normal,
                };
                let lane = self.lanes.of(&lane, &self.settings, now);
                let former = self.lanes.insert(lane, id, again, watch);
                self.log_watched(id, former, again, now);
            }
            RowState::Gone { status } => {
                let former = self.lanes.remove(id);
                self.log_disarmed(id, former, Disarmed::Gone(status), now);
            }
        }
    }

    pub(super) fn arm(
        &mut self,
        row: &Upcoming,
        (at, turn): (Moment, Turn),
        sweep: u32,
        lock_misses: u16,
        now: Now,
    ) {
        if self.is_kept_in_quarantine(row) {
            self.lanes.remove(row.id);
            return;
        }
        let timer = Timer {
            due: row.due,
            // Only shown, never compared.
            version: u32::try_from(row.version).unwrap_or(u32::MAX),
            seen: sweep,
            attempts: u16::try_from(row.attempts).unwrap_or(u16::MAX),
            lock_misses,
            watch: false,
            turn,
            priority: row.priority,
        };
        // By a route it may be the one that tries its account.
        let by_route = row.lane.route().and_then(|_| self.lanes.remove(row.id));
        let lane = self.lanes.of(&row.lane, &self.settings, now);
        let former = self.lanes.insert(lane, row.id, at, timer).or(by_route);
        let is_counted = former.is_some_and(|former| slice(former.due) == slice(row.due));
        if turn != Turn::Anybodys && !is_counted {
            self.lanes.count_in_slice(row.due);
        }
        if row.lane.route().is_some() {
            self.lanes.note_trial(lane, row.id, now);
        }
        // A repetition after a lock is no event.
        if lock_misses == 0 {
            self.log_armed(row, former, now);
        }
    }

    /// When the next message is due that is known, where sweeps follow it.
    pub(in crate::reactor) fn next_due(&mut self, now: Now) -> Option<Moment> {
        let after = self.intake.follows_dues_after(now)?;
        self.lanes.first_after(after)
    }

    pub(in crate::reactor) fn sweep(&mut self, now: Now) {
        let horizon = self.settings.horizon;
        let first = self.next_due(now);
        if let Some((from, until, most)) = self.intake.begin_sweep(first, now, horizon) {
            self.lanes.free_unused(self.settings.limits.lanes.kept, now);
            self.lanes.forget_slices(now);
            self.slowed.forget_old(now.up);
            // Should a notification of them have been lost.
            self.pauses.want();
            self.commands.push_back(Command::Load { from, until, most });
        }
    }

    pub(in crate::reactor) fn loaded(&mut self, rows: &[Upcoming], now: Now) {
        if self.draining {
            return;
        }
        let sweep = self.intake.sweep;
        let unlocks = self.intake.sweeping.as_ref().is_some_and(|s| s.unlocks);
        for row in rows {
            if let Some(busy) = self.busy.get_mut(&row.id) {
                busy.recheck = true;
                continue;
            }
            match self.lanes.get(row.id) {
                // Requested since the sweep began: that response is the newer one.
                Some(timer) if timer.seen == sweep => {}
                // Waiting for another transaction's lock.
                Some(timer) if timer.lock_misses > 0 && timer.due == row.due && !unlocks => {}
                _ => self.arm(row, self.turn(row.id, row.due, now), sweep, 0, now),
            }
        }
    }

    pub(in crate::reactor) fn load_ended(
        &mut self,
        complete: bool,
        reached: Option<Moment>,
        now: Now,
    ) {
        let Some(mut sweep) = self.intake.sweeping.take() else {
            return;
        };
        let limits = self.intake.limits;
        let took = now.up.since(sweep.began);
        if !complete {
            self.intake.unlock_wanted |= sweep.unlocks;
            // Sweeps that take long to fail must not follow each other at once.
            let again = now.up + limits.failed_pause.max(took);
            self.intake.unlock_after = again;
            self.intake.behind_after = Uptime::MIN;
            match sweep.reach {
                Reach::Full => {
                    self.intake.rescan_wanted = true;
                    self.intake.rescan_after = again;
                }
                Reach::Near => {
                    self.intake.next_near = again;
                    self.intake.failed_until = again;
                    self.intake.near_after = self.intake.near_after.max(again);
                }
            }
            return;
        }
        let pause = took.saturating_mul(limits.rescan_share);
        self.intake.unlock_after = now.up + pause;
        if sweep.reach == Reach::Near {
            self.intake.near_after = self.intake.near_after.max(now.up + pause);
            if sweep.from.is_some() {
                return;
            }
            self.intake.behind_after = now.up + pause;
        }
        if sweep.reach == Reach::Full {
            if self.intake.channel == Channel::Up && sweep.heard {
                self.intake.channel = Channel::Loaded;
            }
            self.intake.resyncs += 1;
            if self.intake.next_full.is_none() {
                self.intake.next_full = Some(now.up + self.settings.horizon / 2);
            }
            self.intake.rescan_after = (sweep.began + limits.rescan_pause).max(now.up + pause);
            let regular = sweep.began + self.settings.horizon / 2;
            self.intake.next_full_after_pause(regular);
            if let Some(reached) = reached {
                self.intake.had_no_room(&mut sweep, reached, now);
            }
        }
        let number = self.intake.sweep;
        self.intake.checks.begin(sweep.reach, number, sweep.until);
    }
}
