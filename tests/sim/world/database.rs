//! The way to the database and back: a statement takes effect at one instant between its
//! question and its answer, or not at all, or long after it was given up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use punctual::dispatch::Owed;
use punctual::message::{
    AttemptToken, Channel, Claim, ClaimResponse as Answered, InstanceId, MessageId, Moment, PaceId,
    PacedResponse, Pause, PauseKey, RowState, Uptime,
};
use punctual::policy::judge_all;
use punctual::reactor::{ClaimRequest, JudgedClaim, PaceRequest, Upcoming};
use punctual::schedule::Ranking;
use punctual::settle::{Record, Settlement};
use uuid::Uuid;

use super::{Event, Input, Payload, Process, Whose, World};
use crate::costs::Judged;
use crate::mutant::Mutant;
use crate::plan::{MS, SECOND, SILENCE, SLOW_IN_CALM};
use crate::watch::Invariant;

/// A statement, or the few of one call.
#[derive(Debug)]
pub(super) enum Call {
    Claim {
        asks: Vec<ClaimRequest>,
        asked: Uptime,
    },
    /// The second half of a claim: what was not won is read.
    LostRead {
        answer: ClaimResponse,
        lost: Vec<MessageId>,
    },
    /// The third: what texts cost is counted. `reply`: the daemon still waits for the answer.
    Charge {
        owed: Vec<Owed>,
        reply: Option<Box<(Vec<Judged>, Uptime)>>,
    },
    /// The fourth: the texts of messages of several parts are kept.
    Keep(Keeping),
    ClaimPaced {
        asks: Vec<PaceRequest>,
        until: Moment,
        asked: Uptime,
    },
    Read(Vec<MessageId>),
    Pauses,
    Load {
        from: Option<Moment>,
        until: Moment,
        most: usize,
    },
    Record {
        group: u64,
        records: Arc<Vec<Record<Payload>>>,
    },
    Maintenance,
}

/// What a claim brought.
#[derive(Debug)]
pub(super) struct ClaimResponse {
    asks: Vec<ClaimRequest>,
    asked: Uptime,
    won: Vec<Claim>,
    states: Vec<(MessageId, RowState)>,
    /// Of these, what is paused.
    paused: Vec<MessageId>,
}

/// A claim whose texts are counted, or could not be.
#[derive(Debug)]
pub(super) struct Charged {
    answers: Vec<Judged>,
    asked: Uptime,
    kept_back: Result<HashMap<AttemptToken, Settlement>, Vec<AttemptToken>>,
}

/// A claim that was judged, with those of it whose texts are not kept.
#[derive(Debug)]
pub(super) struct Keeping {
    answers: Vec<Judged>,
    unkept: Vec<Payload>,
    asked: Uptime,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// No effect, and an error.
    Refused,
    /// Effect, and an error.
    AnswerLost,
    /// An error, and then the effect.
    Zombie,
    /// Effect and answer in part.
    Half,
}

impl World {
    fn latency(&mut self) -> i64 {
        let slow = self.odds.slow;
        let slowest = if self.t < self.plan.calm_at {
            1_500 * MS
        } else {
            SLOW_IN_CALM
        };
        let dice = &mut self.chances.time;
        if dice.chance(slow) {
            dice.between(4 * MS, slowest)
        } else {
            dice.between(200, 4 * MS)
        }
    }

    fn fate(&mut self) -> Fate {
        if self.t < self.blackout_until {
            return Fate::Refused;
        }
        let odds = self.odds;
        let dice = &mut self.chances.fate;
        // One roll each, whatever the one before said: so the stream stays in step.
        let rolls = [
            (dice.chance(odds.refused), Fate::Refused),
            (dice.chance(odds.answer_lost), Fate::AnswerLost),
            (dice.chance(odds.zombie), Fate::Zombie),
            (dice.chance(odds.half), Fate::Half),
        ];
        let struck = rolls.into_iter().find(|(struck, _)| *struck);
        struck.map_or(Fate::Fine, |(_, fate)| fate)
    }

