//! What is armed, over all lanes.

use std::time::Duration;

use super::{Lane, LaneState, Lanes, Moments};
use crate::message::{MessageId, Moment, Priority};
use crate::schedule::{Agenda, LEAD_MAX, LevelInfo, Timer, Walk};

/// How far a walk over all that is armed has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::reactor) struct LanesWalk {
    lane: usize,
    walk: Walk,
}

impl LaneState {
    /// How many messages are armed.
    pub(in crate::reactor) fn armed(&self) -> usize {
        self.agenda.len()
    }

    /// How many are to be checked by `until`, counted up to `most`.
    pub(in crate::reactor) fn count_due(&self, until: Moment, most: usize) -> usize {
        self.agenda.count_due(until, most)
    }

    /// When the first `n` with at least this priority are to be checked, as far as that is by
    /// `until`.
    pub(in crate::reactor) fn first_dues(
        &self,
        n: usize,
        until: Moment,
        least: Priority,
    ) -> Vec<Moment> {
        self.agenda.first_dues(n, until, least)
    }

    /// When the first with at least this priority is to be checked: never later than that, maybe
    /// earlier.
    pub(in crate::reactor) fn first_of(&self, least: Priority) -> Option<Moment> {
        self.agenda.first_of(least)
    }

    /// No connections are opened before this.
    pub(in crate::reactor) const fn prewarmed_until(&self) -> Moment {
        self.prewarm_after
    }

    /// See [`Agenda::density`].
    pub(in crate::reactor) fn density(&self, now: Moment, buckets: usize) -> (Moment, Vec<u32>) {
        self.agenda.density(now, buckets)
    }

    fn compute_moments(&self, prewarm_ahead: Duration) -> Moments {
        let first = self.agenda.first();
        let prewarm = first.map(|at| (at - prewarm_ahead).max(self.prewarm_after));
        Moments {
            due: first.map(|at| at - LEAD_MAX),
            advance: self.agenda.next_advance(),
            prewarm: prewarm.filter(|_| !self.breaker.is_open()),
        }
    }
}

impl Lanes {
    /// Where a message is armed, if it is.
    pub(in crate::reactor) fn lane_of(&self, id: MessageId) -> Option<Lane> {
        if self.elsewhere.is_empty() {
            return self.home;
        }
        self.elsewhere.get(&id).copied().or(self.home)
    }

    /// Has the lane's moments computed again: its agenda, its breaker or its connections changed.
    pub(in crate::reactor) fn touch(&mut self, lane: Lane) {
        let state = &mut self[lane];
        if !state.stale {
            state.stale = true;
            self.stale.push(lane);
        }
    }

    /// Arms a message of a lane for a check `at`, or moves it there. Returns the former timer, if
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

    /// Takes the first message of a lane, of those with at least this priority, that is to be checked
    /// by `until`.
    #[must_use]
    pub(in crate::reactor) fn pop(
        &mut self,
        lane: Lane,
        now: Moment,
        until: Moment,
        least: Priority,
    ) -> Option<(MessageId, Timer)> {
        let (id, timer) = self[lane].agenda.pop(now, until, least)?;
        if !self.elsewhere.is_empty() {
            self.elsewhere.remove(&id);
        }
        self.touch(lane);
        Some((id, timer))
    }

    /// Brings what is due soon into its order: a stretch of it, and the rest when this is called
    /// again, at once (see [`Self::next_advance`]). All lanes share the stretch, so that neither many of
    /// them make a turn long nor the herd of one delays the others.
    pub(in crate::reactor) fn advance(&mut self, now: Moment, stretch: usize) {
        self.refresh();
        #[cfg(test)]
        let before: usize = self.agendas().map(Agenda::steps).sum();
        let mut left = stretch.max(1);
        let mut due: Vec<_> = self.advance.until(now).map(|(_, lane)| lane).collect();
        // Each has its share, and the first ones what the others leave of theirs.
        for is_shared in [true, false] {
            let mut waiting = due.len();
            due.retain(|lane| {
                let own = if is_shared {
                    left.div_ceil(waiting)
                } else {
                    left
                };
                waiting -= 1;
                if own == 0 {
                    return true;
                }
                let mut rest = own;
                let is_done = self[*lane].agenda.advance(now, &mut rest);
                left -= own - rest;
                self.touch(*lane);
                !is_done
            });
        }
        #[cfg(test)]
        {
            let steps = self.agendas().map(Agenda::steps).sum::<usize>() - before;
            self.longest_advance = self.longest_advance.max(steps);
        }
    }

