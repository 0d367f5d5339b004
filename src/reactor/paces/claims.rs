//! Claims from paces, and what they bring.

use std::time::Duration;

use super::super::lanes::Load;
use super::super::{Busy, Command, JudgedClaim, PaceAsk, Phase, Reactor, Record};
use super::{Slot, Waiting};
use crate::message::{Moment, Now, PaceDue, PaceId, PacedAnswer, PacedClaim, Priority, Uptime};
use crate::schedule::{LEAD_MAX, Timer};

impl Waiting {
    /// It is asked next at `ask_at`; at once, if a slot was returned since it was asked.
    fn answered(&mut self, ask_at: Moment, now: Now) {
        self.ask_at = if self.is_returned { now.db } else { ask_at };
        (self.misses, self.asked_of, self.is_returned) = (0, None, false);
    }
}

impl<P: Clone> Reactor<P> {
    /// When a pace may be claimed from, as far as its lane is concerned; `None`: not before something happens.
    fn pace_allowed(&self, due: &PaceDue, now: Now) -> Option<Moment> {
        let Some(lane) = self.lanes.find(&due.lane) else {
            return (self.lanes.load().ahead() < self.ahead_max).then_some(Moment::MIN);
        };
        let allowed = self.next_allowed(lane, now)?;
        let least = self.least_with_room(lane, now)?;
        (least <= Priority::Normal).then_some(allowed)
    }

    pub(in crate::reactor) fn claim_paced(&mut self, now: Now) {
        if self.paces.asked.is_some() || !self.may_claim_paced() || !self.paces.pause.is_over(now) {
            return;
        }
        let until = now.db + self.lead.single();
        let due = self
            .paces
            .order
            .range(..=(until, PaceId(uuid::Uuid::max())));
        let due: Vec<_> = due.map(|(_, id)| *id).collect();
        let mut asks = Vec::new();
        for id in due {
            if asks.len() == self.settings.limits.claims.batch {
                break;
            }
            let waiting = &self.paces.waiting[&id];
            if self
                .pace_allowed(&waiting.due, now)
                .is_none_or(|at| at > now.db)
            {
                continue;
            }
            let key = waiting.due.lane.clone();
            let lane = self.lanes.of(&key, &self.settings, now);
            self.lanes.note(lane, Load::pace_asked);
            self.paces
                .change(id, |waiting| waiting.asked_of = Some(lane));
            let token = (self.draw)();
            asks.push(PaceAsk { pace: id, token });
        }
        if !asks.is_empty() {
            self.paces.asked = Some(now.up);
            let until = self.intake.window_until().max(now.db);
            self.commands.push_back(Command::ClaimPaced { asks, until });
        }
    }

    fn may_claim_paced(&self) -> bool {
        let unrecorded_max = self.settings.limits.records.unrecorded_max;
        !self.draining && !self.clock_lost && self.outgoing.unrecorded() < unrecorded_max
    }

    pub(in crate::reactor) fn next_pace_claim(&self, now: Now) -> Option<Moment> {
        if self.paces.asked.is_some() || !self.may_claim_paced() {
            return None;
        }
        let lead = self.lead.single();
        let mut next: Option<Moment> = None;
        for (ask_at, id) in &self.paces.order {
            let at = *ask_at - lead;
            if next.is_some_and(|next| next <= at) {
                break;
            }
            let allowed = self.pace_allowed(&self.paces.waiting[id].due, now);
            let at = allowed.map(|allowed| at.max(allowed));
            next = [next, at].into_iter().flatten().min();
        }
        let over = now.db + self.paces.pause.until().since(now.up);
        next.map(|at| {
            if self.paces.pause.is_over(now) {
                at
            } else {
                at.max(over)
            }
        })
    }

    /// The answers to a claim from paces. Those that are missing failed: what they may have won all the same is released
    /// when its lease is over. `took`: how long it took, if it won a message.
    pub(in crate::reactor) fn paces_claimed(
        &mut self,
        answers: Vec<(PaceId, PacedAnswer<JudgedClaim<P>>)>,
        took: Option<Duration>,
        now: Now,
    ) {
        let Some(asked) = self.paces.asked.take() else {
            return;
        };
        if let Some(took) = took {
            self.lead.measured(took);
        }
        for lane in self.paces.waiting.values().filter_map(|w| w.asked_of) {
            self.lanes.note(lane, Load::pace_answered);
        }
        for (id, answer) in answers {
            match answer {
                PacedAnswer::Won(paced) => {
                    let turn = self.pace_turn(id, paced.next, now);
                    self.paces.change(id, |waiting| {
                        waiting.due.at = paced.next;
                        waiting.answered(turn, now);
                    });
                    self.pace_won(id, *paced, asked, now);
                }
                PacedAnswer::Wait(due) => self.pace_waits(id, due, now),
                PacedAnswer::Idle => drop(self.paces.take(id)),
            }
        }
        let unanswered = self.paces.waiting.iter().filter(|(_, w)| w.is_asked());
        let unanswered: Vec<_> = unanswered.map(|(id, _)| *id).collect();
        if unanswered.is_empty() {
            self.paces.pause.succeeded();
        } else {
            self.paces.pause.failed(now);
        }
        for id in unanswered {
            self.paces.change(id, |waiting| waiting.asked_of = None);
        }
        if self.draining {
            self.forget_paces();
        }
    }

    fn pace_waits(&mut self, id: PaceId, due: PaceDue, now: Now) {
        let retry = self.settings.limits.claims.locked_retry;
        let turn = self.pace_turn(id, due.at, now);
        let is_due = due.at <= now.db + LEAD_MAX;
        self.paces.change(id, |waiting| {
            waiting.due = due;
            if is_due {
                let misses = waiting.misses.saturating_add(1);
                waiting.answered(now.db + retry.pause(u32::from(misses)), now);
                waiting.misses = misses;
            } else {
                waiting.answered(turn, now);
            }
        });
    }

    fn pace_won(
        &mut self,
        pace: PaceId,
        paced: PacedClaim<JudgedClaim<P>>,
        asked: Uptime,
        now: Now,
    ) {
        let PacedClaim {
            id,
            priority,
            claim: judged,
            latest,
            waited,
            ..
        } = paced;
        if let Some(busy) = self.busy.get_mut(&id) {
            // Its release is written and was not heard of yet.
            busy.recheck = true;
            let reason = "the claim before it was not over";
            let record = Record::release(id, judged.token, reason);
            self.outgoing.push(None, record);
            return;
        }
        self.lanes.remove(id);
        self.intake.overtake(id);
        let lane = self.lanes.of(&judged.lane, &self.settings, now);
        let sweep = self.intake.sweep_number();
        let timer = Timer {
            due: judged.due,
            version: 0,
            seen: sweep,
            attempts: u16::try_from(judged.tries.before).unwrap_or(u16::MAX),
            lock_misses: 0,
            watch: false,
            priority,
        };
        let phase = Phase::Claiming { asked, sweep };
        let busy = Busy {
            slot: Some(Slot {
                pace,
                until: latest,
            }),
            paced: waited,
            ..Busy::claiming(judged.token, lane, &timer, phase)
        };
        self.lanes.note(lane, Load::joined);
        self.lanes.note(lane, |load| load.asked(priority));
        if self.breaker_allows(lane, now) > 0 {
            self.note_probe(lane, id, judged.token);
        }
        self.busy.insert(id, busy);
        self.won(id, judged, now);
        self.paces.cleared.insert((latest, id));
    }
}