    /// Asks.
    pub(super) fn issue(&mut self, whose: Whose, call: Call) {
        let there = self.latency();
        let fate = self.fate();
        match fate {
            Fate::Refused => {
                let back = self.latency();
                self.fail(whose, &call, self.t + there + back, true);
            }
            Fate::Zombie => {
                self.fail(whose, &call, self.t + there, false);
                let later = self.chances.time.between(0, 12 * SECOND);
                let at = self.until(there + later);
                self.at(at, Event::Effect { whose, call, fate });
            }
            _ => self.at(self.t + there, Event::Effect { whose, call, fate }),
        }
    }

    fn give_process(&mut self, whose: Whose, at: i64, input: Input) {
        self.process_at(at, whose, Process::Input(input));
    }

    /// Reports an error. `unchanged`: and nothing has happened, which a claim may know.
    fn fail(&mut self, whose: Whose, call: &Call, at: i64, unchanged: bool) {
        let known = unchanged && self.chances.fate.chance(500);
        let input = match call {
            Call::Claim { asks, .. } if known => Input::ClaimRefused(asks.clone()),
            Call::Claim { asks, .. } => Input::ClaimLost(asks.clone()),
            Call::LostRead { answer, .. } => Input::ClaimLost(answer.asks.clone()),
            Call::ClaimPaced { .. } => Input::PacesClaimed {
                answers: Vec::new(),
                took: None,
            },
            Call::Read(_) => Input::Rows { rows: None },
            Call::Pauses => Input::Pauses {
                pauses: None,
                way: Duration::ZERO,
            },
            Call::Load { .. } => Input::LoadEnded {
                complete: false,
                reached: None,
            },
            Call::Record { group, .. } => Input::Recorded {
                group: *group,
                done: Vec::new(),
                failed: true,
            },
            // What could not be kept is reported by `keep`.
            Call::Charge { .. } | Call::Keep(_) | Call::Maintenance => return,
        };
        let name = input_name(&input);
        self.note(|| format!("daemon {} is to hear: {name}", whose.slot));
        self.give_process(whose, at, input);
    }

    /// At the database.
    pub(super) fn effect(&mut self, whose: Whose, call: Call, fate: Fate) {
        let alive = self.instance(whose).map(|i| i.id);
        // What a daemon asked for before it died may still be done.
        let dead = InstanceId(uuid::Uuid::from_u128(
            0xD << 120 | (whose.slot as u128) << 32 | u128::from(whose.run),
        ));
        if alive.is_none() && self.chances.crash.chance(500) {
            return;
        }
        let id = alive.unwrap_or(dead);
        let back = self.t + self.latency();
        match call {
            Call::Claim { asks, asked } => self.claim(whose, id, asks, asked, fate),
            Call::ClaimPaced { asks, until, asked } => {
                self.claim_from_paces(whose, id, (&asks, until, asked), fate);
            }
            Call::LostRead { mut answer, lost } => {
                let now = self.db_now();
                answer.states = self.db.read(&lost, now);
                let rows = lost.iter().filter_map(|id| self.db.rows.get(id));
                let paused = rows.filter(|row| self.db.stopped_until(row, now).is_some());
                answer.paused = paused.map(|row| row.id).collect();
                self.process_at(back, whose, Process::Claimed(answer));
            }
            Call::Charge { owed, reply } => {
                let settled = self.count(&owed, reply.is_some());
                if let Some((answers, asked)) = reply.map(|reply| *reply) {
                    let charged = Charged {
                        answers,
                        asked,
                        kept_back: Ok(settled),
                    };
                    self.process_at(back, whose, Process::Charged(charged));
                }
            }
            Call::Keep(mut keeping) => {
                let db = &mut self.db;
                keeping
                    .unkept
                    .retain(|one| !db.keep_texts(one.id(), one.token(), one.texts()));
                if fate == Fate::Fine {
                    self.process_at(back, whose, Process::Kept(keeping));
                }
            }
            Call::Read(ids) => {
                let rows = self.db.read(&ids, self.db_now());
                let empty = self.mutant == Some(Mutant::EmptyReads);
                match fate {
                    Fate::Zombie => {}
                    Fate::Fine if empty => {
                        let rows = Some(Vec::new());
                        self.give_process(whose, back, Input::Rows { rows });
                    }
                    Fate::Fine => {
                        self.give_process(whose, back, Input::Rows { rows: Some(rows) });
                    }
                    _ => self.fail(whose, &Call::Read(ids), back, false),
                }
            }
            Call::Pauses => match fate {
                Fate::Zombie => {}
                Fate::Fine => {
                    let now = self.db_now();
                    let empty = self.mutant == Some(Mutant::EmptyPauses);
                    let all = self
                        .db
                        .pauses
                        .iter()
                        .filter(|(_, until)| **until > now && !empty);
                    let pause = |(key, until): (&PauseKey, &Moment)| Pause {
                        key: key.clone(),
                        until: *until,
                    };
                    let pauses = Some(all.map(pause).collect());
                    let way = Duration::from_micros((back - self.t).unsigned_abs() * 2);
                    self.give_process(whose, back, Input::Pauses { pauses, way });
                }
                _ => self.fail(whose, &Call::Pauses, back, false),
            },
            Call::Load { from, until, most } => self.load(whose, (from, until), most, fate),
            Call::Record { group, records } => self.record(whose, group, &records, fate, back),
            Call::Maintenance => self.maintenance(whose, id, fate, back),
        }
    }

