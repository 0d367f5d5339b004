//! Starts what is cleared at its instant, and has what came of it recorded in groups of
//! whatever has finished.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::events::Late;
use super::lanes::{Lane, Load};
use super::limits::RecordLimits;
use super::settle::{Record, SendResult, Settlement};
use super::{Command, Phase, Reactor};
use crate::message::{AttemptToken, MessageId, Moment, Now, Outcome, RowState, Uptime};

/// What has finished and is not in the database yet, and what is being sent.
#[derive(Debug)]
pub(super) struct Outgoing<P> {
    limits: RecordLimits,
    /// By lane; `None`: of a claim that nobody here knows. No queue is empty.
    finished: BTreeMap<Option<Lane>, VecDeque<Record<P>>>,
    /// In all of these.
    finished_len: usize,
    /// Waiting to be tried again.
    parked: BTreeMap<(Uptime, AttemptToken), (Option<Lane>, Record<P>)>,
    groups: BTreeMap<u64, Group<P>>,
    last_group: u64,
    /// How often in a row the database failed; and nothing is recorded before this.
    failures: u32,
    not_before: Uptime,
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
            finished: BTreeMap::new(),
            finished_len: 0,
            parked: BTreeMap::new(),
            groups: BTreeMap::new(),
            last_group: 0,
            failures: 0,
            not_before: Uptime::MIN,
        }
    }

    pub(super) fn unrecorded(&self) -> usize {
        let grouped: usize = self.groups.values().map(|g| g.records.len()).sum();
        self.waiting() + grouped
    }

    /// Of these, what is in no group.
    fn waiting(&self) -> usize {
        self.finished_len + self.parked.len()
    }

    pub(super) fn unrecorded_answers(&self) -> usize {
        let grouped = self.groups.values().flat_map(|g| g.records.iter());
        let parked = self.parked.values().map(|(_, record)| record);
        let finished = self.finished.values().flatten();
        finished
            .chain(parked)
            .chain(grouped)
            .filter(|r| r.started.is_some())
            .count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unrecorded() == 0
    }

    pub(super) fn push(&mut self, lane: Option<Lane>, record: Record<P>) {
        self.finished.entry(lane).or_default().push_back(record);
        self.finished_len += 1;
    }

    pub(super) fn holds(&self, token: AttemptToken) -> bool {
        let is = |r: &Record<P>| r.token == token;
        self.finished.values().flatten().any(is)
            || self.parked.values().any(|(_, record)| is(record))
            || self.groups.values().any(|g| g.records.iter().any(is))
    }

    fn park(&mut self, lane: Option<Lane>, record: Record<P>, now: Now) {
        let pause = self.limits.retry.spread(record.tries, record.key());
        let key = (now.up + pause, record.token);
        self.parked.insert(key, (lane, record));
    }

    pub(super) fn next_wakeup(&self, now: Now) -> Option<Moment> {
        if self.groups.len() >= self.limits.at_once {
            return None;
        }
        let parked = self.parked.first_key_value().map(|((at, _), _)| *at);
        // What has finished waits for nothing else.
        let finished = (self.finished_len > 0).then_some(self.not_before);
        let next = [parked, finished].into_iter().flatten().min()?;
        Some(now.db + next.max(self.not_before).since(now.up))
    }

    /// While the database fails there is one try a pause, for all that waits.
    fn answered(&mut self, failed: bool, now: Now) {
        if !failed {
            self.failures = 0;
        } else if self.not_before <= now.up {
            self.failures = self.failures.saturating_add(1);
            self.not_before = now.up + self.limits.retry.pause(self.failures);
        }
    }

    fn next_group(&mut self, now: Now) -> Vec<Record<P>> {
        if now.up < self.not_before {
            return Vec::new();
        }
        while let Some(entry) = self.parked.first_entry() {
            if entry.key().0 > now.up {
                break;
            }
            let (lane, record) = entry.remove();
            self.push(lane, record);
        }
        let mut left = self.finished_len.min(self.limits.batch);
        let mut group = Vec::with_capacity(left);
        // The same for each lane; what those with little leave goes to those with more.
        let lanes = self
            .finished
            .iter()
            .map(|(lane, queue)| (queue.len(), *lane));
        let mut lanes: Vec<_> = lanes.collect();
        lanes.sort_unstable();
        let mut others = lanes.len();
        for (len, lane) in lanes {
            let n = left.div_ceil(others).min(len);
            (left, others) = (left - n, others - 1);
            let Some(queue) = self.finished.get_mut(&lane) else {
                continue;
            };
            group.extend(queue.drain(..n));
            if queue.is_empty() {
                self.finished.remove(&lane);
            }
        }
        self.finished_len -= group.len();
        group
    }
}