    /// When the first message is to be checked after `after`, or an earlier moment after that. What is overdue in a
    /// lane waits for something else, which need not concern what follows there.
    pub(in crate::reactor) fn first_after(&mut self, after: Moment) -> Option<Moment> {
        self.refresh();
        let bound = after - LEAD_MAX;
        let waiting = self.due.until(bound);
        let waiting = waiting.filter_map(|(_, lane)| self[lane].agenda.first_after(after));
        let others = self.due.first_after(bound).map(|bound| bound + LEAD_MAX);
        waiting.chain(others).min()
    }

    /// When [`Self::advance`] next has something to do.
    pub(in crate::reactor) fn next_advance(&mut self) -> Option<Moment> {
        self.refresh();
        self.advance.first()
    }

    /// Brings the orders up to date.
    pub(in crate::reactor) fn refresh(&mut self) {
        let ahead = self.prewarm_ahead;
        while let Some(lane) = self.stale.pop() {
            let state = &mut self[lane];
            state.stale = false;
            let is = state.compute_moments(ahead);
            let was = std::mem::replace(&mut state.moments, is);
            self.due.change(lane, was.due, is.due);
            self.advance.change(lane, was.advance, is.advance);
            self.prewarm.change(lane, was.prewarm, is.prewarm);
        }
    }

    /// How many messages are armed.
    pub(in crate::reactor) fn armed(&self) -> usize {
        let home = self.home.map_or(0, |home| self[home].armed());
        home + self.elsewhere.len()
    }

    fn agendas(&self) -> impl Iterator<Item = &Agenda> {
        self.all().map(|state| &state.agenda)
    }

    /// Every armed message, in no order.
    #[cfg(test)]
    pub(in crate::reactor) fn iter(&self) -> impl Iterator<Item = (MessageId, Timer)> {
        self.agendas().flat_map(Agenda::iter)
    }

    /// Opens no connections of this lane before `after`.
    pub(in crate::reactor) fn prewarm_after(&mut self, lane: Lane, after: Moment) {
        self[lane].prewarm_after = after;
        self.touch(lane);
    }

    /// Forgets when connections were opened: by a clock that was wrong.
    pub(in crate::reactor) fn forget_prewarms(&mut self) {
        for at in 0..self.slots.len() {
            let lane = Lane(u32::try_from(at).unwrap_or(u32::MAX));
            if self.slots[at].is_some() {
                self.prewarm_after(lane, Moment::MIN);
            }
        }
    }

    /// Walks on over all armed messages, see [`Agenda::walk`].
    pub(in crate::reactor) fn walk(
        &self,
        from: LanesWalk,
        most: usize,
        see: impl FnMut(MessageId, &Timer),
    ) -> Option<LanesWalk> {
        let mut rest = self.slots.iter().enumerate().skip(from.lane);
        let (lane, state) = rest.find_map(|(n, slot)| Some((n, slot.as_ref()?)))?;
        let walk = if lane == from.lane {
            from.walk
        } else {
            Walk::default()
        };
        let next = state.agenda.walk(walk, most, see);
        let next = next.map_or((lane + 1, Walk::default()), |walk| (lane, walk));
        let (lane, walk) = next;
        (lane < self.slots.len()).then_some(LanesWalk { lane, walk })
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
        for order in [&mut self.due, &mut self.advance, &mut self.prewarm] {
            order.clear();
        }
        for state in self.slots.iter_mut().flatten() {
            state.agenda.clear();
            state.moments = Moments::default();
        }
    }
}
