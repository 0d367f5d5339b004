//! What has just happened to messages, for the feed of events and the counters.
//!
//! The reactor decides nothing by it, and it works the same if the events are never taken. They
//! have ids, times and names from fixed lists only, so no text and no phone number can leak.

mod kind;

pub use kind::{EventKind, Late, MessageEvent};

use super::{Busy, Reactor, Upcoming};
use crate::limits::EventLimits;
use crate::message::{MessageId, Moment, Now, Outcome, Part, Status};
use crate::policy::ReasonKind;
use crate::schedule::Timer;
use crate::settle::{Next, SendResult, Settlement};

/// Why a row is not on the agenda any more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Disarmed {
    /// Due after the window.
    AfterWindow(Moment),
    /// In this state, or deleted.
    Gone(Option<Status>),
}

/// Events that were not taken yet.
#[derive(Debug)]
pub(super) struct EventLog {
    limits: EventLimits,
    events: Vec<MessageEvent>,
    left_out: u64,
}

impl EventLog {
    pub(super) const fn new(limits: EventLimits) -> Self {
        Self {
            limits,
            events: Vec::new(),
            left_out: 0,
        }
    }

    fn keep(&mut self, event: MessageEvent) {
        self.keep_up_to(self.limits.max, event);
    }

    /// Keeps a change of the agenda.
    fn keep_change(&mut self, event: MessageEvent) {
        self.keep_up_to(self.limits.agenda_max, event);
    }

    fn keep_up_to(&mut self, most: usize, event: MessageEvent) {
        if self.events.len() < most {
            self.events.push(event);
        } else {
            self.left_out += 1;
        }
    }
}

impl<P: Clone> Reactor<P> {
    /// What has happened since the last call, in order, and how much of it was left out.
    pub fn take_events(&mut self) -> (Vec<MessageEvent>, u64) {
        let events = std::mem::take(&mut self.event_log.events);
        (events, std::mem::take(&mut self.event_log.left_out))
    }

    /// A row was put on the agenda in the place of `former`.
    pub(super) fn log_armed(&mut self, row: &Upcoming, former: Option<Timer>, now: Now) {
        let what = match former {
            None => EventKind::Armed,
            Some(was) if was.watch => EventKind::Armed,
            Some(was) if was.due != row.due => EventKind::Moved,
            // Versions are kept shortened; so they are compared.
            Some(was) if was.version != u32::try_from(row.version).unwrap_or(u32::MAX) => {
                EventKind::Edited
            }
            Some(_) => return,
        };
        let event = MessageEvent {
            due_at: Some(row.due),
            was_due_at: former
                .filter(|_| what == EventKind::Moved)
                .map(|was| was.due),
            ..MessageEvent::new(now.db, row.id, what)
        };
        self.event_log.keep_change(event);
    }

    /// A row was taken off the agenda, if it was on it.
    pub(super) fn log_disarmed(
        &mut self,
        id: MessageId,
        former: Option<Timer>,
        why: Disarmed,
        now: Now,
    ) {
        let Some(former) = former else {
            return;
        };
        let (due_at, status) = match why {
            Disarmed::AfterWindow(due) => (Some(due), None),
            Disarmed::Gone(status) => (None, Some(status.map_or("deleted", Status::as_str))),
        };
        let event = MessageEvent {
            due_at,
            status,
            was_due_at: (!former.watch).then_some(former.due),
            ..MessageEvent::new(now.db, id, EventKind::Disarmed)
        };
        self.event_log.keep_change(event);
    }

    pub(super) fn log_watched(
        &mut self,
        id: MessageId,
        former: Option<Timer>,
        again: Moment,
        now: Now,
    ) {
        if former.is_some_and(|was| was.watch) {
            return;
        }
        let event = MessageEvent {
            due_at: Some(again),
            ..MessageEvent::new(now.db, id, EventKind::Watched)
        };
        self.event_log.keep_change(event);
    }

    pub(super) fn log_claimed(&mut self, id: MessageId, due: Moment, part: Part, now: Now) {
        let event = MessageEvent {
            due_at: Some(due),
            part: part.of_several(),
            ..MessageEvent::new(now.db, id, EventKind::Claimed)
        };
        self.event_log.keep(event);
    }

    /// A claim ended without a request.
    pub(super) fn log_unused(&mut self, id: MessageId, settlement: &Settlement, now: Now) {
        let Settlement::Settled(settled) = settlement else {
            return;
        };
        let due_at = settled.until().filter(|until| *until < Moment::MAX);
        let what = match settled.next {
            Next::Cancelled => EventKind::Cancelled,
            Next::Failed => EventKind::Rejected,
            Next::Back(_) if due_at.is_some() => EventKind::Deferred,
            Next::Back(_) | Next::Unconfirmed => EventKind::Returned,
        };
        let event = MessageEvent {
            due_at,
            category: settled.kind(),
            ..MessageEvent::new(now.db, id, what)
        };
        self.event_log.keep(event);
    }

    /// The database cancelled it without a verdict.
    pub(super) fn log_cancelled(&mut self, id: MessageId, why: ReasonKind, now: Now) {
        let event = MessageEvent {
            category: Some(why.as_str()),
            ..MessageEvent::new(now.db, id, EventKind::Cancelled)
        };
        self.event_log.keep(event);
    }

    /// A request ended.
    pub(super) fn log_response(
        &mut self,
        id: MessageId,
        answer: &SendResult,
        settlement: &Settlement,
        late: Option<Late>,
        (attempt, part): (i32, Part),
    ) {
        let mut event = MessageEvent {
            late,
            attempt: Some(attempt),
            part: part.of_several(),
            ..MessageEvent::new(answer.finished, id, EventKind::Sent)
        };
        if let Settlement::Settled(settled) = settlement {
            event.code = settled.code;
            event.category = settled.kind();
            event.due_at = settled.pause().map(|pause| answer.finished + pause);
            event.what = match (&answer.outcome, settled.next) {
                (_, Next::Failed) => EventKind::Failed,
                (Outcome::Throttled { .. }, _) => EventKind::Throttled,
                (Outcome::Unsent { .. }, _) => EventKind::Unsent,
                (Outcome::Refused { .. }, _) => EventKind::Refused,
                (Outcome::Accepted { .. } | Outcome::Unknown { .. }, _) => EventKind::Unconfirmed,
            };
        }
        self.event_log.keep(event);
    }
}

impl Late {
    /// How late a request started that began at `started` and ended at `finished`.
    pub(super) fn of<P>(busy: &Busy<P>, started: Moment, finished: Moment) -> Self {
        let us = |from: Moment, to: Moment| u64::try_from(to.micros_from(from)).unwrap_or(0);
        // It waited for its slot before its lateness began: no rule has delayed it since.
        let due = busy.slot.map_or(busy.due, |_| busy.wanted_at);
        // In this order, whatever the estimate of the clock did meanwhile.
        let due = due.max(busy.wanted_at).min(started.max(busy.wanted_at));
        let ready = busy.ready_at.max(due).min(started.max(due));
        Self {
            lateness_us: us(busy.wanted_at, started),
            policy_us: us(busy.wanted_at, due),
            claim_us: us(due, ready),
            wake_us: us(ready, started),
            provider_us: us(started, finished),
            paced_us: u64::try_from(busy.paced.as_micros()).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests;