    fn claim(
        &mut self,
        whose: Whose,
        id: InstanceId,
        asks: Vec<ClaimRequest>,
        asked: Uptime,
        fate: Fate,
    ) {
        let lease = self.plan.settings.lease;
        let quarantined = asks.iter().map(|ask| ask.id);
        let quarantined: Vec<_> = quarantined
            .filter(|id| self.db.is_quarantined(*id))
            .collect();
        self.still_forecast(&asks);
        let mut won = self.db.claim(&asks, id, lease, self.db_now());
        for claim in &mut won {
            self.gets_sender(claim);
        }
        if let Some(claim) = won.iter().find(|claim| quarantined.contains(&claim.id)) {
            let what = format!("row {} is claimed", claim.id.0.as_u128());
            self.break_down(Invariant::Quarantined, what);
        }
        for claim in &won {
            self.leases.insert(claim.token, self.true_now() + lease);
            let (row, n) = (claim.id.0.as_u128(), claim.number);
            self.lanes.insert(claim.token, claim.lane.clone());
            self.note(|| {
                let lane = &claim.lane;
                format!(
                    "daemon {} claims row {row}, attempt {n}, by {lane}",
                    whose.slot
                )
            });
        }
        let lost: Vec<_> = asks
            .iter()
            .map(|ask| ask.id)
            .filter(|id| !won.iter().any(|claim| claim.id == *id))
            .collect();
        let answer = ClaimResponse {
            asks,
            asked,
            won,
            states: Vec::new(),
            paused: Vec::new(),
        };
        let back = self.t + self.latency();
        match fate {
            Fate::Zombie => {}
            Fate::AnswerLost | Fate::Half | Fate::Refused => {
                let call = Call::LostRead { answer, lost };
                self.fail(whose, &call, back, false);
            }
            Fate::Fine if lost.is_empty() => {
                self.process_at(back, whose, Process::Claimed(answer));
            }
            Fate::Fine => {
                let call = Call::LostRead { answer, lost };
                self.at(back, Event::Effect { whose, call, fate });
            }
        }
    }

    fn claim_from_paces(
        &mut self,
        whose: Whose,
        id: InstanceId,
        (asks, until, asked): (&[PaceRequest], Moment, Uptime),
        fate: Fate,
    ) {
        let lease = self.plan.settings.lease;
        let now = self.db_now();
        let mut answers = self.db.claim_paced(asks, (id, lease), until, now);
        for (_, answer) in &mut answers {
            if let PacedResponse::Won(paced) = answer {
                let claim = &mut paced.claim;
                self.gets_sender(claim);
                self.leases.insert(claim.token, self.true_now() + lease);
                let (row, n) = (claim.id.0.as_u128(), claim.number);
                self.lanes.insert(claim.token, claim.lane.clone());
                let slot = claim.due;
                self.note(|| {
                    format!(
                        "daemon {} claims row {row}, attempt {n}, from its pace for {slot}",
                        whose.slot
                    )
                });
            }
        }
        let back = self.t + self.latency();
        match fate {
            Fate::Zombie => {}
            Fate::Fine => {
                self.process_at(back, whose, Process::PacesClaimed { answers, asked });
            }
            Fate::AnswerLost | Fate::Half | Fate::Refused => {
                let answers = Vec::new();
                let took = None;
                self.give_process(whose, back, Input::PacesClaimed { answers, took });
            }
        }
    }

