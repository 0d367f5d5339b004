//! Claims what is about to be due, as far as there is room (`room`).

use std::time::Duration;

use super::lanes::{Lane, Load};
use super::{Busy, ClaimRequest, Command, JudgedClaim, Phase, Reactor};
use crate::message::{ClaimResponse, MessageId, Moment, Now, RowState, Status};
use crate::policy::ReasonKind;
use crate::schedule::{LEAD_MAX, Timer};
use crate::settle::Record;

impl<P: Clone> Reactor<P> {
    /// Whether another claim may be made, of whatever lane.
    fn may_claim(&self) -> bool {
        !self.draining
            && !self.clock_lost
            && !self.pauses.are_out_of_date()
            && self.least_claimed().is_some()
            && self.outgoing.unrecorded() < self.settings.limits.records.unrecorded_max
    }

    /// Has claimed what is about to be due, and with it what follows soon: no claim is made before one of its messages
    /// has to be claimed.
    pub(super) fn claim_due(&mut self, now: Now) {
        if !self.may_claim() || !self.claim_pause.is_over(now) {
            return;
        }
        self.lanes.refresh();
        let mut due = std::mem::take(&mut self.due_lanes);
        due.extend(self.lanes.due.until(now.db).map(|(_, lane)| lane));
        due.retain(|lane| {
            self.breaker_allows(*lane, now) > 0
                && self.lane_paused_until(*lane, LEAD_MAX, now).is_none()
        });
        let is_herd = self.is_herd(&due, now);
        let lead = self.lead.single();
        let has_to = |lane| {
            self.next_claim_of(lane, lead, now)
                .is_some_and(|at| at <= now.db)
        };
        // Not before the first of them has to be claimed: until then it waits for others that go along.
        if !is_herd && !due.iter().any(|lane| has_to(*lane)) {
            due.clear();
        }
        let reach = self.lead.reach(is_herd);
        // A herd behind a pause is claimed as early as one that is due then.
        due.retain(|lane| self.lane_paused_until(*lane, reach, now).is_none());
        let until = now.db + reach;
        let mut looks = self.settings.limits.intake.stretch.max(1);
        while self.may_claim() && (is_herd || self.next_claim_after() <= now.up) {
            due.retain(|lane| self.may_be_asked(*lane));
            let asks = self.fill_claim(&mut due, until, &mut looks, now);
            if asks.is_empty() {
                break;
            }
            self.note_claim(now);
            self.commands.push_back(Command::Claim(asks));
        }
        due.clear();
        self.due_lanes = due;
    }

    /// The messages of one claim: as many of each lane, and then any others. What is in quarantine is disarmed on
    /// the way, and what is another instance's turn is passed over, no more of it than `looks`: the rest waits for the
    /// next turn of the loop.
    fn fill_claim(
        &mut self,
        due: &mut [Lane],
        until: Moment,
        looks: &mut usize,
        now: Now,
    ) -> Vec<ClaimRequest> {
        let batch = self.settings.limits.claims.batch;
        let mut asks = Vec::new();
        let number = self.lanes.next_claim_number();
        // Those first that have waited for longest, should there be more lanes than room.
        due.sort_by_key(|lane| self.lanes[*lane].claimed);
        let each = batch.checked_div(due.len()).unwrap_or(batch).max(1);
        for most in [each, batch] {
            for lane in due.iter().copied() {
                let most = most.min(self.breaker_allows(lane, now));
                let most = asks.len() + most.min(batch - asks.len());
                while asks.len() < most && *looks > 0 {
                    let Some(least) = self.least_with_room(lane, now) else {
                        break;
                    };
                    let Some((id, timer)) = self.lanes.pop(lane, now.db, until, least) else {
                        break;
                    };
                    self.lanes[lane].claimed = number;
                    if self.is_not_asked_for(lane, id, &timer, now) {
                        *looks -= 1;
                    } else {
                        asks.push(self.ask(lane, id, timer, now));
                    }
                }
            }
            if due.len() == 1 {
                break;
            }
        }
        asks
    }

