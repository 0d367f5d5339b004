//! Paces: messages that keep a distance from each other wait for a slot.
//!
//! Such messages are not armed. Of each pace it is known when its next message may start, and shortly before that it is
//! claimed by its pace: the database chooses the message, takes the slot, and returns when the next one begins. So an
//! instance waits for that moment, whatever number of messages waits, and several instances need not know of each
//! other's claims: who comes second is told when to ask again.
//!
//! A slot is over a second after its beginning. What has not started by then is released, and the database gives the
//! slot to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::failure_pause::FailurePause;
use super::report::PaceReport;
use super::{Phase, Reactor};
use crate::message::{MessageId, Moment, Now, PaceDue, PaceId, Uptime};
use crate::schedule::Backoff;

mod claims;

/// Why claims are released.
const SLOT_OVER: &str = "its slot was over before it could start";

/// A pace that has a message to be sent.
#[derive(Debug)]
struct Waiting {
    due: PaceDue,
    /// When it is to be claimed from, less the lead: later than the slot where it is another instance's turn first.
    ask_at: Moment,
    /// How often in a row it was to be claimed from and was locked.
    misses: u16,
    /// The sweep that was latest when this was read.
    seen: u32,
    /// Its claim is under way.
    is_asked: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Paces {
    waiting: BTreeMap<PaceId, Waiting>,
    /// Those whose claim is not under way, in the order in which they are claimed from.
    order: BTreeSet<(Moment, PaceId)>,
    /// When the claim under way was sent.
    asked: Option<Uptime>,
    /// How many messages it may win.
    pub(super) asks: usize,
    /// Claimed messages by the end of their slots. Those that have started or were released stay until then.
    cleared: BTreeSet<(Moment, MessageId)>,
    /// After a claim from paces failed. Other claims do not wait for it.
    pause: FailurePause,
}

impl Paces {
    pub(super) const fn new(failed_retry: Backoff) -> Self {
        Self {
            waiting: BTreeMap::new(),
            order: BTreeSet::new(),
            asked: None,
            asks: 0,
            cleared: BTreeSet::new(),
            pause: FailurePause::new(failed_retry),
        }
    }

    /// Whether a claim is under way.
    pub(super) const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    fn change(&mut self, id: PaceId, change: impl FnOnce(&mut Waiting)) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            self.order.remove(&(waiting.ask_at, id));
            change(waiting);
            if !waiting.is_asked {
                self.order.insert((waiting.ask_at, id));
            }
        }
    }

    fn remove(&mut self, id: PaceId) {
        if let Some(waiting) = self.waiting.remove(&id) {
            self.order.remove(&(waiting.ask_at, id));
        }
    }

    fn keep(&mut self, due: PaceDue, ask_at: Moment, seen: u32) {
        let id = due.id;
        self.remove(id);
        self.order.insert((ask_at, id));
        self.waiting.insert(
            id,
            Waiting {
                due,
                ask_at,
                misses: 0,
                seen,
                is_asked: false,
            },
        );
    }
}

#[cfg(test)]
impl Paces {
    /// What is in order is what waits and is not asked for.
    pub(super) fn audit(&self) {
        let waiting = self.waiting.iter().filter(|(_, w)| !w.is_asked);
        let order: BTreeSet<_> = waiting.map(|(id, w)| (w.ask_at, *id)).collect();
        assert_eq!(self.order, order);
        let asked = self.waiting.values().filter(|w| w.is_asked).count();
        assert_eq!((self.asked.is_some(), self.asks), (asked > 0, asked));
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
        match self.paces.waiting.get(&due.id) {
            // The answer tells.
            Some(waiting) if waiting.is_asked => {}
            Some(waiting) if waiting.due.at <= due.at => {
                self.paces.change(due.id, |waiting| waiting.seen = sweep);
            }
            _ => self.paces.keep(due, turn, sweep),
        }
    }

    /// All paces that have a message in the window were read.
    pub(super) fn paces_loaded(&mut self, all: Vec<PaceDue>, now: Now) {
        if self.draining {
            return;
        }
        let sweep = self.intake.sweep_number();
        let found: BTreeSet<_> = all.iter().map(|due| due.id).collect();
        for due in all {
            match self.paces.waiting.get(&due.id) {
                Some(waiting) if waiting.is_asked => {}
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
        let gone = self.paces.waiting.iter();
        let gone = gone.filter(|(id, w)| !(w.is_asked || w.seen == sweep || found.contains(*id)));
        let gone: Vec<_> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            self.paces.remove(id);
        }
    }

    /// Releases what has not started within its slot.
    pub(super) fn end_slots(&mut self, now: Now) {
        while let Some((until, id)) = self.paces.cleared.first().copied() {
            if until >= now.db {
                return;
            }
            self.paces.cleared.pop_first();
            let busy = self.busy.get(&id).filter(|b| b.slot_until == Some(until));
            if let Some(busy) = busy.filter(|b| matches!(b.phase, Phase::Cleared { .. })) {
                let (lane, priority, due) = (busy.lane, busy.priority, busy.due);
                self.lanes.remove_cleared(lane, priority, (due, id));
                self.release(id, SLOT_OVER, now);
            }
        }
    }

    pub(super) fn next_slot_end(&self) -> Option<Moment> {
        let (until, _) = self.paces.cleared.first()?;
        Some(*until + Duration::from_micros(1))
    }

    /// Nothing more is claimed.
    pub(super) fn forget_paces(&mut self) {
        self.paces.waiting.clear();
        self.paces.order.clear();
    }

    /// The paces that have a message to be sent, in the order of their next.
    pub fn paces(&self) -> Vec<PaceReport> {
        let mut paces: Vec<_> = self.paces.waiting.values().map(|w| &w.due).collect();
        paces.sort_by_key(|due| (due.at, due.id));
        let report = |due: &PaceDue| PaceReport {
            scope: due.scope.clone(),
            what: due.what.clone(),
            next_at: due.at,
        };
        paces.into_iter().map(report).collect()
    }
}