    /// What `Dispatch::claim_paced` does with the answer. The texts of messages of several parts are kept at once: that
    /// this may fail is seen at claims by ids.
    pub(super) fn paces_claimed(
        &mut self,
        whose: Whose,
        answers: Vec<(PaceId, PacedResponse<Claim>)>,
        asked: Uptime,
    ) {
        self.measures(whose);
        let now = self.steady_now_of(whose.slot);
        let capabilities = self.capabilities.clone();
        let mut won = answers.iter();
        let won = won.any(|(_, answer)| matches!(answer, PacedResponse::Won(_)));
        let took = won.then(|| now.up.since(asked));
        let mut judged = Vec::with_capacity(answers.len());
        for (pace, answer) in answers {
            let answer = match answer {
                PacedResponse::Wait(due) => PacedResponse::Wait(due),
                PacedResponse::OptedOut(id) => PacedResponse::OptedOut(id),
                PacedResponse::Idle => PacedResponse::Idle,
                PacedResponse::Won(paced) => {
                    let claims = [paced.claim.clone()];
                    let mut verdicts = judge_all(&claims, &self.rules, &capabilities, now.db);
                    let verdict = verdicts.pop().expect("one claim has one verdict");
                    let claim = JudgedClaim::of(&claims[0], &self.rules, verdict);
                    let mut claim = self.charged_at_once(paced.id, claim, now.db);
                    if let Ok(cleared) = &claim.verdict
                        && !cleared.texts().is_empty()
                        && !self.db.keep_texts(paced.id, claim.token, cleared.texts())
                    {
                        claim.without_texts();
                    }
                    PacedResponse::Won(Box::new(paced.with(claim)))
                }
            };
            judged.push((pace, answer));
        }
        let answers = judged;
        self.feed(whose, Input::PacesClaimed { answers, took });
    }

    fn charged_at_once(
        &mut self,
        id: MessageId,
        claim: JudgedClaim<Payload>,
        now: Moment,
    ) -> JudgedClaim<Payload> {
        let mut all = [(id, Answered::Won(claim.clone()))];
        let owed = self.owed(&all, now);
        let settled = self.count(&owed, true);
        Self::keep_back(&mut all, &Ok(settled), now);
        match all {
            [(_, Answered::Won(judged))] => judged,
            _ => claim,
        }
    }

    /// What `Dispatch::claim` does with the answer.
    pub(super) fn claimed(&mut self, whose: Whose, answer: ClaimResponse) {
        self.measures(whose);
        let now = self.steady_now_of(whose.slot);
        let ClaimResponse {
            asks,
            asked,
            won,
            states,
            paused,
        } = answer;
        let verdicts = judge_all(&won, &self.rules, &self.capabilities, now.db);
        for (claim, verdict) in won.iter().zip(&verdicts) {
            self.was_forecast(claim, verdict, now.db);
        }
        let judged: Vec<_> = won.iter().zip(verdicts).collect();
        let answers = asks
            .iter()
            .map(|ask| {
                let found = judged.iter().find(|(claim, _)| claim.id == ask.id);
                let answer = found.map_or_else(
                    || {
                        let state = states.iter().find(|(id, _)| *id == ask.id);
                        let gone = RowState::Gone { status: None };
                        let state = state.map_or(gone, |(_, state)| state.clone());
                        let is_pending = matches!(state, RowState::Pending { .. });
                        let has_pace = matches!(state, RowState::Pending { pace: Some(_), .. });
                        if is_pending && paused.contains(&ask.id) {
                            Answered::Paused(state)
                        } else if has_pace {
                            Answered::Paced(state)
                        } else {
                            Answered::Lost(state)
                        }
                    },
                    |(claim, verdict)| {
                        Answered::Won(JudgedClaim::of(claim, &self.rules, verdict.clone()))
                    },
                );
                (ask.id, answer)
            })
            .collect();
        self.charge(whose, answers, asked);
    }