    /// The request to claim one message, under a token of its own. The message is busy from now on.
    fn ask(&mut self, lane: Lane, id: MessageId, timer: Timer, now: Now) -> ClaimRequest {
        let token = (self.draw)();
        let phase = Phase::Claiming {
            asked: now.up,
            sweep: self.intake.sweep_number(),
        };
        let busy = Busy::claiming(token, lane, &timer, phase);
        self.busy.insert(id, busy);
        self.lanes.note(lane, Load::joined);
        self.lanes.note(lane, |load| load.asked(timer.priority));
        self.intake.overtake(id);
        self.note_probe(lane, id, token);
        let via = self.lanes.via(lane);
        ClaimRequest { id, token, via }
    }

    /// When the next claim is to be made.
    pub(super) fn next_claim(&mut self, now: Now) -> Option<Moment> {
        if !self.may_claim() {
            return None;
        }
        self.lanes.refresh();
        let lead = self.lead.single();
        let mut next: Option<Moment> = None;
        for (bound, lane) in self.lanes.due.until(Moment::MAX) {
            if next.is_some_and(|next| next <= bound + LEAD_MAX.saturating_sub(lead)) {
                break;
            }
            if let Some(at) = self.next_claim_of(lane, lead, now) {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        let alone = next?;
        if !self.claim_pause.is_over(now) {
            let over = now.db + self.claim_pause.until().since(now.up);
            return Some(alone.max(over));
        }
        let herd = self.lead.herd();
        let herd = herd.and_then(|n| self.nth(n, alone + LEAD_MAX, now));
        let alone = alone.max(now.db + self.next_claim_after().since(now.up));
        Some(herd.map_or(alone, |at| alone.min(at - LEAD_MAX)))
    }

    /// Whether so many of these lanes are due together that they are claimed early.
    fn is_herd(&self, lanes: &[Lane], now: Now) -> bool {
        let Some(mut left) = self.lead.herd() else {
            return false;
        };
        let until = now.db + LEAD_MAX;
        for lane in lanes {
            left -= self.lanes[*lane].count_due(until, left);
        }
        left == 0
    }

    /// When the `n`-th of those that may be claimed is to be checked, if that is by `until`.
    fn nth(&self, n: usize, until: Moment, now: Now) -> Option<Moment> {
        let mut dues = Vec::new();
        for (_, lane) in self.lanes.due.until(until - LEAD_MAX) {
            let is_paused = self.lane_paused_until(lane, LEAD_MAX, now).is_some();
            if is_paused || self.lanes[lane].breaker.is_open() || !self.may_be_asked(lane) {
                continue;
            }
            if let Some(least) = self.least_with_room(lane, now) {
                dues.extend(self.lanes[lane].first_dues(n, until, least));
            }
        }
        dues.sort_unstable();
        dues.get(n.checked_sub(1)?).copied()
    }

    /// When this lane has to be claimed from.
    fn next_claim_of(&self, lane: Lane, lead: Duration, now: Now) -> Option<Moment> {
        let paused = self.lane_paused_until(lane, lead, now);
        let allowed = self
            .next_allowed(lane, now)?
            .max(paused.unwrap_or(Moment::MIN));
        if allowed == Moment::MAX {
            return None;
        }
        if !self.may_be_asked(lane) {
            return None;
        }
        let least = self.least_with_room(lane, now)?;
        let first = self.lanes[lane].first_of(least)?;
        Some((first - lead).max(allowed))
    }

    pub(super) fn claimed(
        &mut self,
        answers: Vec<(MessageId, ClaimResponse<JudgedClaim<P>>)>,
        took: Duration,
        now: Now,
    ) {
        self.lead.measured(took);
        self.claim_ended();
        self.claim_pause.succeeded();
        self.note_locked(&answers, took, now);
        for (id, answer) in answers {
            match answer {
                ClaimResponse::Won(judged) => self.won(id, judged, now),
                ClaimResponse::Lost(state) | ClaimResponse::Paced(state) => {
                    self.lost(id, state, now);
                }
                ClaimResponse::OptedOut => {
                    self.log_cancelled(id, ReasonKind::OptedOut, now);
                    let status = Some(Status::Cancelled);
                    self.lost(id, RowState::Gone { status }, now);
                }
                ClaimResponse::Paused(state) => {
                    if let RowState::Pending { due, .. } = &state {
                        self.pauses.met(*due, now);
                    }
                    self.lost(id, state, now);
                }
            }
        }
        self.locked.end_claim();
    }

    pub(super) fn won(&mut self, id: MessageId, judged: JudgedClaim<P>, now: Now) {
        let Some(busy) = self.busy.get_mut(&id).filter(|b| b.token == judged.token) else {
            // This instance does not know the claim, so it is released.
            let reason = "the claim was no longer awaited";
            let record = Record::release(id, judged.token, reason);
            self.outgoing.push(None, record);
            return;
        };
        let Phase::Claiming { asked, .. } = busy.phase else {
            return;
        };
        let asked_for = busy.lane;
        let lane = self.lanes.of(&judged.lane, &self.settings, now);
        busy.lane = lane;
        let priority = busy.priority;
        self.lanes.note(asked_for, |load| load.answered(priority));
        self.lanes.note(asked_for, Load::left);
        self.lanes.note(lane, Load::joined);
        busy.due = judged.due;
        busy.wanted_at = judged.late_from();
        (busy.parties, busy.closes) = (judged.parties, judged.closes);
        busy.route = judged.route;
        busy.ready_at = now.db;
        busy.tries = Some(judged.tries);
        busy.part = judged.part;
        busy.attempts = busy.attempts.saturating_add(1);
        match judged.verdict {
            Ok(payload) => {
                busy.phase = Phase::Cleared {
                    payload,
                    lease_until: asked + self.settings.lease,
                    pausable: judged.pausable.clone(),
                };
                // Also if it is released below, which ends that.
                self.pauses.cleared(asked, now);
                self.log_claimed(id, judged.due, judged.part, now);
                self.await_start(id, now);
            }
            Err(settlement) => {
                busy.phase = Phase::Recording { started: false };
                self.lanes.note(lane, Load::given_up);
                self.log_unused(id, &settlement, now);
                let record = Record {
                    settlement,
                    ..Record::release(id, judged.token, "")
                };
                self.outgoing.push(Some(lane), record);
            }
        }
    }

    /// The claims may be committed or not. Releasing them by token is right in both cases: what was
    /// not claimed is not changed by it, and the rows are read afterwards.
    pub(super) fn claim_lost(&mut self, asks: &[ClaimRequest], now: Now) {
        self.claim_ended();
        self.claim_pause.failed(now);
        for ask in asks {
            let Some(busy) = self.busy.get_mut(&ask.id).filter(|b| b.is_asked_by(ask)) else {
                continue;
            };
            busy.phase = Phase::Recording { started: false };
            busy.recheck = true;
            self.lanes
                .note(busy.lane, |load| load.answered(busy.priority));
            self.lanes.note(busy.lane, Load::given_up);
            let reason = "the response to the claim was lost";
            let record = Record::release(ask.id, ask.token, reason);
            self.outgoing.push(Some(busy.lane), record);
        }
    }

    /// Whatever the cause (a lock on the table, a missing right), it is tried again, after growing
    /// pauses.
    pub(super) fn claim_refused(&mut self, asks: &[ClaimRequest], now: Now) {
        self.claim_ended();
        self.claim_pause.failed(now);
        for ask in asks {
            if self.busy.get(&ask.id).is_none_or(|b| !b.is_asked_by(ask)) {
                continue;
            }
            let Some(busy) = self.busy.remove(&ask.id) else {
                continue;
            };
            self.lanes
                .note(busy.lane, |load| load.answered(busy.priority));
            self.lanes.note(busy.lane, Load::left);
            let state = RowState::Pending {
                due: busy.due,
                version: i64::from(busy.version),
                attempts: i32::from(busy.attempts),
                priority: busy.priority,
                lane: self.lanes[busy.lane].key.clone(),
                written: None,
                pace: None,
            };
            if busy.recheck {
                self.intake.note_for_read(ask.id);
            }
            let (sweep, misses) = (
                self.intake.sweep_number(),
                busy.lock_misses.saturating_add(1),
            );
            self.row_is(ask.id, state, sweep, misses, now);
        }
    }
}
