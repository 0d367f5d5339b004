//! Starts what is cleared at its instant, and has what came of it recorded in groups of
//! whatever has finished.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::limits::RecordLimits;
use super::settle::{Answer, Record, Settlement};
use super::told::Late;
use super::{Command, Phase, Reactor};
use crate::message::{AttemptToken, MessageId, Moment, Now, Outcome, RowState, Uptime};

/// What has finished and is not in the database yet, and what is being sent.
#[derive(Debug)]
pub(super) struct Outgoing<P> {
    limits: RecordLimits,
    sending: usize,
    finished: VecDeque<Record<P>>,
    /// Waiting to be tried again.
    parked: BTreeMap<(Uptime, AttemptToken), Record<P>>,
    groups: BTreeMap<u64, Group<P>>,
    last_group: u64,
}

#[derive(Debug)]
struct Group<P> {
    records: Arc<Vec<Record<P>>>,
    sweep: u32,
}

impl<P> Outgoing<P> {
    pub(super) const fn new(limits: RecordLimits) -> Self {
        Self {
            limits,
            sending: 0,
            finished: VecDeque::new(),
            parked: BTreeMap::new(),
            groups: BTreeMap::new(),
            last_group: 0,
        }
    }

    pub(super) const fn sending(&self) -> usize {
        self.sending
    }

    pub(super) fn unrecorded(&self) -> usize {
        let grouped: usize = self.groups.values().map(|g| g.records.len()).sum();
        self.finished.len() + self.parked.len() + grouped
    }

    pub(super) fn unrecorded_answers(&self) -> usize {
        let grouped = self.groups.values().flat_map(|g| g.records.iter());
        let waiting = self.finished.iter().chain(self.parked.values());
        waiting
            .chain(grouped)
            .filter(|r| r.started.is_some())
            .count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sending == 0 && self.unrecorded() == 0
    }

    pub(super) fn push(&mut self, record: Record<P>) {
        self.finished.push_back(record);
    }

    pub(super) fn holds(&self, token: AttemptToken) -> bool {
        let is = |r: &Record<P>| r.token == token;
        self.finished.iter().any(is)
            || self.parked.values().any(is)
            || self.groups.values().any(|g| g.records.iter().any(is))
    }

    fn park(&mut self, record: Record<P>, now: Now) {
        let pause = self.limits.retry.spread(record.tries, record.key());
        self.parked.insert((now.up + pause, record.token), record);
    }

    pub(super) fn next_wakeup(&self, now: Now) -> Option<Moment> {
        if self.groups.len() >= self.limits.at_once {
            return None;
        }
        let ((at, _), _) = self.parked.first_key_value()?;
        Some(now.db + at.since(now.up))
    }

    fn next_group(&mut self, now: Now) -> Vec<Record<P>> {
        while let Some(entry) = self.parked.first_entry() {
            if entry.key().0 > now.up {
                break;
            }
            self.finished.push_back(entry.remove());
        }
        let n = self.finished.len().min(self.limits.batch);
        self.finished.drain(..n).collect()
    }
}

impl<P: Clone> Reactor<P> {
    fn may_start(&self) -> bool {
        !self.clock_lost
            && self.outgoing.sending < self.pressure.permits()
            && self.outgoing.finished.len() + self.outgoing.parked.len()
                < self.outgoing.limits.unrecorded_max
    }

    pub(super) fn start_due(&mut self, now: Now) {
        while self.may_start() {
            let Some(&(due, _, id)) = self.cleared.first() else {
                return;
            };
            if due > now.db {
                return;
            }
            self.cleared.pop_first();
            self.start(id, now);
        }
    }

    fn start(&mut self, id: MessageId, now: Now) {
        let Some(busy) = self.busy.get_mut(&id) else {
            return;
        };
        let Phase::Cleared {
            payload,
            lease_until,
        } = &busy.phase
        else {
            return;
        };
        let start_before = *lease_until - self.settings.send_timeout;
        if now.up > start_before {
            self.give_back(id, "the lease ran out before there was a free place", now);
            return;
        }
        let payload = payload.clone();
        busy.phase = Phase::Sending {
            payload: payload.clone(),
        };
        self.outgoing.sending += 1;
        self.commands.push_back(Command::Start {
            id,
            payload,
            start_before,
        });
    }

    /// When the next cleared message is to start: at its due time, or, if too many are on their
    /// way, when one more may be.
    pub(super) fn next_start(&self, now: Now) -> Option<Moment> {
        let (due, ..) = *self.cleared.first()?;
        if self.may_start() {
            return Some(due);
        }
        let step = self.pressure.next_step()?;
        Some(due.max(now.db + step.since(now.up)))
    }

    /// Gives a claim back that was not started.
    pub(super) fn give_back(&mut self, id: MessageId, reason: &str, now: Now) {
        if let Some(busy) = self.busy.get_mut(&id) {
            busy.phase = Phase::Recording;
            let record = Record::give_back(id, busy.token, reason);
            self.tell_unused(id, &record.settlement, now);
            self.outgoing.push(record);
        }
    }

    pub(super) fn sent(&mut self, id: MessageId, answer: &Answer, now: Now) {
        let Some(busy) = self.busy.get_mut(&id) else {
            return;
        };
        let Phase::Sending { payload } = &busy.phase else {
            return;
        };
        let Some(tries) = busy.tries else {
            return;
        };
        let payload = payload.clone();
        let late = answer.started.map(|at| Late::of(busy, at, answer.finished));
        busy.phase = Phase::Recording;
        let (token, wanted_at) = (busy.token, busy.wanted_at);
        if matches!(answer.outcome, Outcome::Throttled { hold: None, .. }) {
            self.pressure.throttled(self.outgoing.sending, now.up);
        }
        self.outgoing.sending -= 1;
        self.account_answered(token, &answer.outcome, now);
        let (started, finished) = (answer.started, answer.finished);
        if let Some(started) = started {
            self.pace.sent(finished.since(started));
            self.lateness.note(started.since(wanted_at));
        }
        let settlement = Settlement::of(answer.clone(), id, tries);
        self.tell_answer(id, answer, &settlement, late, tries.number);
        self.outgoing.push(Record {
            id,
            token,
            settlement,
            started,
            finished: Some(finished),
            payload: Some(payload),
            tries: 0,
        });
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
        now: Now,
    ) {
        let Some(group) = self.outgoing.groups.remove(&group) else {
            return;
        };
        let done: HashMap<_, _> = done.into_iter().collect();
        let records = Arc::unwrap_or_clone(group.records);
        for mut record in records {
            if let Some(state) = done.get(&record.token) {
                self.settled(&record, *state, group.sweep, now);
            } else {
                record.tries = record.tries.saturating_add(1);
                self.outgoing.park(record, now);
            }
        }
    }

    /// A record stands: the message is free again.
    fn settled(&mut self, record: &Record<P>, state: Option<RowState>, sweep: u32, now: Now) {
        let recheck = match self.busy.get_mut(&record.id) {
            Some(busy) if busy.token == record.token => {
                let recheck = busy.recheck;
                self.busy.remove(&record.id);
                recheck
            }
            Some(busy) => {
                // A stray of the same message; the attempt that goes on has the word.
                busy.recheck = true;
                return;
            }
            None => false,
        };
        let unknown = state.is_none() && !matches!(record.settlement, Settlement::Accepted { .. });
        if recheck || unknown || sweep != self.intake.sweep_number() {
            if !self.draining {
                self.intake.look_at(record.id);
            }
        } else if let Some(state) = state {
            self.row_is(record.id, state, sweep, 0, now);
        }
    }
}