impl<P: Clone> Reactor<P> {
    /// Whether any lane may start a request.
    fn may_start(&self) -> bool {
        !self.clock_lost
            && self.lanes.load().sending < self.settings.max_in_flight.max(1)
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
        while self.may_start() {
            // Lanes that may not are passed over; each of those has requests on their way.
            let due = self
                .lanes
                .heads()
                .take_while(|((due, ..), _)| *due <= now.db);
            let lane = due
                .map(|(_, lane)| lane)
                .find(|lane| self.may_start_of(*lane, now));
            let Some((.., id)) = lane.and_then(|lane| self.lanes.pop_cleared(lane)) else {
                return;
            };
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
        self.lanes.note(busy.lane, Load::started);
        self.commands.push_back(Command::Start {
            id,
            payload,
            start_before,
        });
    }

    /// When the next cleared message is to start: at its due time, or, if too many are on their
    /// way, when one more may be.
    pub(super) fn next_start(&self, now: Now) -> Option<Moment> {
        if !self.may_start() {
            return None;
        }
        let mut next: Option<Moment> = None;
        for ((due, ..), lane) in self.lanes.heads() {
            if next.is_some_and(|next| next <= due) {
                break;
            }
            let state = &self.lanes[lane];
            let at = if self.may_start_of(lane, now) {
                Some(due)
            } else if state.load.sending >= state.throttle.permits(now.up) {
                let step = state.throttle.next_step(now.up);
                step.map(|step| due.max(now.db + step.since(now.up)))
            } else {
                // Others have to end first.
                None
            };
            next = [next, at].into_iter().flatten().min();
        }
        next
    }

    /// Gives a claim back that was not started.
    pub(super) fn give_back(&mut self, id: MessageId, reason: &str, now: Now) {
        if let Some(busy) = self.busy.get_mut(&id) {
            busy.phase = Phase::Recording;
            let record = Record::give_back(id, busy.token, reason);
            let lane = busy.lane;
            self.tell_unused(id, &record.settlement, now);
            self.outgoing.push(Some(lane), record);
        }
    }

    pub(super) fn sent(&mut self, id: MessageId, answer: &SendResult, now: Now) {
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
        let lateness = answer.started.map(|at| Late::of(busy, at, answer.finished));
        busy.phase = Phase::Recording;
        let (lane, token, wanted_at) = (busy.lane, busy.token, busy.wanted_at);
        if matches!(answer.outcome, Outcome::Throttled { hold: None, .. }) {
            let state = &mut self.lanes[lane];
            state.throttle.throttled(state.load.sending, now.up);
        }
        self.lanes.note(lane, Load::ended);
        self.account_answered(lane, token, &answer.outcome, now);
        let (started, finished) = (answer.started, answer.finished);
        if let Some(started) = started {
            self.lanes[lane].took(finished.since(started));
            self.lateness.note(started.since(wanted_at));
        }
        let settlement = Settlement::of(answer.clone(), id, tries);
        self.tell_answer(id, answer, &settlement, lateness, tries.number);
        let record = Record {
            id,
            token,
            settlement,
            started,
            finished: Some(finished),
            payload: Some(payload),
            tries: 0,
        };
        self.outgoing.push(Some(lane), record);
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
        self.outgoing.answered(failed, now);
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

    /// A record stands: the message is free again.
    fn settled(&mut self, record: &Record<P>, state: Option<RowState>, sweep: u32, now: Now) {
        let recheck = match self.busy.get_mut(&record.id) {
            Some(busy) if busy.token == record.token => {
                let recheck = busy.recheck;
                self.lanes.note(busy.lane, Load::left);
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
