//! What is cleared and waits for its instant, over all lanes.

use std::collections::BTreeSet;

use super::{Lane, Lanes};
use crate::message::MessageId;
use crate::schedule::Turn;

impl Lanes {
    /// Keeps a lane's first cleared message in `heads`.
    fn change_cleared<T>(
        &mut self,
        lane: Lane,
        change: impl FnOnce(&mut BTreeSet<Turn>) -> T,
    ) -> T {
        let state = &mut self[lane];
        let (was, before) = (state.cleared.first().copied(), state.cleared.len());
        let result = change(&mut state.cleared);
        let (is, after) = (state.cleared.first().copied(), state.cleared.len());
        state.load.cleared = after;
        self.load.cleared = self.load.cleared + after - before;
        if was != is {
            if let Some(was) = was {
                self.heads.remove(&(was, lane));
            }
            if let Some(is) = is {
                self.heads.insert((is, lane));
            }
        }
        result
    }

    pub(in crate::reactor) fn add_cleared(&mut self, lane: Lane, turn: Turn) {
        self.change_cleared(lane, |cleared| cleared.insert(turn));
    }

    pub(in crate::reactor) fn pop_cleared(&mut self, lane: Lane) -> Option<Turn> {
        self.change_cleared(lane, BTreeSet::pop_first)
    }

    /// All of a lane.
    pub(in crate::reactor) fn take_cleared(&mut self, lane: Lane) -> Vec<MessageId> {
        let cleared = self.change_cleared(lane, std::mem::take);
        cleared.into_iter().map(|(.., id)| id).collect()
    }

    /// All of all lanes, in order.
    pub(in crate::reactor) fn take_all_cleared(&mut self) -> Vec<MessageId> {
        let mut all = Vec::new();
        for state in self.slots.iter_mut().flatten() {
            all.extend(std::mem::take(&mut state.cleared));
            state.load.cleared = 0;
        }
        self.load.cleared = 0;
        self.heads.clear();
        all.sort_unstable();
        all.into_iter().map(|(.., id)| id).collect()
    }

    /// Each lane's first cleared message, in order.
    pub(in crate::reactor) fn heads(&self) -> impl Iterator<Item = (Turn, Lane)> {
        self.heads.iter().copied()
    }
}
