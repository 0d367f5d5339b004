//! What outcomes mean, and their record in groups of whatever has finished.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::events::Late;
use super::lanes::Load;
use super::outgoing::Group;
use super::{Command, Phase, Reactor};
use crate::message::{AttemptToken, MessageId, Now, RowState};
use crate::settle::{Next, Record, SendResult, Settlement, Wait};

impl<P: Clone> Reactor<P> {
    /// Releases a claim that was not started.
    pub(super) fn release(&mut self, id: MessageId, reason: &str, now: Now) {
        self.release_as(id, Settlement::returned(reason), now);
    }

    pub(super) fn release_as(&mut self, id: MessageId, settlement: Settlement, now: Now) {
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

    pub(super) fn sent(&mut self, id: MessageId, answer: &SendResult, now: Now) {
        self.ended(id, answer, None, now);
    }

    /// `settlement`: what that means, if the answer does not say it.
    pub(super) fn ended(
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
