//! Starts what is cleared, at its instant.

use super::breaker::ACCOUNT_REFUSED;
use super::lanes::{Lane, Load};
use super::pauses::PAUSED;
use super::quarantine::RESTORED;
use super::start_before::{Ends, StartBefore};
use super::{Command, Phase, Reactor};
use crate::message::{MessageId, Moment, Now, Outcome, Priority};
use crate::settle::{SendResult, Settlement};

impl<P: Clone> Reactor<P> {
    /// Whether any lane may start a request.
    fn may_start(&self, now: Now) -> bool {
        !self.clock_lost
            && self.pauses.is_fresh(now)
            && self.lanes.load().sending < self.settings.max_in_flight
            && self.outgoing.waiting() < self.outgoing.limits.unrecorded_max
    }

    /// Whether this one may, then.
    fn may_start_of(&self, lane: Lane, now: Now) -> bool {
        let load = self.lanes[lane].load;
        let unrecorded = self.outgoing.limits.unrecorded_max - self.outgoing.waiting();
        load.sending < self.permits(lane, now)
            && self.lanes.share(unrecorded, load.unrecorded()) > 0
    }

    pub(super) fn start_due(&mut self, now: Now) {
        while self.may_start(now) {
            let Some(id) = self.pop_startable(now) else {
                return;
            };
            self.start(id, now);
        }
    }

    /// The next message to start: of what is due and may start the most urgent, then the earliest.
    fn pop_startable(&mut self, now: Now) -> Option<MessageId> {
        for priority in Priority::ALL.into_iter().rev() {
            let due = self.lanes.first_cleared(priority);
            // Lanes that may not are skipped; each of those has requests in flight.
            let first = due
                .take_while(|(due, _)| *due <= now.db)
                .find(|(_, lane)| self.may_start_of(*lane, now));
            if let Some((_, lane)) = first {
                return self.lanes.pop_cleared(lane, priority);
            }
        }
        None
    }

    fn start(&mut self, id: MessageId, now: Now) {
        let Some(busy) = self.busy.get_mut(&id) else {
            return;
        };
        let Phase::Cleared {
            payload,
            lease_until,
            pausable,
        } = &busy.phase
        else {
            return;
        };
        let (parties, token, lease_until) = (busy.parties, busy.token, *lease_until);
        let start_before = lease_until - self.settings.send_timeout;
        if let Some(wait) = self.slowed.wait(&parties, now.up) {
            let settlement = self.slowed.wait_in_turn(wait, id).settlement();
            self.release_as(id, settlement, now);
            return;
        }
        if now.db >= busy.closes {
            self.release(id, Ends::Hours.reason(), now);
            return;
        }
        if now.up > start_before {
            self.release(id, "the lease ran out before there was a free permit", now);
            return;
        }
        let mut start_before =
            StartBefore::new(start_before, Ends::Lease).or(self.pauses.good_until(), Ends::Pauses);
        self.pauses
            .no_longer_cleared(lease_until - self.settings.lease);
        let closes = now.up + busy.closes.since(now.db);
        start_before = start_before.or(closes, Ends::Hours);
        if let Some(slot) = busy.slot {
            start_before = start_before.or(now.up + slot.until.since(now.db), Ends::Slot);
        }
        let (payload, pausable) = (payload.clone(), pausable.clone());
        busy.phase = Phase::Sending {
            payload: payload.clone(),
            lease_until,
            pausable,
            start_before,
        };
        self.lanes.note(busy.lane, Load::started);
        self.slowed.started(&parties, token);
        if let Some(slot) = busy.slot {
            self.slot_used(slot.pace);
        }
        self.commands.push_back(Command::Start {
            id,
            payload,
            start_before: start_before.at(),
        });
    }

    /// When the next cleared message is to start: at its due time, or, if there is no permit, when
    /// one is free.
    pub(super) fn next_start(&self, now: Now) -> Option<Moment> {
        if !self.may_start(now) {
            return None;
        }
        let mut next: Option<Moment> = None;
        for priority in Priority::ALL {
            for (due, lane) in self.lanes.first_cleared(priority) {
                if next.is_some_and(|next| next <= due) {
                    break;
                }
                let at = self.next_start_of(lane, due, now);
                next = [next, at].into_iter().flatten().min();
            }
        }
        next
    }

    fn next_start_of(&self, lane: Lane, due: Moment, now: Now) -> Option<Moment> {
        let state = &self.lanes[lane];
        if self.may_start_of(lane, now) {
            Some(due)
        } else if state.load.sending >= state.throttle.permits(now.up) {
            let step = state.throttle.next_step(now.up);
            step.map(|step| due.max(now.db + step.since(now.up)))
        } else {
            // Others have to end first.
            None
        }
    }

    /// A message is cleared: it waits for its start, unless it may have none.
    pub(super) fn await_start(&mut self, id: MessageId, now: Now) {
        let Some(busy) = self.busy.get(&id) else {
            return;
        };
        let Phase::Cleared {
            lease_until,
            pausable,
            ..
        } = &busy.phase
        else {
            return;
        };
        let (lane, token, due, priority) = (busy.lane, busy.token, busy.due, busy.priority);
        let asked = *lease_until - self.settings.lease;
        if self.draining {
            self.release(id, "the daemon is shutting down", now);
        } else if self.is_refused(lane, token) {
            self.release(id, ACCOUNT_REFUSED, now);
        } else if self.is_quarantined(id, due) {
            self.release(id, RESTORED, now);
        } else if self.pauses.stops(pausable, due, now) {
            self.pauses.contradicted(asked);
            self.notified(vec![id]);
            self.release(id, PAUSED, now);
        } else {
            self.lanes.add_cleared(lane, priority, (due, id));
        }
    }

    /// This machine was too slow to begin a request in time. That says nothing about the provider: nothing is waited
    /// for. If all that was too old is the read of the pauses, it begins after the next one.
    pub(super) fn not_begun(&mut self, id: MessageId, now: Now) {
        let Some(busy) = self.busy.get_mut(&id) else {
            return;
        };
        let Phase::Sending {
            payload,
            lease_until,
            pausable,
            start_before,
        } = &busy.phase
        else {
            return;
        };
        let reason = start_before.reason();
        let outcome = Outcome::Unsent {
            reason: reason.to_owned(),
        };
        if start_before.is_of_pauses() && busy.slot.is_none() {
            let of = (busy.lane, &busy.parties.clone(), busy.token);
            let asked = *lease_until - self.settings.lease;
            busy.phase = Phase::Cleared {
                payload: payload.clone(),
                lease_until: *lease_until,
                pausable: pausable.clone(),
            };
            self.lanes.note(of.0, Load::ended);
            self.slow_down(of, &outcome, now);
            self.pauses.cleared_again(asked);
            // Others wait for that too.
            self.pauses.want();
            self.await_start(id, now);
            return;
        }
        let answer = SendResult {
            outcome,
            started: None,
            finished: now.db,
        };
        self.ended(id, &answer, Some(Settlement::returned(reason)), now);
    }
}
