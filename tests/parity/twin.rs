//! The model's half of a step.

use std::sync::Arc;
use std::time::Duration;

use punctual::message::status::{Writer, transition};
use punctual::message::{Channel, Moment, Status};
use punctual::policy::Cleared;
use punctual::reactor::{ClaimRequest, PaceRequest};
use punctual::schedule::RATE_SLACK;
use punctual::settle::Record;

use crate::deed::{
    Deed, MAX_LATENESS, PART_GAP, RATE, Wish, at, attempt, instance, message, name, pace, queue,
    texts, token_name,
};
use crate::facts::{self, Facts, of_state, word};
use crate::model::{Database, Pace, Transaction};
use crate::mutant::Mutant;
use crate::real::{AGE, BURST, OVERDUE, SEED, SILENCE, Snapshot, WINDOW};

#[derive(Clone)]
pub(crate) struct Twin {
    pub(crate) db: Database,
    /// What the times of wishes count from.
    pub(crate) start: Moment,
    open: Option<Transaction>,
}

impl Twin {
    pub(crate) fn new(start: Moment, mutant: Option<Mutant>) -> Self {
        let mut db = Database::new(mutant, &Channel::UNDERSTOOD);
        db.part_gap = PART_GAP;
        Self {
            db,
            start,
            open: None,
        }
    }

    /// All that stands.
    pub(crate) fn facts(&self) -> Facts {
        let mut all = Facts::new();
        self.db
            .rows
            .values()
            .for_each(|row| facts::of_row(&mut all, row));
        self.db
            .attempts
            .iter()
            .for_each(|a| facts::of_attempt(&mut all, a));
        facts::of_pauses(&mut all, &self.db.pauses);
        facts::of_paces(&mut all, &self.db.paces);
        all
    }

    /// Takes over the moments that the database read from its clock, so that a later step may
    /// ask for them to the microsecond.
    pub(crate) fn adopt(&mut self, stands: &Snapshot) {
        for real in &stands.rows {
            if let Some(row) = self.db.rows.get_mut(&real.id) {
                row.next_attempt_at = real.next_attempt_at;
                row.requeued_at = real.requeued_at;
                row.created_at = real.created_at;
            }
        }
        self.db.pauses.clone_from(&stands.pauses);
        self.db.paces.clone_from(&stands.paces);
        for real in &stands.attempts {
            if let Some(own) = self.db.attempts.iter_mut().find(|a| a.token == real.token) {
                own.claimed_at = real.claimed_at;
                own.lease_until = real.lease_until;
            }
        }
    }

    fn times_ahead(&mut self, answer: &mut Facts, by: u64, now: Moment) {
        self.db.run_ahead(instance(by), AGE);
        let corrected = self.db.correct_times_ahead(1_000, now);
        word(answer, "corrected", format!("{corrected:?}"));
        self.db.live_on(now, AGE);
    }

    fn orphaned_claims(&self, answer: &mut Facts, by: u64, now: Moment) {
        for (id, token) in self.db.orphaned_claims(instance(by), now) {
            word(answer, format!("stray {}", token_name(token)), name(id));
        }
    }