    /// What `Dispatch::charge_costs` does.
    fn charge(&mut self, whose: Whose, answers: Vec<Judged>, asked: Uptime) {
        let owed = self.owed(&answers, self.steady_now_of(whose.slot).db);
        if owed.is_empty() {
            self.keep(whose, answers, asked);
            return;
        }
        let (there, fate) = (self.latency(), self.fate());
        if fate == Fate::Fine {
            let reply = Some(Box::new((answers, asked)));
            let call = Call::Charge { owed, reply };
            self.at(self.t + there, Event::Effect { whose, call, fate });
            return;
        }
        // With or without an effect; the daemon hears of an error.
        let all = owed.iter().flat_map(|owed| &owed.charges);
        let charged = Charged {
            answers,
            asked,
            kept_back: Err(all.map(|own| own.token).collect()),
        };
        let back = self.t + there + self.latency();
        self.process_at(back, whose, Process::Charged(charged));
        let at = match fate {
            Fate::Zombie => {
                let later = self.chances.time.between(0, 12 * SECOND);
                self.until(there + later)
            }
            _ => self.t + there,
        };
        if fate != Fate::Refused {
            let call = Call::Charge { owed, reply: None };
            self.at(at, Event::Effect { whose, call, fate });
        }
    }

    pub(super) fn charged(&mut self, whose: Whose, charged: Charged) {
        let Charged {
            mut answers,
            asked,
            kept_back,
        } = charged;
        let now = self.steady_now_of(whose.slot).db;
        Self::keep_back(&mut answers, &kept_back, now);
        self.keep(whose, answers, asked);
    }

    /// What `Dispatch::keep_texts` does: what it cannot keep is not sent.
    fn keep(&mut self, whose: Whose, answers: Vec<Judged>, asked: Uptime) {
        let cleared = answers.iter().filter_map(|(_, answer)| match answer {
            Answered::Won(judged) => judged.verdict.as_ref().ok(),
            _ => None,
        });
        let unkept: Vec<_> = cleared.filter(|c| !c.texts().is_empty()).cloned().collect();
        let keeping = Keeping {
            answers,
            unkept,
            asked,
        };
        if keeping.unkept.is_empty() {
            self.kept(whose, keeping);
            return;
        }
        let there = self.latency();
        let fate = match self.fate() {
            Fate::Fine => Fate::Fine,
            failed => {
                // With or without an effect; the daemon hears of an error.
                let back = self.latency();
                let copy = Keeping {
                    answers: keeping.answers.clone(),
                    unkept: keeping.unkept.clone(),
                    asked,
                };
                self.process_at(self.t + there + back, whose, Process::Kept(copy));
                if failed == Fate::Refused {
                    return;
                }
                failed
            }
        };
        let call = Call::Keep(keeping);
        self.at(self.t + there, Event::Effect { whose, call, fate });
    }

    pub(super) fn kept(&mut self, whose: Whose, keeping: Keeping) {
        let Keeping {
            mut answers,
            unkept,
            asked,
        } = keeping;
        for (_, answer) in &mut answers {
            if let Answered::Won(judged) = answer
                && unkept.iter().any(|one| one.token() == judged.token)
            {
                judged.without_texts();
            }
        }
        let took = self.steady_now_of(whose.slot).up.since(asked);
        self.feed(whose, Input::Claimed { answers, took });
    }

    fn load(
        &mut self,
        whose: Whose,
        (from, until): (Option<Moment>, Moment),
        most: usize,
        fate: Fate,
    ) {
        let late = self.plan.max_lateness;
        let mut rows = self.db.load(until, late, self.db_now());
        let planned = |row: &Upcoming| self.db.rows[&row.id].due();
        rows.retain(|row| from.is_none_or(|from| planned(row) >= from));
        let reached = rows.get(most).map(planned);
        rows.truncate(most);
        if fate == Fate::Zombie {
            return;
        }
        if self.mutant == Some(Mutant::EmptySweeps) {
            rows.clear();
        }
        let complete = fate == Fate::Fine;
        if !complete {
            rows.truncate(rows.len() / 2);
        }
        let mut at = self.t;
        for part in rows.chunks(3) {
            at += self.latency();
            self.give_process(whose, at, Input::Loaded(part.to_vec()));
        }
        at += self.latency();
        if complete {
            let paces = self.db.paces_load(None, until, self.db_now());
            self.give_process(whose, at, Input::PacesLoaded(paces));
        }
        self.give_process(whose, at, Input::LoadEnded { complete, reached });
    }

