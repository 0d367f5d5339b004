//! Claims from paces, and what they bring.

use std::time::Duration;

use super::super::lanes::Load;
use super::super::{Busy, Command, JudgedClaim, PaceRequest, Phase, Reactor};
use super::{Slot, Waiting};
use crate::message::{Moment, Now, PaceDue, PaceId, PacedClaim, PacedResponse, Priority, Uptime};
use crate::policy::ReasonKind;
use crate::schedule::{LEAD_MAX, Timer, Turn};
use crate::settle::Record;

impl Waiting {
    /// It was read while its claim was under way. Of two moments the earlier costs no more than a claim.
    pub(super) fn note(&mut self, due: PaceDue) {
        let noted = self.noted.take().into_iter().chain([due]);
        self.noted = noted.min_by_key(|due| due.at);
    }

    /// It is asked next at `ask_at`; at once, if a slot was returned since it was asked.
    fn answered(&mut self, ask_at: Moment, now: Now) {
        self.ask_at = if self.is_returned { now.db } else { ask_at };
        (self.misses, self.asked_of, self.is_returned) = (0, None, false);
        self.noted = None;
    }
}

impl<P: Clone> Reactor<P> {
    /// When a pace may be claimed from, as far as its lane is concerned; `None`: not before something happens.
    fn pace_allowed(&self, due: &PaceDue, now: Now) -> Option<Moment> {
        let Some(lane) = self.lanes.find_way(&due.lane, now) else {
            return (self.ahead() < self.ahead_max).then_some(Moment::MIN);
        };
        let allowed = self.next_allowed(lane, now)?;
        let state = &self.lanes[lane];
        // A slot is short: it is taken when a permit is free, and each claim takes one.
        let taken = state.load.sending + state.load.paced_asks;
        if taken >= state.throttle.permits(now.up) {
            let step = state.throttle.next_step(now.up)?;
            return Some(allowed.max(now.db + step.since(now.up)));
        }
        if taken >= self.permits(lane, now) {
            return None;
        }
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
            asks.push(PaceRequest {
                pace: id,
                token,
                slack: self.paces.slack(id),
                via: self.lanes.via(lane),
            });
        }
        if !asks.is_empty() {
            self.paces.asked = Some(now.up);
            let until = self.intake.read_until(now);
            self.commands.push_back(Command::ClaimPaced { asks, until });
        }
    }

    fn may_claim_paced(&self) -> bool {
        let unrecorded_max = self.settings.limits.records.unrecorded_max;
        !self.draining
            && !self.clock_lost
            && !self.pauses.are_out_of_date()
            && self.outgoing.unrecorded() < unrecorded_max
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

    /// The answers to a claim from paces. Those that are missing failed: what they may have won all the same is
    /// released when its lease is over. `took`: how long it took, if it won a message.
    pub(in crate::reactor) fn paces_claimed(
        &mut self,
        answers: Vec<(PaceId, PacedResponse<JudgedClaim<P>>)>,
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
                PacedResponse::Won(paced) => {
                    let turn = self.pace_turn(id, paced.next, now);
                    let lane = paced.claim.route.as_ref().unwrap_or(&paced.claim.lane);
                    self.paces.change(id, |waiting| {
                        waiting.due.at = paced.next;
                        // If it cannot start by its lane, it is the first again.
                        waiting.due.lane.clone_from(lane);
                        waiting.answered(turn, now);
                    });
                    self.pace_won(id, *paced, asked, now);
                }
                PacedResponse::OptedOut(message) => {
                    self.log_cancelled(message, ReasonKind::OptedOut, now);
                    // The one behind it goes at once.
                    self.paces
                        .change(id, |waiting| waiting.answered(now.db, now));
                }
                PacedResponse::Wait(due) => self.pace_waits(id, Some(due), now),
                PacedResponse::Idle => self.pace_waits(id, None, now),
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

    /// Nothing was won; `answered`: when its next message may start, if it has one.
    fn pace_waits(&mut self, id: PaceId, answered: Option<PaceDue>, now: Now) {
        let waiting = self.paces.waiting.get_mut(&id);
        let noted = waiting.and_then(|waiting| waiting.noted.take());
        let known = answered.into_iter().chain(noted);
        let Some(due) = known.min_by_key(|due| due.at) else {
            self.paces.take(id);
            return;
        };
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
            rate,
            ..
        } = paced;
        if let Some(busy) = self.busy.get_mut(&id) {
            // Its release is written and was not heard of yet.
            busy.recheck = true;
            let reason = "the claim before it was not over";
            self.paces.beside.insert(judged.token);
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
            turn: Turn::Anybodys,
            priority,
        };
        let phase = Phase::Claiming { asked, sweep };
        let busy = Busy {
            slot: Some(Slot {
                pace,
                rate,
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
