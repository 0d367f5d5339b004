//! What users and misfortune do, at the times the plan has.

use punctual::message::{MessageId, Moment, PaceId, PauseKey};
use uuid::Uuid;

use super::{Event, Input, Process, Whose, World, message};
use crate::model::{Change, Pace, SENDER, Transaction};
use crate::mutant::Mutant;
use crate::plan::{MS, SECOND, What, micros};

impl World {
    pub(super) fn deed(&mut self, n: usize) {
        let what = self.plan.deeds[n].what.clone();
        if !matches!(what, What::User { .. }) {
            self.note(|| format!("{what:?}"));
        }
        if what.slot().is_some_and(|slot| slot >= self.slots.len()) {
            return;
        }
        match what {
            What::User {
                row,
                change,
                open_for,
                commits,
            } => self.user(row, &change, open_for, commits),
            What::Mass { rows, change } => self.mass(&rows, &change),
            What::OptOut { rows } => {
                let ids: Vec<_> = rows.into_iter().map(message).collect();
                self.db.opt_out(&ids);
            }
            What::Crash { slot, down_for } => self.crash(slot, down_for),
            What::Drain { slot, down_for } => {
                if let Some(whose) = self.running(slot) {
                    self.slots[slot].down_for = down_for;
                    self.process_at(self.t, whose, Process::Input(Input::Drain));
                }
            }
            What::Suspend { slot, lasts } => {
                let until = self.until(lasts);
                if let Some(instance) = self.slots[slot].instance.as_mut() {
                    instance.suspended_until = until.max(instance.suspended_until);
                }
            }
            What::Step { slot, by, lasts } => self.step(slot, by, lasts),
            What::Deafen {
                slot,
                noticed_after,
                lasts,
            } => self.deafen(slot, noticed_after, lasts),
            What::Mute { lasts } => self.mute_until = self.until(lasts),
            What::Forge { slot, rows } => {
                if let Some(whose) = self.running(slot) {
                    let ids = rows.into_iter().map(message).collect();
                    self.process_at(self.t, whose, Process::Input(Input::Notification(ids)));
                }
            }
            What::Rescan { slot } => {
                if let Some(whose) = self.running(slot) {
                    self.process_at(self.t, whose, Process::Input(Input::Rescan));
                }
            }
            What::Pause { key, lasts, timed } => self.pause(key, lasts, timed),
            What::SetPace { campaign, gaps } => self.set_pace(campaign, gaps, 1),
            What::SetRate { each, burst } => {
                self.set_pace(SENDER, (each, each), burst);
                self.rates.set(self.t, each, burst);
            }
            What::RemovePace { campaign } => {
                self.db.paces.remove(&campaign);
                self.repaced.insert(campaign, self.db_now());
                self.notify_all(&|| Input::PacesChanged);
            }
            What::Blackout { lasts } => self.blackout_until = self.until(lasts),
            What::Jump { by, lasts } => {
                self.jump_us = by;
                self.at(self.until(lasts), Event::ClockSet);
            }
            What::Calendar { event, edit } => self.calendar_changes(event, edit),
            What::Quarantine { cleared, lasts } => self.quarantine(cleared, lasts),
        }
    }

    /// Claims see it at once; each daemon reads of it within a heartbeat.
    fn quarantine(&mut self, cleared: Vec<usize>, lasts: i64) {
        let before = self.db.quarantine_begin(self.true_now());
        let ends = self.until(lasts);
        for row in cleared {
            let at = self.chances.time.between(self.t, ends + 1);
            self.at(at, Event::Clear { row });
        }
        self.at(ends, Event::QuarantineEnds { before });
    }

    fn user(&mut self, row: usize, change: &Change, open_for: i64, commits: bool) {
        let id = message(row);
        let now = self.db_now();
        let begun = self.db.begin(id, change, now);
        let done = if begun.is_some() { "begun" } else { "refused" };
        self.note(|| match change {
            Change::Insert { at, .. } => format!("user inserts row {row} for {at}: {done}"),
            Change::Reschedule { at } => format!("user moves row {row} to {at}: {done}"),
            other => format!("user on row {row}: {other:?}: {done}"),
        });
        if let Some(tx) = begun {
            let at = self.until(open_for);
            if at == self.t {
                self.end_transaction(tx, commits);
            } else {
                let tx = Box::new(tx);
                self.at(at, Event::End { tx, commits });
            }
        }
    }

    pub(super) fn end_transaction(&mut self, tx: Transaction, commits: bool) {
        let id = tx.id();
        let row = id.0.as_u128();
        if !commits {
            self.note(|| format!("user's transaction on row {row} rolls back"));
            self.db.roll_back(&tx);
            return;
        }
        self.note(|| format!("user's transaction on row {row} commits"));
        let now = self.db_now();
        if self.db.commit(tx, now) && self.t >= self.mute_until {
            self.notify(&[id]);
        }
    }

