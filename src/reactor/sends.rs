//! Starts what is cleared at its instant, and has the outcomes recorded in groups of whatever has
//! finished.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::events::Late;
use super::lanes::{Lane, Load};
use super::outgoing::Group;
use super::start_before::{Ends, StartBefore};
use super::{Command, Phase, Reactor};
use crate::message::{AttemptToken, MessageId, Moment, Now, Outcome, Priority, RowState};
use crate::settle::Record;
use crate::settle::{Next, SendResult, Settlement, Wait};

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
            ..
        } = &busy.phase
        else {
            return;
        };
        let (parties, token) = (busy.parties, busy.token);
        let start_before = *lease_until - self.settings.send_timeout;
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
            .no_longer_cleared(*lease_until - self.settings.lease);
        let closes = now.up + busy.closes.since(now.db);
        start_before = start_before.or(closes, Ends::Hours);
        if let Some(slot) = busy.slot {
            start_before = start_before.or(now.up + slot.until.since(now.db), Ends::Slot);
        }
        let payload = payload.clone();
        busy.phase = Phase::Sending {
            payload: payload.clone(),
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

    /// Releases a claim that was not started.
    pub(super) fn release(&mut self, id: MessageId, reason: &str, now: Now) {
        self.release_as(id, Settlement::returned(reason), now);
    }

    fn release_as(&mut self, id: MessageId, settlement: Settlement, now: Now) {
        if let Some(busy) = self.busy.get_mut(&id) {
            if let Phase::Cleared { lease_until, .. } = &busy.phase {
                let asked = *lease_until - self.settings.lease;
                self.pauses.no_longer_cleared(asked);
            }
            busy.phase = Phase::Recording { started: false };
            let record = Record {
                settlement,
                ..Record::release(id, busy.token, "")
            };
            let lane = busy.lane;
            self.lanes.note(lane, Load::given_up);
            self.log_unused(id, &record.settlement, now);
            self.outgoing.push(Some(lane), record);
        }
    }

    /// This machine was too slow to begin a request in time. That says nothing about the provider: nothing is waited
    /// for.
    pub(super) fn not_begun(&mut self, id: MessageId, now: Now) {
        let busy = self.busy.get(&id);
        let Some(Phase::Sending { start_before, .. }) = busy.map(|busy| &busy.phase) else {
            return;
        };
        let reason = start_before.reason();
        let answer = SendResult {
            outcome: Outcome::Unsent {
                reason: reason.to_owned(),
            },
            started: None,
            finished: now.db,
        };
        self.ended(id, &answer, Some(Settlement::returned(reason)), now);
    }

    pub(super) fn sent(&mut self, id: MessageId, answer: &SendResult, now: Now) {
        self.ended(id, answer, None, now);
    }

    /// `settlement`: what that means, if the answer does not say it.
    fn ended(
        &mut self,
        id: MessageId,
        answer: &SendResult,
        settlement: Option<Settlement>,
        now: Now,
    ) {
        let Some(busy) = self.busy.get_mut(&id) else {
            return;
        };
        let Phase::Sending { payload, .. } = &busy.phase else {
            return;
        };
        let Some(tries) = busy.tries else {
            return;
        };
        let payload = payload.clone();
        let lateness = answer.started.map(|at| Late::of(busy, at, answer.finished));
        let has_begun = answer.started.is_some();
        busy.phase = Phase::Recording { started: has_begun };
        let (lane, token, wanted_at) = (busy.lane, busy.token, busy.wanted_at);
        let (part, parties, route) = (busy.part, busy.parties, busy.route.clone());
        self.slow_down((lane, &parties, token), &answer.outcome, now);
        self.lanes.note(lane, Load::ended);
        // Until that is recorded, the row is claimed and was not sent: no others are claimed in its place.
        if !has_begun {
            self.lanes.note(lane, Load::given_up);
        }
        self.account_answered(lane, token, &answer.outcome, now);
        if has_begun {
            self.reached(lane, &answer.outcome, now);
        }
        let (started, finished) = (answer.started, answer.finished);
        if let Some(started) = started {
            self.lanes[lane].took(finished.since(started));
            self.lateness.note(started.since(wanted_at));
        }
        let waits = self.slowed.wait(&parties, now.up);
        // Only for what the account has not accepted; everything else keeps to it.
        let goes_on = route.is_some_and(|route| {
            answer.outcome.may_go_on() && has_begun && self.lanes.has_other_way(&route, lane, now)
        });
        let settlement = settlement.unwrap_or_else(|| {
            let said = Settlement::of(answer.clone(), id, tries);
            if goes_on {
                said.at_once()
            } else {
                said.no_sooner_than(waits.map_or(Duration::ZERO, |wait| wait.pause))
            }
        });
        self.log_response(id, answer, &settlement, lateness, (tries.number, part));
        let record = Record {
            id,
            token,
            part,
            settlement,
            started,
            finished: Some(finished),
            payload: Some(payload),
            tries: 0,
        };
        self.outgoing.push_answer(Some(lane), record, now);
    }

    pub(super) fn record_finished(&mut self, now: Now) {
        while self.outgoing.groups.len() < self.outgoing.limits.at_once {
            let records = self.outgoing.next_group(now);
            if records.is_empty() {
                return;
            }
            let records = Arc::new(records);
            self.outgoing.last_group += 1;
            let group = self.outgoing.last_group;
            self.outgoing.groups.insert(
                group,
                Group {
                    records: Arc::clone(&records),
                    sweep: self.intake.sweep_number(),
                },
            );
            self.commands.push_back(Command::Record { group, records });
        }
    }

    pub(super) fn recorded(
        &mut self,
        group: u64,
        done: Vec<(AttemptToken, Option<RowState>)>,
        failed: bool,
        now: Now,
    ) {
        let Some(group) = self.outgoing.groups.remove(&group) else {
            return;
        };
        if failed {
            self.outgoing.pause.failed(now);
        } else {
            self.outgoing.pause.succeeded();
        }
        let done: HashMap<_, _> = done.into_iter().collect();
        let records = Arc::unwrap_or_clone(group.records);
        for mut record in records {
            if let Some(state) = done.get(&record.token) {
                self.settled(&record, state.clone(), group.sweep, now);
                continue;
            }
            let busy = self.busy.get(&record.id);
            let lane = busy.filter(|b| b.token == record.token).map(|b| b.lane);
            if failed {
                self.outgoing.push(lane, record);
            } else {
                record.tries = record.tries.saturating_add(1);
                self.outgoing.park(lane, record, now);
            }
        }
    }

    /// A record is written: the message is free again.
    fn settled(&mut self, record: &Record<P>, state: Option<RowState>, sweep: u32, now: Now) {
        self.paces.beside.remove(&record.token);
        let is_pending = matches!(state, Some(RowState::Pending { .. }));
        let mut returned = None;
        let recheck = match self.busy.get_mut(&record.id) {
            Some(busy) if busy.token == record.token => {
                // The record does not show when its pace has the next slot.
                let recheck = busy.recheck || busy.slot.is_some() && is_pending;
                // One that waits for its sender is not followed at once: the next one may have the same.
                let waits = matches!(&record.settlement, Settlement::Settled(settled)
                    if matches!(settled.next, Next::Back(Wait::Pause(_))));
                returned = busy.slot.filter(|_| record.started.is_none() && !waits);
                if matches!(busy.phase, Phase::Recording { started: false }) {
                    self.lanes.note(busy.lane, Load::freed);
                }
                self.lanes.note(busy.lane, Load::left);
                self.busy.remove(&record.id);
                recheck
            }
            Some(busy) => {
                // An orphaned claim of the same message; the attempt in progress decides.
                busy.recheck = true;
                return;
            }
            None => false,
        };
        if let Some(slot) = returned {
            self.slot_returned(slot, now);
        }
        let unknown = state.is_none() && !matches!(record.settlement, Settlement::Accepted { .. });
        // Of a part that was accepted the next one is read.
        let goes_on = state.is_none() && record.has_next();
        if recheck || unknown || goes_on || sweep != self.intake.sweep_number() {
            if !self.draining {
                self.intake.note_for_read(record.id);
            }
        } else if let Some(state) = state {
            self.row_is(record.id, state, sweep, 0, now);
        }
    }
}
