//! Paces: messages that keep a distance from each other wait for a slot.
//!
//! Such messages are not armed. Of each pace it is known when its next message may start, and shortly before that it is
//! claimed by its pace: the database chooses the message, takes the slot, and returns when the next one begins. So an
//! instance waits for that moment, whatever number of messages waits, and several instances need not know of each
//! other's claims: the second one gets the time at which to try again.
//!
//! A slot is over soon after its beginning. A message that has not started by then is released, and the database gives
//! the slot to the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::failure_pause::FailurePause;
use super::lanes::Lane;
use super::report::PaceReport;
use super::{Phase, Reactor};
use crate::message::{
    AttemptToken, LaneKey, MessageId, Moment, Now, PaceDue, PaceId, PaceScope, Uptime,
};
use crate::schedule::Backoff;

mod claims;
mod unused;

use unused::Unused;

/// Why claims are released.
const SLOT_OVER: &str = "its slot was over before it could start";

/// The slot of a claimed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) pace: PaceId,
    /// The rate of its sender, of which it took one too.
    pub(super) rate: Option<PaceId>,
    /// The message starts by then, or is released.
    pub(super) until: Moment,
}

/// A pace that has a message to be sent.
#[derive(Debug)]
struct Waiting {
    due: PaceDue,
    /// When it is to be claimed from, less the lead: later than the slot where it is another instance's turn first.
    ask_at: Moment,
    /// When a connection is to be opened for its next message; `None`: that is done.
    prewarm_at: Option<Moment>,
    /// How often in a row a claim found the pace, or its first message, locked.
    misses: u16,
    /// The number of the latest sweep when the pace was read.
    seen: u32,
    /// The lane in which its claim counts; `None`: no claim from it is under way.
    asked_of: Option<Lane>,
    /// A slot was returned while its claim was under way.
    is_returned: bool,
    /// What was read while its claim was under way: the response to the claim may be older.
    noted: Option<PaceDue>,
}

impl Waiting {
    const fn is_asked(&self) -> bool {
        self.asked_of.is_some()
    }
}

/// The paces that messages wait for.
#[derive(Debug)]
pub(super) struct Paces {
    waiting: BTreeMap<PaceId, Waiting>,
    /// Those whose claim is not under way, in the order in which they are claimed from.
    order: BTreeSet<(Moment, PaceId)>,
    /// Those for which a connection is to be opened, by when it is.
    prewarm: BTreeSet<(Moment, PaceId)>,
    /// How long before its slot a connection is opened.
    prewarm_ahead: Duration,
    /// When the claim under way was sent.
    asked: Option<Uptime>,
    /// Claimed messages by the end of their slots. Those that have started or were released stay until then.
    cleared: BTreeSet<(Moment, MessageId)>,
    /// Claims that were won of messages whose claim before was not over, until their release is recorded.
    pub(super) beside: BTreeSet<AttemptToken>,
    /// Those whose slots were over before their messages could start.
    unused: BTreeMap<PaceId, Unused>,
    /// The pause after a claim from paces that failed. Other claims do not wait for it.
    pause: FailurePause,
}

impl Paces {
    pub(super) const fn new(failed_retry: Backoff, prewarm_ahead: Duration) -> Self {
        Self {
            waiting: BTreeMap::new(),
            order: BTreeSet::new(),
            prewarm: BTreeSet::new(),
            prewarm_ahead,
            asked: None,
            cleared: BTreeSet::new(),
            beside: BTreeSet::new(),
            unused: BTreeMap::new(),
            pause: FailurePause::new(failed_retry),
        }
    }

    /// Whether a claim is under way.
    pub(super) const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Changes what is known of a pace. A connection is opened again for another slot than before.
    fn change(&mut self, id: PaceId, change: impl FnOnce(&mut Waiting)) {
        let Some(mut waiting) = self.take(id) else {
            return;
        };
        let before = waiting.due.at;
        change(&mut waiting);
        if waiting.due.at != before {
            waiting.prewarm_at = Some(waiting.due.at - self.prewarm_ahead);
        }
        self.put(waiting);
    }

    fn take(&mut self, id: PaceId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        self.order.remove(&(waiting.ask_at, id));
        if let Some(at) = waiting.prewarm_at {
            self.prewarm.remove(&(at, id));
        }
        Some(waiting)
    }