    pub(crate) fn perform(&mut self, deed: &Deed, now: Moment) -> Facts {
        let mut answer = Facts::new();
        match deed {
            Deed::User { rows, wish } => self.user(&mut answer, rows, wish, now),
            Deed::Open { row, wish } => {
                let there = self.db.rows.contains_key(&message(*row));
                self.open = self
                    .db
                    .begin(message(*row), &wish.change(*row, self.start), now);
                say(
                    &mut answer,
                    usize::from(self.open.is_some()),
                    usize::from(there && self.open.is_none()),
                );
            }
            Deed::End { commit } => match self.open.take() {
                Some(tx) if *commit => {
                    let id = tx.id();
                    if self.db.commit(tx, now) {
                        word(&mut answer, format!("notice of {}", name(id)), "heard");
                    }
                }
                Some(tx) => self.db.roll_back(&tx),
                None => {}
            },
            Deed::Claim { by, asks, lease } => self.claim(&mut answer, *by, asks, *lease, now),
            Deed::Record { by, entries } => {
                let records: Vec<Record<Arc<Cleared>>> =
                    entries.iter().map(|t| t.record(now)).collect();
                for (token, state) in self.db.record(instance(*by), &records, now) {
                    let key = format!("recorded {}", token_name(token));
                    word(&mut answer, &key, "done");
                    if let Some(state) = state {
                        of_state(&mut answer, &key, &state);
                    }
                }
            }
            Deed::Keep { kept, .. } => {
                for (row, token, parts) in kept {
                    let (id, by) = (message(*row), attempt(*token));
                    if self.db.keep_texts(id, by, &texts(*row, *parts)) {
                        word(&mut answer, format!("kept {token}"), "done");
                    }
                }
            }
            Deed::Read { rows } => {
                let ids: Vec<_> = rows.iter().map(|row| message(*row)).collect();
                for (id, state) in self.db.read(&ids, now) {
                    of_state(&mut answer, &format!("read {}", name(id)), &state);
                }
            }
            Deed::Load { until } => {
                for row in self.db.load(at(self.start, *until), MAX_LATENESS, now) {
                    facts::of_upcoming(&mut answer, &row);
                }
            }
            Deed::Miss { rows } => {
                let rows = rows.iter().map(|row| message(*row));
                let there = rows.filter(|id| self.db.rows.contains_key(id));
                let there: Vec<_> = there.collect();
                self.db.missed.extend(there);
            }
            Deed::Follow => word(&mut answer, "followed", self.db.follow_missed()),
            Deed::Pause { .. }
            | Deed::Resume { .. }
            | Deed::SetPace { .. }
            | Deed::RemovePace { .. }
            | Deed::ClaimPaced { .. } => self.waits(&mut answer, deed, now),
            Deed::Expire => word(
                &mut answer,
                "expired",
                self.db.expire(MAX_LATENESS, 1_000, now),
            ),
            // Neither young nor silent until an hour has passed.
            Deed::Start { by } => self.db.start_instance(instance(*by), now + AGE),
            Deed::Beat { by } => self.db.beat(instance(*by), now + AGE),
            Deed::Age { by } => self.db.start_instance(instance(*by), now - AGE),
            Deed::TimesAhead { by } => self.times_ahead(&mut answer, *by, now),
            Deed::OrphanedClaims { by } => self.orphaned_claims(&mut answer, *by, now),
            Deed::Strand { row, forget } => self.db.strand(message(*row), *forget),
            Deed::CorrectWithoutAttempt { .. } => {
                word(&mut answer, "corrected", self.db.correct_without_attempt());
            }
            Deed::Reap { by } => word(
                &mut answer,
                "reaped",
                self.db.reap(instance(*by), SILENCE, 1_000, now),
            ),
            Deed::Quarantine { before, .. } => {
                let before = self.db.quarantine_begin(at(self.start, *before));
                word(&mut answer, "quarantine", before);
            }
            Deed::Clear { rows } => {
                let ids = rows.iter().map(|row| message(*row));
                ids.for_each(|id| self.db.quarantine_clear(id));
            }
            Deed::EndQuarantine { before } => self.db.quarantine_end(at(self.start, *before)),
        }
        answer
    }

