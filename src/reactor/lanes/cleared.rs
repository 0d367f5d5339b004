//! What is cleared and waits for its due time and a permit, over all lanes: a queue for each priority,
//! so that an urgent message waits for no other one that is due.

use std::collections::BTreeSet;

use super::{Lane, Lanes};
use crate::message::{MessageId, Moment, Priority};

/// What comes first: the earlier.
pub(in crate::reactor) type DueKey = (Moment, MessageId);

/// Something for each priority.
pub(in crate::reactor) type ByPriority<T> = [T; Priority::ALL.len()];

impl Lanes {
    /// Changes a lane's queue of one priority, and keeps its first message in `first_cleared`.
    fn change_cleared<T>(
        &mut self,
        lane: Lane,
        priority: Priority,
        change: impl FnOnce(&mut BTreeSet<DueKey>) -> T,
    ) -> T {
        let at = priority as usize;
        let state = &mut self[lane];
        let queue = &mut state.cleared[at];
        let (was, before) = (queue.first().copied(), queue.len());
        let result = change(queue);
        let (is, after) = (queue.first().copied(), queue.len());
        state.load.cleared[at] = after;
        self.load.cleared[at] = self.load.cleared[at] + after - before;
        if was != is {
            if let Some(was) = was {
                self.first_cleared[at].remove(&(was, lane));
            }
            if let Some(is) = is {
                self.first_cleared[at].insert((is, lane));
            }
        }
        result
    }

    pub(in crate::reactor) fn add_cleared(&mut self, lane: Lane, priority: Priority, turn: DueKey) {
        self.change_cleared(lane, priority, |cleared| cleared.insert(turn));
    }

    pub(in crate::reactor) fn pop_cleared(
        &mut self,
        lane: Lane,
        priority: Priority,
    ) -> Option<MessageId> {
        let first = self.change_cleared(lane, priority, BTreeSet::pop_first)?;
        Some(first.1)
    }

    pub(in crate::reactor) fn remove_cleared(
        &mut self,
        lane: Lane,
        priority: Priority,
        turn: DueKey,
    ) {
        self.change_cleared(lane, priority, |cleared| cleared.remove(&turn));
    }

    /// All of a lane.
    pub(in crate::reactor) fn take_cleared(&mut self, lane: Lane) -> Vec<MessageId> {
        let mut all = Vec::new();
        for priority in Priority::ALL {
            let cleared = self.change_cleared(lane, priority, std::mem::take);
            all.extend(cleared.into_iter().map(|(_, id)| id));
        }
        all
    }

    /// All of all lanes, in the order of their due times.
    pub(in crate::reactor) fn take_all_cleared(&mut self) -> Vec<MessageId> {
        let mut all = BTreeSet::new();
        for state in self.slots.iter_mut().flatten() {
            for queue in &mut state.cleared {
                all.append(queue);
            }
            state.load.cleared = ByPriority::default();
        }
        self.load.cleared = ByPriority::default();
        self.first_cleared = ByPriority::default();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// When each lane's first cleared message of a priority is due, in order.
    pub(in crate::reactor) fn first_cleared(
        &self,
        priority: Priority,
    ) -> impl Iterator<Item = (Moment, Lane)> {
        let firsts = self.first_cleared[priority as usize].iter();
        firsts.map(|((due, _), lane)| (*due, *lane))
    }
}