    fn put(&mut self, mut waiting: Waiting) {
        let id = waiting.due.id;
        let until = self.unused.get(&id).map(|unused| unused.until);
        waiting.ask_at = waiting.ask_at.max(until.unwrap_or(Moment::MIN));
        if !waiting.is_asked() {
            self.order.insert((waiting.ask_at, id));
        }
        if let Some(at) = waiting.prewarm_at {
            self.prewarm.insert((at, id));
        }
        self.waiting.insert(id, waiting);
    }

    fn keep(&mut self, due: PaceDue, ask_at: Moment, seen: u32) {
        let id = due.id;
        let prewarm_at = Some(due.at - self.prewarm_ahead);
        let waiting = Waiting {
            due,
            ask_at,
            prewarm_at,
            misses: 0,
            seen,
            asked_of: None,
            is_returned: false,
            noted: None,
        };
        match self.take(id) {
            // The slot is the same, and what was opened for it is open.
            Some(before) if before.due.at == waiting.due.at => self.put(Waiting {
                prewarm_at: before.prewarm_at,
                ..waiting
            }),
            _ => self.put(waiting),
        }
    }

    /// What is waited for by a clock that was wrong: the sweep that follows says when each is queried again.
    pub(super) fn forget_waits(&mut self) {
        for unused in self.unused.values_mut() {
            unused.until = Moment::MIN;
        }
        for waiting in self.waiting.values_mut() {
            waiting.misses = 0;
        }
    }

    /// When the next connection is to be opened.
    pub(super) fn next_prewarm(&self) -> Option<Moment> {
        self.prewarm.first().map(|(at, _)| *at)
    }

    /// A pace for whose next message a connection is to be opened now.
    pub(super) fn pop_prewarm(&mut self, now: Moment) -> Option<&PaceDue> {
        let (at, id) = self.prewarm.first().copied().filter(|(at, _)| *at <= now)?;
        self.prewarm.remove(&(at, id));
        let waiting = self.waiting.get_mut(&id)?;
        waiting.prewarm_at = None;
        Some(&waiting.due)
    }
}

#[cfg(test)]
impl Paces {
    /// What is in order is what waits and is not asked for; how many are asked for of each lane.
    pub(super) fn audit(&self) -> BTreeMap<Lane, usize> {
        let waiting = self.waiting.iter().filter(|(_, w)| !w.is_asked());
        let order: BTreeSet<_> = waiting.map(|(id, w)| (w.ask_at, *id)).collect();
        assert_eq!(self.order, order);
        let prewarm = self.waiting.iter();
        let prewarm: BTreeSet<_> = prewarm
            .filter_map(|(id, w)| Some((w.prewarm_at?, *id)))
            .collect();
        assert_eq!(self.prewarm, prewarm);
        let mut asked = BTreeMap::new();
        for lane in self.waiting.values().filter_map(|w| w.asked_of) {
            *asked.entry(lane).or_default() += 1;
        }
        assert_eq!(self.asked.is_some(), !asked.is_empty());
        asked
    }
}

impl<P: Clone> Reactor<P> {
    /// When this instance claims from a pace whose next message may start `at`.
    fn pace_turn(&self, id: PaceId, at: Moment, now: Now) -> Moment {
        let ranking = self.ranking.as_ref();
        match ranking.map_or(Duration::ZERO, |ranking| ranking.stagger_of_pace(id)) {
            Duration::ZERO => at,
            stagger => at.max(now.db) + stagger,
        }
    }

    /// A message of a pace was read.
    pub(super) fn note_pace(&mut self, due: PaceDue, sweep: u32, now: Now) {
        let turn = self.pace_turn(due.id, due.at, now);
        match self.paces.waiting.get_mut(&due.id) {
            Some(waiting) if waiting.is_asked() => waiting.note(due),
            Some(waiting) if waiting.due.at <= due.at => {
                self.paces.change(due.id, |waiting| waiting.seen = sweep);
            }
            _ => self.paces.keep(due, turn, sweep),
        }
    }

