//! Claims what is about to be due, and no more than can be started in time.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use super::{Ask, Busy, Command, Judged, Phase, Reactor, Record};
use crate::message::{AttemptToken, ClaimAnswer, MessageId, Moment, Now, RowState};
use crate::schedule::{LEAD_MAX, Timer};

/// How fast messages leave, and how many claims are under way.
#[derive(Debug)]
pub(super) struct Pace {
    claims: usize,
    claiming: usize,
    send_us: f64,
}

impl Pace {
    pub(super) fn new(first_request: Duration) -> Self {
        Self {
            claims: 0,
            claiming: 0,
            send_us: first_request.as_secs_f64() * 1e6,
        }
    }

    /// Notes how long a request took.
    pub(super) fn sent(&mut self, took: Duration) {
        // The last ten or so requests weigh as much as all before them.
        self.send_us += (took.as_secs_f64() * 1e6 - self.send_us) / 16.0;
    }

    /// How many requests can start within `span`, with `permits` at once.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate; the cast saturates and nothing here is negative"
    )]
    fn startable(&self, permits: usize, span: Duration) -> usize {
        (permits as f64 * span.as_secs_f64() * 1e6 / self.send_us.max(1.0)) as usize
    }
}

impl<P: Clone> Reactor<P> {
    /// How many more may be claimed now.
    fn room(&self) -> usize {
        let permits = self.pressure.permits();
        let free = permits.saturating_sub(self.outgoing.sending());
        let startable = self.pace.startable(permits, self.settings.lease / 4);
        (free + startable)
            .min(self.settings.limits.claims.ahead_max)
            .saturating_sub(self.pace.claiming + self.cleared.len())
    }

    fn may_claim(&self) -> bool {
        let limits = &self.settings.limits;
        !self.draining
            && !self.clock_lost
            && self.pace.claims < limits.claims.at_once
            && self.outgoing.unrecorded() < limits.records.unrecorded_max
    }

    pub(super) fn claim_due(&mut self, now: Now) {
        let together = self.agenda.advance(now.db);
        let until = now.db + self.lead.for_herd(together);
        let batch = self.settings.limits.claims.batch;
        while self.may_claim() {
            let room = self.room().min(batch).min(self.breaker_allows(now));
            let mut asks = Vec::new();
            while asks.len() < room {
                let Some((id, timer)) = self.agenda.pop(until) else {
                    break;
                };
                if timer.watch || !self.is_held(id, timer.due) {
                    asks.push(self.ask(id, timer, now));
                }
            }
            if asks.is_empty() {
                break;
            }
            self.pace.claims += 1;
            self.pace.claiming += asks.len();
            self.commands.push_back(Command::Claim(asks));
        }
    }

    fn ask(&mut self, id: MessageId, timer: Timer, now: Now) -> Ask {
        let token = (self.draw)();
        let busy = Busy {
            token,
            recheck: false,
            due: timer.due,
            wanted_at: timer.due,
            ready_at: timer.due,
            tries: None,
            held: timer.held,
            attempts: timer.attempts,
            version: timer.version,
            priority: timer.priority,
            phase: Phase::Claiming {
                asked: now.up,
                sweep: self.intake.sweep_number(),
            },
        };
        self.busy.insert(id, busy);
        self.intake.overtake(id);
        self.note_probe(id, token);
        Ask { id, token }
    }