    /// A statement over many rows: one notice names them all.
    fn mass(&mut self, rows: &[usize], change: &Change) {
        let now = self.db_now();
        let mut changed = Vec::new();
        for id in rows.iter().map(|row| message(*row)) {
            if let Some(tx) = self.db.begin(id, change, now)
                && self.db.commit(tx, now)
            {
                changed.push(id);
            }
        }
        if !changed.is_empty() && self.t >= self.mute_until {
            self.notify(&changed);
        }
    }

    fn pause(&mut self, key: PauseKey, lasts: i64, timed: bool) {
        let end = if timed {
            self.db_now() + micros(lasts)
        } else {
            self.at(self.t + lasts, Event::Resume { key: key.clone() });
            Moment::MAX
        };
        self.db.pause(key.clone(), end);
        self.paused_at.insert(key, self.t);
        self.notify_all(&|| Input::PausesChanged);
    }

    pub(super) fn resume(&mut self, key: &PauseKey) {
        self.note(|| format!("{key:?} is resumed"));
        let now = self.db_now();
        self.db.resume(key, now);
        self.notify_all(&|| Input::PausesChanged);
    }

    /// One that is there keeps its slots.
    fn set_pace(&mut self, campaign: Uuid, (min, max): (i64, i64), burst: i32) {
        let now = self.db_now();
        let id = self.db.paces.get(&campaign).map(|pace| pace.id);
        let id = id.unwrap_or_else(|| {
            let new = PaceId(Uuid::from_u128(
                0xE1 << 116 | self.paced_since.len() as u128,
            ));
            self.paced_since.insert(new, now);
            new
        });
        let pace = Pace {
            id,
            gaps: (micros(min), micros(max)),
            burst,
            seed: i64::try_from(self.plan.seed).unwrap_or(0),
            position: 0,
            next: now,
            token: None,
            slot: None,
        };
        self.db.set_pace(campaign, pace, now);
        self.repaced.insert(campaign, now);
        self.notify_all(&|| Input::PacesChanged);
    }

    pub(crate) fn notify(&mut self, ids: &[MessageId]) {
        self.notify_all(&|| Input::Notification(ids.to_vec()));
    }

    pub(crate) fn notify_of_pauses(&mut self) {
        self.notify_all(&|| Input::PausesChanged);
    }

    fn notify_all(&mut self, input: &dyn Fn() -> Input) {
        for slot in 0..self.slots.len() {
            let Some(whose) = self.running(slot) else {
                continue;
            };
            if !self.slots[slot].hears || self.mutant == Some(Mutant::HollowChannel) {
                continue;
            }
            let dice = &mut self.chances.notice;
            if dice.chance(self.odds.notice_lost) {
                self.note(|| format!("the notice to {slot} is lost"));
                continue;
            }
            let times = if dice.chance(self.odds.notice_twice) {
                2
            } else {
                1
            };
            for _ in 0..times {
                let dice = &mut self.chances.notice;
                let delay = if dice.chance(self.odds.notice_late) {
                    dice.between(0, 8 * SECOND)
                } else {
                    dice.between(100, 3 * MS)
                };
                let at = self.until(delay).max(self.t + 100);
                self.process_at(at, whose, Process::Input(input()));
            }
        }
    }

    fn crash(&mut self, slot: usize, down_for: i64) {
        if self.slots[slot].instance.take().is_some() {
            self.slots[slot].run += 1;
            self.slots[slot].hears = false;
            self.come_back(slot, down_for);
        }
    }

    /// The first daemon always comes back; another that was away for long never does.
    pub(super) fn come_back(&mut self, slot: usize, down_for: i64) {
        if slot == 0 || down_for < 15 * SECOND {
            // In the calm nothing stays away.
            let at = (self.t + down_for).min(self.plan.calm_at);
            self.at(at.max(self.t + MS), Event::Start { slot });
        }
    }

    fn step(&mut self, slot: usize, by: i64, lasts: i64) {
        let until = self.until(lasts);
        let Some(whose) = self.running(slot) else {
            return;
        };
        let Some(instance) = self.slots[slot].instance.as_mut() else {
            return;
        };
        instance.step_us = by;
        instance.steps += 1;
        instance.step_noticed = false;
        let step = instance.steps;
        self.process_at(self.t, whose, Process::Input(Input::Tick));
        self.process_at(until, whose, Process::ClockFound { step });
    }

    fn deafen(&mut self, slot: usize, noticed_after: i64, lasts: i64) {
        let Some(whose) = self.running(slot) else {
            return;
        };
        self.slots[slot].hears = false;
        self.slots[slot].ear += 1;
        let ear = self.slots[slot].ear;
        let noticed = self.until(noticed_after);
        let back = self.until(noticed_after + lasts);
        self.process_at(noticed, whose, Process::EarLost { ear });
        self.process_at(back + MS, whose, Process::Reconnected { ear });
    }

    pub(super) fn calm_down(&mut self) {
        self.note(|| "calm".to_owned());
        self.odds = self.plan.calm_odds;
    }

    /// Which run a slot is in, if it runs.
    pub(super) fn running(&self, slot: usize) -> Option<Whose> {
        let slot_now = self.slots.get(slot)?;
        slot_now.instance.as_ref()?;
        Some(Whose {
            slot,
            run: slot_now.run,
        })
    }
}