    /// A claimed message did not begin, and that is recorded: while no later slot was taken, the database has returned
    /// its slot. The pace is queried at once, for when its next message may start.
    pub(super) fn slot_returned(&mut self, slot: Slot, now: Now) {
        for pace in [Some(slot.pace), slot.rate].into_iter().flatten() {
            self.paces.change(pace, |waiting| {
                if waiting.is_asked() {
                    waiting.is_returned = true;
                } else if waiting.misses == 0 {
                    waiting.ask_at = waiting.ask_at.min(now.db);
                }
            });
        }
    }

    /// All paces that have a message up to the end of the sweep were read. What has its next after that is kept by a
    /// near sweep: a full one finds that a pace was removed, however far away its next slot was.
    pub(super) fn paces_loaded(&mut self, all: Vec<PaceDue>, now: Now) {
        if self.draining {
            return;
        }
        let sweep = self.intake.sweep_number();
        let found: BTreeSet<_> = all.iter().map(|due| due.id).collect();
        for due in all {
            match self.paces.waiting.get_mut(&due.id) {
                Some(waiting) if waiting.is_asked() => waiting.note(due),
                // Read since the sweep began: of two moments the earlier costs no more than a claim.
                Some(waiting) if waiting.seen == sweep => self.note_pace(due, sweep, now),
                // A lock is waited for as before.
                Some(waiting) if waiting.misses > 0 && waiting.due.at == due.at => {}
                _ => {
                    let turn = self.pace_turn(due.id, due.at, now);
                    self.paces.keep(due, turn, sweep);
                }
            }
        }
        let until = self.intake.sweep_finds_paces_until();
        let gone = self.paces.waiting.iter();
        let gone = gone.filter(|(_, w)| w.due.at <= until);
        let gone = gone.filter(|(id, w)| !(w.is_asked() || w.seen == sweep || found.contains(*id)));
        let gone: Vec<_> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            self.paces.take(id);
        }
        let waiting = &self.paces.waiting;
        self.paces.unused.retain(|id, _| waiting.contains_key(id));
    }

    /// Releases what has not started within its slot.
    pub(super) fn end_slots(&mut self, now: Now) {
        while let Some((until, id)) = self.paces.cleared.first().copied() {
            if until >= now.db {
                return;
            }
            self.paces.cleared.pop_first();
            let busy = self.busy.get(&id);
            let busy = busy.filter(|b| b.slot.is_some_and(|slot| slot.until == until));
            if let Some(busy) = busy.filter(|b| matches!(b.phase, Phase::Cleared { .. })) {
                let (lane, priority, due) = (busy.lane, busy.priority, busy.due);
                let pace = busy.slot.map(|slot| slot.pace);
                self.lanes.remove_cleared(lane, priority, (due, id));
                self.release(id, SLOT_OVER, now);
                self.slot_unused(pace, now);
            }
        }
    }

    pub(super) fn next_slot_end(&self) -> Option<Moment> {
        let (until, _) = self.paces.cleared.first()?;
        Some(*until + Duration::from_micros(1))
    }

    /// Nothing more is claimed. What a claim under way wins is still awaited.
    pub(super) fn forget_paces(&mut self) {
        self.paces.waiting.retain(|_, waiting| waiting.is_asked());
        for waiting in self.paces.waiting.values_mut() {
            waiting.prewarm_at = None;
        }
        self.paces.order.clear();
        self.paces.prewarm.clear();
    }

    /// The paces that have a message to be sent, in the order of their next.
    pub fn paces(&self) -> Vec<PaceReport> {
        // What a pause has stopped since then is claimed from once more, and known to be stopped then.
        let is_paused = |due: &PaceDue| {
            due.scope == PaceScope::Campaign.as_str() && self.pauses.stop_campaign(&due.what)
        };
        let paces = self.paces.waiting.values().map(|w| &w.due);
        let mut paces: Vec<_> = paces.filter(|due| !is_paused(due)).collect();
        paces.sort_by_key(|due| (due.at, due.id));
        let is_refused = |way: &LaneKey| {
            let lane = self.lanes.find(way);
            lane.is_some_and(|lane| self.lanes[lane].breaker.is_open())
        };
        let report = |due: &PaceDue| PaceReport {
            scope: due.scope.clone(),
            what: due.what.clone(),
            next_at: due.at,
            channel: due.lane.channel().as_str(),
            refused: self.lanes.routes.ways(&due.lane).iter().all(is_refused),
        };
        paces.into_iter().map(report).collect()
    }
}