    /// When the next claim is to be made.
    pub(super) fn next_claim(&mut self, now: Now) -> Option<Moment> {
        if !self.may_claim() {
            return None;
        }
        let allowed = self.next_allowed(now)?;
        let front = if self.room() > 0 {
            let lead = self.lead.for_herd(self.agenda.front_len());
            self.agenda.first().map(|at| at - lead)
        } else {
            None
        };
        [front, self.agenda.next_advance()]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.max(allowed))
    }

    fn claim_ended(&mut self, ids: usize) {
        self.pace.claims = self.pace.claims.saturating_sub(1);
        self.pace.claiming = self.pace.claiming.saturating_sub(ids);
    }

    pub(super) fn claimed(
        &mut self,
        answers: Vec<(MessageId, ClaimAnswer<Judged<P>>)>,
        took: Duration,
        now: Now,
    ) {
        self.lead.measured(took);
        self.claim_ended(answers.len());
        for (id, answer) in answers {
            match answer {
                ClaimAnswer::Won(judged) => self.won(id, judged, now),
                ClaimAnswer::Lost(state) => self.lost(id, state, now),
            }
        }
    }

    fn won(&mut self, id: MessageId, judged: Judged<P>, now: Now) {
        let Some(busy) = self.busy.get_mut(&id).filter(|b| b.token == judged.token) else {
            // Nobody asked for it: whoever made this claim, it is given back.
            self.outgoing.push(Record::give_back(
                id,
                judged.token,
                "the claim was not awaited any more",
            ));
            return;
        };
        let Phase::Claiming { asked, .. } = busy.phase else {
            return;
        };
        busy.due = judged.due;
        busy.wanted_at = judged.wanted_at;
        busy.ready_at = now.db;
        busy.tries = Some(judged.tries);
        busy.attempts = busy.attempts.saturating_add(1);
        match judged.verdict {
            Ok(payload) => {
                busy.phase = Phase::Cleared {
                    payload,
                    lease_until: asked + self.settings.lease,
                };
                let turn = (judged.due, Reverse(busy.priority), id);
                self.cleared.insert(turn);
                self.tell_claimed(id, judged.due, now);
                if self.draining {
                    self.cleared.remove(&turn);
                    self.give_back(id, "the daemon is shutting down", now);
                } else {
                    self.give_back_if_held(id, judged.token, now);
                    self.give_back_if_overdue(turn, now);
                }
            }
            Err(settlement) => {
                busy.phase = Phase::Recording;
                self.tell_unused(id, &settlement, now);
                self.outgoing.push(Record {
                    settlement,
                    ..Record::give_back(id, judged.token, "")
                });
            }
        }
    }

    fn lost(&mut self, id: MessageId, state: RowState, now: Now) {
        let Some(busy) = self.busy.remove(&id) else {
            return;
        };
        let Phase::Claiming { sweep, .. } = busy.phase else {
            self.busy.insert(id, busy);
            return;
        };
        if busy.recheck || sweep != self.intake.sweep_number() {
            // The answer may be older than what was said or swept meanwhile.
            self.intake.look_at(id);
        }
        let held = match state {
            RowState::Pending { due, .. } if due <= now.db + LEAD_MAX => {
                busy.held.saturating_add(1)
            }
            _ => 0,
        };
        self.row_is(id, state, sweep, held, now);
    }

    /// The claims may stand or not. Giving them back by token is right in both cases: what was
    /// not claimed is not changed by it, and the rows are read afterwards.
    pub(super) fn claim_lost(&mut self, asks: &[Ask]) {
        self.claim_ended(asks.len());
        for ask in asks {
            let Some(busy) = self.busy.get_mut(&ask.id) else {
                continue;
            };
            busy.phase = Phase::Recording;
            busy.recheck = true;
            self.outgoing.push(Record::give_back(
                ask.id,
                ask.token,
                "the answer to the claim was lost",
            ));
        }
    }

    /// Whoever refused it (a lock on the table, a missing right), it is tried again, ever less
    /// often.
    pub(super) fn claim_refused(&mut self, asks: &[Ask], now: Now) {
        self.claim_ended(asks.len());
        for ask in asks {
            let Some(busy) = self.busy.remove(&ask.id) else {
                continue;
            };
            let state = RowState::Pending {
                due: busy.due,
                version: i64::from(busy.version),
                attempts: i32::from(busy.attempts),
                priority: busy.priority,
            };
            if busy.recheck {
                self.intake.look_at(ask.id);
            }
            let sweep = self.intake.sweep_number();
            self.row_is(ask.id, state, sweep, busy.held.saturating_add(1), now);
        }
    }

    /// Open claims of ours whose lease is over, as the database knows them. What is known here
    /// is being seen to; the others were committed after their answer was given up.
    pub(super) fn strays(&mut self, strays: Vec<(MessageId, AttemptToken)>) {
        let known: HashSet<_> = self.busy.values().map(|b| b.token).collect();
        for (id, token) in strays {
            if !known.contains(&token) && !self.outgoing.holds(token) {
                let record = Record::give_back(id, token, "nobody awaited the claim");
                self.outgoing.push(self.of_stray(record));
            }
        }
    }
}