    /// Pauses and paces.
    fn waits(&mut self, answer: &mut Facts, deed: &Deed, now: Moment) {
        match deed {
            Deed::Pause { key, until } => {
                let until = until.map_or(Moment::MAX, |s| at(self.start, s));
                self.db.pause(key.clone(), until);
            }
            Deed::Resume { key } => self.db.resume(key, now),
            Deed::SetPace {
                campaign: n,
                gaps,
                near,
            } => {
                let seconds = Duration::from_secs;
                let gaps = (seconds(gaps.0), seconds(gaps.1));
                let is_rate = *n == RATE;
                let new = Pace {
                    id: pace(*n),
                    gaps: if is_rate { (gaps.0, gaps.0) } else { gaps },
                    burst: if is_rate { BURST } else { 1 },
                    seed: SEED,
                    position: 0,
                    next: at(self.start, OVERDUE),
                    token: None,
                    slot: None,
                };
                self.db.set_pace(queue(*n), new, now);
                if let Some(pace) = self.db.paces.get_mut(&queue(*n)).filter(|_| *near) {
                    pace.next = new.next;
                }
            }
            Deed::RemovePace { campaign: n } => drop(self.db.paces.remove(&queue(*n))),
            Deed::ClaimPaced { by, asks, lease } => {
                let ask = |(n, token): &(u64, u64)| PaceRequest {
                    pace: pace(*n),
                    token: attempt(*token),
                    slack: RATE_SLACK,
                    via: None,
                };
                let asks: Vec<_> = asks.iter().map(ask).collect();
                let until = at(self.start, WINDOW);
                let own = (instance(*by), *lease);
                for (id, paced) in self.db.claim_paced(&asks, own, until, now) {
                    facts::of_paced(answer, id, &paced);
                }
            }
            _ => {}
        }
    }

    /// A statement over many rows skips those that it is too late for, unless it is to set their status:
    /// then it is refused as a whole.
    fn user(&mut self, answer: &mut Facts, rows: &[u64], wish: &Wish, now: Moment) {
        let (mut refused, mut raised) = (0, false);
        let mut done = Vec::new();
        for row in rows {
            let there = self.db.rows.contains_key(&message(*row));
            match self
                .db
                .begin(message(*row), &wish.change(*row, self.start), now)
            {
                Some(tx) => done.push(tx),
                None if there && !matches!(wish, Wish::Insert { .. }) => {
                    refused += 1;
                    raised |= !self.is_skipped(*row, wish);
                }
                None => {}
            }
        }
        if raised {
            done.drain(..).for_each(|tx| self.db.roll_back(&tx));
        }
        say(answer, done.len(), refused);
        for tx in done {
            let id = tx.id();
            if self.db.commit(tx, now) {
                word(answer, format!("notice of {}", name(id)), "heard");
            }
        }
    }

    /// Whether the guard skips a row that it refuses to change, and does not fail.
    fn is_skipped(&self, row: u64, wish: &Wish) -> bool {
        let Some(row) = self.db.rows.get(&message(row)) else {
            return true;
        };
        match wish {
            Wish::Mark(_) => false,
            // What it may become is refused; that its time is not to change is skipped, and comes first.
            Wish::PutBack { at: when } => {
                let may_go = transition(Some(row.status), Status::Pending, Writer::User);
                let moves = when.is_some_and(|when| at(self.start, when) != row.scheduled_at);
                may_go && row.parts_done > 0 && moves
            }
            _ => true,
        }
    }

    fn claim(
        &mut self,
        answer: &mut Facts,
        by: u64,
        asks: &[(u64, u64)],
        lease: Duration,
        now: Moment,
    ) {
        let asks: Vec<_> = asks
            .iter()
            .map(|(row, token)| ClaimRequest {
                id: message(*row),
                token: attempt(*token),
                via: None,
            })
            .collect();
        let won = self.db.claim(&asks, instance(by), lease, now);
        let lost: Vec<_> = asks
            .iter()
            .map(|ask| ask.id)
            .filter(|id| won.iter().all(|claim| claim.id != *id))
            .collect();
        for claim in &won {
            facts::of_claim(answer, claim);
        }
        for (id, state) in self.db.read(&lost, now) {
            let row = self
                .db
                .rows
                .get(&id)
                .filter(|row| row.status == Status::Pending);
            let paused = row.is_some_and(|row| self.db.stopped_until(row, now).is_some());
            let paced = row.is_some_and(|row| self.db.pace_of(row.id).is_some());
            let how = match (paused, paced) {
                (true, _) => "paused",
                (false, true) => "paced",
                (false, false) => "lost",
            };
            of_state(answer, &format!("{how} {}", name(id)), &state);
        }
    }
}

fn say(answer: &mut Facts, changed: usize, refused: usize) {
    if changed == 0 && refused > 0 {
        word(answer, "answer", "PT409");
    } else {
        word(answer, "answer", format!("{changed} rows"));
    }
}
