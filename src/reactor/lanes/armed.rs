//! What is armed, over all lanes.

use super::{Lane, LaneState, Lanes};
use crate::message::{MessageId, Moment};
use crate::schedule::{Agenda, LEAD_MAX, LevelInfo, Timer};

impl LaneState {
    /// How many messages are armed.
    pub(in crate::reactor) fn armed(&self) -> usize {
        self.agenda.len()
    }

    /// How many are due by `before`, counted up to `most`.
    pub(in crate::reactor) fn due_before(&self, before: Moment, most: usize) -> usize {
        self.agenda.upcoming(most, Some(before)).len()
    }

    /// When the first of those about to be due is to be looked at.
    pub(in crate::reactor) fn first(&self) -> Option<Moment> {
        self.agenda.first()
    }

    /// How many are about to be due.
    pub(in crate::reactor) fn together(&self) -> usize {
        self.agenda.front_len()
    }

    /// When to look whether more are.
    pub(in crate::reactor) const fn next_advance(&self) -> Option<Moment> {
        self.next_advance
    }

    /// See [`Lanes::soonest`].
    fn reckon(&mut self) -> Option<Moment> {
        self.next_advance = self.agenda.next_advance();
        let first = self.agenda.first().map(|at| at - LEAD_MAX);
        [first, self.next_advance].into_iter().flatten().min()
    }
}

impl Lanes {
    /// Where a message is armed, if it is.
    fn lane_of(&self, id: MessageId) -> Option<Lane> {
        if self.elsewhere.is_empty() {
            return self.home;
        }
        self.elsewhere.get(&id).copied().or(self.home)
    }

    fn touch(&mut self, lane: Lane) {
        let state = &mut self[lane];
        if !state.stale {
            state.stale = true;
            self.stale.push(lane);
        }
    }

    /// Arms a message of a lane to be looked at `at`, or moves it there. The former timer, if
    /// any, of whichever lane.
    pub(in crate::reactor) fn insert(
        &mut self,
        lane: Lane,
        id: MessageId,
        at: Moment,
        timer: Timer,
    ) -> Option<Timer> {
        let was = self.lane_of(id);
        let moved = match was {
            Some(was) if was != lane => self.remove(id),
            _ => None,
        };
        if self.home != Some(lane) {
            self.elsewhere.insert(id, lane);
        }
        self.touch(lane);
        let former = self[lane].agenda.insert(id, at, timer);
        former.or(moved)
    }

    /// Disarms a message.
    pub(in crate::reactor) fn remove(&mut self, id: MessageId) -> Option<Timer> {
        let lane = self.lane_of(id)?;
        let timer = self[lane].agenda.remove(id)?;
        self.elsewhere.remove(&id);
        self.touch(lane);
        Some(timer)
    }

    /// The timer of a message.
    pub(in crate::reactor) fn get(&self, id: MessageId) -> Option<Timer> {
        self[self.lane_of(id)?].agenda.get(id)
    }

    /// The name of the lane that a message is armed in.
    pub(in crate::reactor) fn name_of(&self, id: MessageId) -> String {
        let lane = self.lane_of(id).map(|lane| self[lane].key.to_string());
        lane.unwrap_or_default()
    }

    /// Takes the first message of a lane that is to be looked at by `until`.
    #[must_use]
    pub(in crate::reactor) fn pop(
        &mut self,
        lane: Lane,
        until: Moment,
    ) -> Option<(MessageId, Timer)> {
        let (id, timer) = self[lane].agenda.pop(until)?;
        if !self.elsewhere.is_empty() {
            self.elsewhere.remove(&id);
        }
        self.touch(lane);
        Some((id, timer))
    }

    /// Gets what a lane has about to be due ready to be popped, and says how many that is.
    pub(in crate::reactor) fn advance(&mut self, lane: Lane, now: Moment) -> usize {
        self.touch(lane);
        self[lane].agenda.advance(now)
    }

    /// Makes [`Self::soonest`] true again.
    pub(in crate::reactor) fn refresh(&mut self) {
        while let Some(lane) = self.stale.pop() {
            let state = &mut self[lane];
            state.stale = false;
            let (was, is) = (state.soonest, state.reckon());
            state.soonest = is;
            if was != is {
                if let Some(was) = was {
                    self.soonest.remove(&(was, lane));
                }
                if let Some(is) = is {
                    self.soonest.insert((is, lane));
                }
            }
        }
    }

    /// The lanes by a bound that lies [`LEAD_MAX`] before anything of theirs is to be looked at, or
    /// earlier: those whose bound is not after `until`, in order.
    pub(in crate::reactor) fn soonest(
        &self,
        until: Moment,
    ) -> impl Iterator<Item = (Moment, Lane)> {
        self.soonest.range(..=(until, Lane(u32::MAX))).copied()
    }

    /// How many messages are armed.
    pub(in crate::reactor) fn armed(&self) -> usize {
        self.all().map(LaneState::armed).sum()
    }

    fn agendas(&self) -> impl Iterator<Item = &Agenda> {
        self.all().map(|state| &state.agenda)
    }

    /// Every armed message, in no order.
    pub(in crate::reactor) fn iter(&self) -> impl Iterator<Item = (MessageId, Timer)> {
        self.agendas().flat_map(Agenda::iter)
    }

    /// The first `limit` of all lanes, those before `before` if it is given. In order within each
    /// lane.
    pub(in crate::reactor) fn upcoming(
        &self,
        limit: usize,
        before: Option<Moment>,
    ) -> Vec<(MessageId, Timer)> {
        let mut agendas = self.agendas();
        let first = agendas.next().map(|agenda| agenda.upcoming(limit, before));
        let mut found = first.unwrap_or_default();
        for agenda in agendas {
            found.extend(agenda.upcoming(limit, before));
            if found.len() > limit {
                found.select_nth_unstable_by_key(limit, |(id, timer)| (timer.due, *id));
                found.truncate(limit);
            }
        }
        found
    }

    /// How the wheels are filled: of each level, over all lanes.
    pub(in crate::reactor) fn levels(&self) -> Vec<LevelInfo> {
        let mut all: Vec<LevelInfo> = Vec::new();
        for agenda in self.agendas() {
            for level in agenda.levels() {
                match all.iter_mut().find(|own| own.level == level.level) {
                    Some(own) => own.occupied += level.occupied,
                    None => all.push(level),
                }
            }
        }
        all
    }

    /// See [`Agenda::density`].
    pub(in crate::reactor) fn density(&self, now: Moment, buckets: usize) -> (Moment, Vec<u32>) {
        let empty = || Agenda::new(now).density(now, buckets);
        let each = self.agendas().map(|agenda| agenda.density(now, buckets));
        let sum = |(from, mut all): (Moment, Vec<u32>), (_, counts): (Moment, Vec<u32>)| {
            all.iter_mut().zip(counts).for_each(|(all, n)| *all += n);
            (from, all)
        };
        each.reduce(sum).unwrap_or_else(empty)
    }

    /// Disarms everything.
    pub(in crate::reactor) fn clear(&mut self) {
        self.elsewhere.clear();
        self.soonest.clear();
        for state in self.slots.iter_mut().flatten() {
            state.agenda.clear();
            state.soonest = None;
        }
    }
}