    fn record(
        &mut self,
        whose: Whose,
        group: u64,
        records: &[Record<Payload>],
        fate: Fate,
        back: i64,
    ) {
        let now = self.db_now();
        let part = match fate {
            Fate::Half => &records[records.len() / 2..],
            _ => records,
        };
        // One that has died since has entered all of its claims.
        let by = self
            .instance(whose)
            .map_or(InstanceId(Uuid::nil()), |i| i.id);
        if let Some((invariant, what)) = part.iter().find_map(|record| self.slows_others(record)) {
            self.break_down(invariant, what);
        }
        let done = self.db.record(by, part, now);
        for (token, state) in &done {
            self.book.changed(*token);
            self.watch_record(*token);
            let of = part
                .iter()
                .find(|r| r.token == *token)
                .map_or(0, |r| r.id.0.as_u128());
            self.note(|| format!("daemon {} records row {of}: {state:?}", whose.slot));
        }
        let done = match fate {
            Fate::Zombie => return,
            Fate::AnswerLost => Vec::new(),
            _ => done,
        };
        let failed = fate == Fate::AnswerLost;
        let input = Input::Recorded {
            group,
            done,
            failed,
        };
        self.give_process(whose, back, input);
    }

    /// What a provider that knows an id again may have taken.
    fn send_again(&mut self) {
        if self.plan.accounts.is_empty() {
            return;
        }
        let again = self.db.send_again(Channel::Webhook, self.db_now());
        if !again.is_empty() && self.t >= self.mute_until {
            self.notify(&again);
        }
    }

    fn maintenance(&mut self, whose: Whose, id: InstanceId, fate: Fate, back: i64) {
        let now = self.db_now();
        let late: Duration = self.plan.max_lateness;
        self.db.beat(id, now);
        if fate == Fate::Half {
            return;
        }
        if self.instance(whose).is_some() {
            self.measures(whose);
        }
        // What the database judges by its clock waits until that is known.
        let is_known = self.jump_us == 0 || self.mutant == Some(Mutant::FollowedJump);
        let chores = self.plan.settings.limits.daemon.chores;
        let most = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut expired, mut reaped, mut corrected) = (0, 0, 0);
        if is_known {
            expired = self.db.expire(late, most(chores.expired), now);
            if self.mutant != Some(Mutant::TimesAhead) {
                let all = self.db.correct_times_ahead(most(chores.times_ahead), now);
                corrected = all.into_iter().max().unwrap_or(0);
            }
            reaped = self.db.reap(id, SILENCE, most(chores.reaped), now);
        }
        // A step that may have left something is followed by another.
        let is_full = expired >= most(chores.expired)
            || reaped >= most(chores.reaped)
            || corrected >= most(chores.times_ahead);
        if is_full && fate == Fate::Fine && self.instance(whose).is_some() {
            self.issue(whose, Call::Maintenance);
        }
        if expired + reaped > 0 {
            self.note(|| format!("daemon {} expires {expired}, reaps {reaped}", whose.slot));
        }
        if fate == Fate::Fine {
            let members = Ranking::new(id, self.db.members(SILENCE, now));
            self.give_process(whose, back, Input::Members(members));
        }
        if !is_known {
            return;
        }
        self.book.settle(&self.db, self.mutant);
        self.send_again();
        self.plan_reminders();
        let orphaned_claims = self.db.orphaned_claims(id, now);
        let is_reported = fate == Fate::Fine && self.mutant != Some(Mutant::NoOrphanedClaims);
        if is_reported && !orphaned_claims.is_empty() {
            self.give_process(whose, back, Input::OrphanedClaims(orphaned_claims));
        }
    }
}

const fn input_name(input: &Input) -> &'static str {
    match input {
        Input::ClaimRefused(_) => "the claim was refused",
        Input::ClaimLost(_) => "the answer to the claim was lost",
        Input::PacesClaimed { .. } => "the claim from paces failed",
        Input::Rows { .. } => "the read failed",
        Input::Pauses { .. } => "the read of the pauses failed",
        Input::LoadEnded { .. } => "the sweep failed",
        Input::Recorded { .. } => "nothing was recorded",
        _ => "something",
    }
}
