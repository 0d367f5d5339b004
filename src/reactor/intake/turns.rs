//! Messages whose turn is another instance's. Nearly all of them it claims; so they are not claimed but read a while
//! later, many together, and only what is still pending is taken over.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::IntakeLimits;
use crate::message::{MessageId, Moment, Now, Priority, RowState, Uptime};
use crate::reactor::lanes::Lane;
use crate::reactor::{Reactor, Upcoming};
use crate::schedule::{HowMany, Timer, Turn};

/// Those that are to be looked at.
#[derive(Debug)]
pub(super) struct Turns {
    limits: IntakeLimits,
    /// Which; and whether they are taken over if they are pending: others are watched.
    waiting: BTreeMap<MessageId, bool>,
    /// When the first of them was noted.
    since: Uptime,
    /// Until then what is noted is looked at sooner.
    helping_until: Uptime,
}

impl Turns {
    pub(super) const fn new(limits: IntakeLimits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            since: Uptime::MIN,
            helping_until: Uptime::MIN,
        }
    }

    /// Notes one, if there is room.
    pub(super) fn note(&mut self, id: MessageId, takes_over: bool, now: Now) -> bool {
        if self.waiting.len() >= self.limits.notified_max {
            return false;
        }
        if self.waiting.is_empty() {
            self.since = now.up;
        }
        self.waiting.insert(id, takes_over);
        true
    }

    /// One of them was still pending, or may be.
    fn help(&mut self, now: Now) {
        self.helping_until = now.up + self.limits.turns_helping;
    }

    /// So many are read at once.
    const fn most(&self) -> usize {
        // The rest of a read is for what is notified.
        self.limits.read_batch.div_ceil(2)
    }

    /// When they are to be read; `None`: there are none.
    pub(super) fn next(&self) -> Option<Uptime> {
        let is_helping = self.since < self.helping_until || self.waiting.len() >= self.most();
        let gather = if is_helping {
            self.limits.turns_gather_helping
        } else {
            self.limits.turns_gather
        };
        (!self.waiting.is_empty()).then(|| self.since + gather)
    }

    pub(super) fn are_ripe(&self, now: Now) -> bool {
        self.next().is_some_and(|at| at <= now.up)
    }

    /// Adds them to those that are read now, if it is time, as far as there is room. Returns what is taken over if it
    /// is pending.
    pub(super) fn take(
        &mut self,
        now: Now,
        is_free: impl Fn(&MessageId) -> bool,
        ids: &mut Vec<MessageId>,
    ) -> BTreeSet<MessageId> {
        let mut passed = BTreeSet::new();
        let most = if self.are_ripe(now) { self.most() } else { 0 };
        for _ in 0..most {
            let Some((id, takes_over)) = self.waiting.pop_first() else {
                break;
            };
            if is_free(&id) {
                ids.push(id);
                if takes_over {
                    passed.insert(id);
                }
            }
        }
        passed
    }
}

impl<P: Clone> Reactor<P> {
    /// When a message that was read just now and is pending is checked, and whose turn it is then.
    pub(super) fn turn(&self, id: MessageId, due: Moment, now: Now) -> (Moment, Turn) {
        let ranking = self.ranking.as_ref();
        ranking.map_or((due, Turn::Open), |ranking| ranking.arm(id, due, now.db))
    }

    /// Whether this one is not claimed, although it is time: it is in quarantine, or another instance has probably
    /// claimed it, or is about to.
    pub(in crate::reactor) fn is_not_asked_for(
        &mut self,
        lane: Lane,
        id: MessageId,
        timer: &Timer,
        now: Now,
    ) -> bool {
        if timer.watch {
            return self.intake.turns.note(id, false, now);
        }
        if self.is_quarantined(id, timer.due) {
            return true;
        }
        match timer.turn {
            Turn::Open => self.is_left_to_others(lane, id, timer, now),
            Turn::Others => self.intake.turns.note(id, true, now),
            Turn::Anybodys => false,
        }
    }

    /// Whether it is another instance's turn first, now that it is known how many are due with it. It is armed again,
    /// for when it is looked at whether that has claimed it.
    fn is_left_to_others(&mut self, lane: Lane, id: MessageId, timer: &Timer, now: Now) -> bool {
        let Some(ranking) = self.ranking.as_ref().filter(|all| !all.is_alone()) else {
            return false;
        };
        let limits = &self.settings.limits.claims;
        let due_with_it = self.lanes.due_with(timer.due, limits);
        let Some(at) = ranking.looks_later(id, timer.due, due_with_it, now.db) else {
            return false;
        };
        // Of its own slice, it was only held up for a moment: with a claim it has caught up.
        if ranking.has_slice(timer.due)
            && due_with_it == HowMany::Few
            && !self.is_far_behind(lane, now)
        {
            return false;
        }
        if due_with_it == HowMany::Several {
            self.intake.turns.help(now);
        }
        let timer = Timer {
            turn: Turn::Others,
            ..*timer
        };
        self.lanes.insert(lane, id, at, timer);
        true
    }

    /// Whether more wait in a lane than one claim takes.
    fn is_far_behind(&self, lane: Lane, now: Now) -> bool {
        let batch = self.settings.limits.claims.batch;
        self.lanes[lane].count_due(now.db, batch) >= batch
    }

    /// Of each lane in which messages wait although they are due the priority of the most urgent of them.
    pub(super) fn behind(&mut self, now: Now) -> BTreeMap<Lane, Priority> {
        self.lanes.refresh();
        let due = self.lanes.due.until(now.db);
        let waiting = due.filter_map(|(_, lane)| {
            let waits = |least: &Priority| {
                let first = self.lanes[lane].first_of(*least);
                first.is_some_and(|first| first <= now.db)
            };
            Some((lane, Priority::ALL.into_iter().rev().find(waits)?))
        });
        waiting.collect()
    }

    /// Whether a message of another instance's is left to it for longer: this one's own wait too, as when there are
    /// more than all can start at once. Both would try to claim the same otherwise.
    fn is_left_for_longer(
        &mut self,
        row: &Upcoming,
        behind: &BTreeMap<Lane, Priority>,
        now: Now,
    ) -> bool {
        let ranking = self.ranking.as_ref();
        if behind.is_empty() || ranking.is_none_or(|ranking| ranking.has_share(row.id)) {
            return false;
        }
        let lane = self.lanes.of(&row.lane, &self.settings, now);
        behind.get(&lane).is_some_and(|most| *most >= row.priority)
    }

    /// What another instance should have claimed was read.
    pub(super) fn turn_has_passed(
        &mut self,
        id: MessageId,
        state: RowState,
        sweep: u32,
        behind: &BTreeMap<Lane, Priority>,
        now: Now,
    ) {
        let is_left = matches!(&state, RowState::Pending { due, .. } if *due <= now.db);
        if !is_left {
            return self.row_read(id, state, sweep, now);
        }
        match Upcoming::read(id, state) {
            Ok(row) => {
                self.intake.turns.help(now);
                let turn = if self.is_left_for_longer(&row, behind, now) {
                    (now.db, Turn::Others)
                } else {
                    (row.due, Turn::Anybodys)
                };
                self.arm(&row, turn, sweep, 0, now);
            }
            Err(paced) => self.row_read(id, paced, sweep, now),
        }
    }
}
