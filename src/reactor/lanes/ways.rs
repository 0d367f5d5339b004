//! The accounts that a message may go by whose row names none: which of them takes it now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Lane, LaneState, Lanes};
use crate::message::{AccountNumber, LaneKey, MessageId, Moment, Now, Standing, Uptime, choose};

impl LaneState {
    /// How a message that could go by others sees it.
    fn standing(&self, near: Duration, now: Now) -> Standing {
        let Some(try_at) = self.breaker.next_probe().or(self.unreached_until) else {
            return Standing::Free;
        };
        let is_tried = self.load.busy + self.load.paced_asks > 0 || self.has_trial(near, now);
        Standing::Shut {
            try_at,
            wants_probe: try_at <= now.up && !is_tried,
        }
    }

    /// Whether a message waits here that tries it. One that is due later is armed again before, maybe elsewhere.
    fn has_trial(&self, near: Duration, now: Now) -> bool {
        let timer = self.trial.and_then(|id| self.agenda.get(id));
        timer.is_some_and(|timer| timer.due <= now.db + near)
    }

    /// Notes whether a request reached its provider. Returns whether that is news.
    pub(in crate::reactor) fn reached(&mut self, has: bool, again_at: Uptime) -> bool {
        let before = self.unreached_until.is_none();
        self.unreached_until = (!has).then_some(again_at);
        before != has
    }

    /// How much longer it counts as one that cannot be reached.
    pub(in crate::reactor) fn unreached_for(&self, now: Uptime) -> Option<Duration> {
        let until = self.unreached_until.filter(|until| *until > now);
        until.map(|until| until.since(now))
    }
}

impl Lanes {
    fn standing(&self, key: &LaneKey, now: Now) -> Standing {
        let paused = self.paused.get(key.account());
        if key.channel().is_phone() && paused.is_some_and(|until| *until > now.db) {
            return Standing::Paused;
        }
        let lane = self.find(key);
        lane.map_or(Standing::Free, |lane| self[lane].standing(self.near, now))
    }

    /// The lane by which a message of this route goes now; `None`: the key names an account.
    pub(super) fn way(&self, key: &LaneKey, now: Now) -> Option<LaneKey> {
        key.route()?;
        let mut ways = self.routes.ways(key);
        let standings: Vec<_> = ways.iter().map(|way| self.standing(way, now)).collect();
        Some(ways.swap_remove(choose(&standings)))
    }

    /// A message of a route is armed in this lane: if the account takes nothing, it may be the one that tries it.
    pub(in crate::reactor) fn note_trial(&mut self, lane: Lane, id: MessageId, now: Now) {
        let near = self.near;
        let state = &mut self[lane];
        if state.standing(near, now) != Standing::Free && !state.has_trial(near, now) {
            state.trial = Some(id);
        }
    }

    /// Whether a message of this route would go by another lane than this one at once.
    pub(in crate::reactor) fn has_other_way(&self, route: &LaneKey, lane: Lane, now: Now) -> bool {
        let way = self.way(route, now);
        way.is_some_and(|way| way != self[lane].key && self.standing(&way, now).takes())
    }

    /// Whether messages that could go by others come by this lane.
    pub(in crate::reactor) fn is_on_route(&self, lane: Lane) -> bool {
        self.routes.lead_to(&self[lane].key)
    }

    /// What a claim of this lane says about the account of rows that name none.
    pub(in crate::reactor) fn via(&self, lane: Lane) -> Option<AccountNumber> {
        self.routes.number(&self[lane].key)
    }

    /// Notes until when the senders of accounts are paused.
    pub(in crate::reactor) fn note_paused(&mut self, until: impl Fn(&str) -> Option<Moment>) {
        let accounts = self
            .routes
            .list()
            .0
            .iter()
            .flat_map(|route| &route.accounts);
        let paused = accounts.filter_map(|name| {
            let sender = self.routes.sender_of(name)?;
            Some((Arc::clone(name), until(sender.as_str())?))
        });
        self.paused = paused.collect();
    }

    /// The accounts of routes whose senders are paused, and until when.
    pub(in crate::reactor) fn paused_accounts(&self, now: Moment) -> BTreeMap<String, Moment> {
        let paused = self.paused.iter().filter(|(_, until)| **until > now);
        paused
            .map(|(name, until)| (name.to_string(), *until))
            .collect()
    }
}
