//! A table and a provider around one reactor. Everything but the provider responds at once.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::paces::Paces;
use super::pauses::{Pauses, pausable};
pub(in crate::reactor) use super::row::Row;
use crate::message::{
    AttemptToken, ClaimResponse, LaneKey, MessageId, Moment, Now, Outcome, Routes, RowState,
    Status, Uptime,
};
use crate::policy::{Reason, ReasonKind};
use crate::reactor::{ClaimRequest, Command, Input, JudgedClaim, Reactor, Settings, Upcoming};
use crate::schedule::LEAD_MAX;
use crate::settle::{AttemptBudget, Record, SendResult, Settlement};

/// Turns of the loop in one stretch of time; more is a loop that does not get on.
const TURNS_MAX: usize = 10_000;
const HOUR: Duration = Duration::from_secs(3600);

pub(in crate::reactor) fn id(n: u128) -> MessageId {
    MessageId(Uuid::from_u128(n))
}

/// What the database does with claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reactor) enum Claims {
    Answered,
    /// They are committed, but their responses wait until the test releases them.
    Slow,
    Refused,
    /// They are committed, and their responses are lost.
    Lost,
}

pub(in crate::reactor) struct World {
    pub(in crate::reactor) reactor: Reactor<MessageId>,
    pub(in crate::reactor) now: Now,
    pub(in crate::reactor) rows: BTreeMap<MessageId, Row>,
    pub(in crate::reactor) in_flight: Vec<MessageId>,
    /// Requests ever made.
    pub(in crate::reactor) starts: usize,
    pub(in crate::reactor) claims: Claims,
    /// No record is written, and the failures wait until the test releases them.
    pub(in crate::reactor) takes_no_records: bool,
    unanswered: Vec<Input<MessageId>>,
    pub(in crate::reactor) records_tried: usize,
    pub(in crate::reactor) claims_tried: usize,
    pub(in crate::reactor) claims_made: usize,
    /// Messages in these claims.
    pub(in crate::reactor) asked: usize,
    pub(super) reads: usize,
    /// Rows that each sweep found.
    pub(super) loaded: Vec<usize>,
    /// How long a claim is said to take; its response comes at once.
    pub(in crate::reactor) takes: Duration,
    pub(super) pauses: Pauses,
    pub(super) paces: Paces,
    /// When connections were opened, how many.
    pub(super) prewarms: Vec<(Moment, usize)>,
    /// The accounts of messages that name none.
    pub(super) routes: Arc<Routes>,
    /// Of each message the accounts by which it was requested.
    pub(super) requested: BTreeMap<MessageId, Vec<String>>,
}

impl World {
    pub(in crate::reactor) fn new(settings: Settings, rows: impl IntoIterator<Item = Row>) -> Self {
        let now = Now {
            db: Moment::from_micros(0),
            up: Uptime::from_micros(77_000_000),
        };
        let mut world = Self {
            reactor: Reactor::new(settings, now, AttemptToken::fresh),
            now,
            rows: rows.into_iter().map(|row| (row.id, row)).collect(),
            in_flight: Vec::new(),
            starts: 0,
            claims: Claims::Answered,
            takes_no_records: false,
            unanswered: Vec::new(),
            records_tried: 0,
            claims_tried: 0,
            claims_made: 0,
            asked: 0,
            reads: 0,
            loaded: Vec::new(),
            takes: Duration::from_millis(1),
            pauses: Pauses::default(),
            paces: Paces::default(),
            prewarms: Vec::new(),
            routes: Arc::default(),
            requested: BTreeMap::new(),
        };
        world.handle(Input::ChannelUp { unnotified: false });
        world
    }

    pub(in crate::reactor) fn insert(&mut self, row: Row) {
        let id = row.id;
        self.rows.insert(id, row);
        self.handle(Input::Notification(vec![id]));
    }

    pub(in crate::reactor) fn count(&self, status: Status) -> usize {
        self.rows.values().filter(|r| r.status == status).count()
    }

    pub(in crate::reactor) fn run_until(&mut self, until: Moment) {
        for _ in 0..TURNS_MAX {
            let wakes = self.reactor.next_wakeup(self.now);
            let wakes = wakes.filter(|at| *at <= until);
            let Some(at) = wakes else {
                return self.pass_to(until);
            };
            self.pass_to(at);
        }
        panic!("it turns and turns at {:?}", self.now);
    }

    /// Passes to a moment, in one turn of the loop.
    pub(super) fn pass_to(&mut self, at: Moment) {
        let passed = at.since(self.now.db);
        self.now = Now {
            db: self.now.db + passed,
            up: self.now.up + passed,
        };
        self.handle(Input::Tick);
    }

    /// The provider responds to one request.
    pub(in crate::reactor) fn answer(&mut self, id: MessageId, outcome: Outcome) {
        self.answer_since(id, outcome, self.now.db);
    }

    /// The provider responds to a request that began then.
    pub(in crate::reactor) fn answer_since(
        &mut self,
        id: MessageId,
        outcome: Outcome,
        began: Moment,
    ) {
        let at = self.in_flight.iter().position(|own| *own == id);
        self.in_flight.remove(at.expect("it is on its way"));
        let answer = SendResult {
            outcome,
            started: Some(began),
            finished: self.now.db,
        };
        self.handle(Input::Sent { id, answer });
    }

    /// And every other until then.
    pub(in crate::reactor) fn answer_all(&mut self, outcome: &Outcome, until: Moment) {
        while self.now.db < until {
            while let Some(id) = self.in_flight.first().copied() {
                self.answer(id, outcome.clone());
            }
            self.run_until(self.now.db + Duration::from_millis(500));
        }
    }

    pub(in crate::reactor) fn answer_claims(&mut self) {
        for answer in std::mem::take(&mut self.unanswered) {
            self.handle(answer);
        }
    }

    pub(in crate::reactor) fn handle(&mut self, input: Input<MessageId>) {
        self.reactor.handle(input, self.now);
        while let Some(command) = self.reactor.next_command() {
            for input in self.perform(command) {
                self.reactor.handle(input, self.now);
            }
        }
    }

    fn load(&mut self, until: Moment, most: usize) -> Vec<Input<MessageId>> {
        let due = |r: &&Row| {
            r.status == Status::Pending
                && !self.paces.has(r.id)
                && self.pauses.due(r.id, r.due, &r.lane, self.now.db) <= until
        };
        let rows = self.rows.values().filter(due).map(|row| Upcoming {
            id: row.id,
            due: self.pauses.due(row.id, row.due, &row.lane, self.now.db),
            version: 0,
            attempts: row.attempts,
            priority: row.priority,
            lane: row.lane.clone(),
            written: row.written,
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|row| self.rows[&row.id].due);
        let reached = rows.get(most).map(|row| self.rows[&row.id].due);
        rows.truncate(most);
        self.loaded.push(rows.len());
        let parts = rows.chunks(10).map(|part| Input::Loaded(part.to_vec()));
        let mut inputs: Vec<_> = parts.collect();
        let paces = Input::PacesLoaded(self.paces.load(&self.rows, until));
        let complete = true;
        inputs.extend([paces, Input::LoadEnded { complete, reached }]);
        inputs
    }

    pub(super) fn perform(&mut self, command: Command<MessageId>) -> Vec<Input<MessageId>> {
        match command {
            Command::Read(ids) => {
                self.reads += 1;
                let gone = RowState::Gone { status: None };
                let state = |row: &Row| {
                    let state = self.pauses.state(row.id, row.state(), self.now.db);
                    self.paces.state(row.id, state)
                };
                let state = |id| self.rows.get(&id).map_or_else(|| gone.clone(), state);
                let rows = ids.into_iter().map(|id| (id, state(id))).collect();
                vec![Input::Rows { rows: Some(rows) }]
            }
            Command::Load { until, most, .. } => self.load(until, most),
            Command::Claim(asks) if self.claims == Claims::Refused => {
                self.claims_tried += 1;
                vec![Input::ClaimRefused(asks)]
            }
            Command::Claim(asks) if self.claims == Claims::Lost => {
                self.claims_tried += 1;
                for ask in &asks {
                    self.claim(*ask);
                }
                vec![Input::ClaimLost(asks)]
            }
            Command::ReadPauses => self.pauses.respond(self.now.db),
            Command::Claim(asks) => {
                self.claims_made += 1;
                self.asked += asks.len();
                let answers = asks.into_iter().map(|ask| (ask.id, self.claim(ask)));
                let input = Input::Claimed {
                    answers: answers.collect(),
                    took: self.takes,
                };
                if self.claims != Claims::Slow {
                    return vec![input];
                }
                self.unanswered.push(input);
                Vec::new()
            }
            Command::Start { id, .. } => {
                assert!(self.rows[&id].due <= self.now.db, "early: {id:?}");
                self.starts += 1;
                self.rows.get_mut(&id).expect("it was claimed").has_begun = true;
                self.in_flight.push(id);
                let account = self.rows[&id].chosen.account().to_owned();
                self.requested.entry(id).or_default().push(account);
                Vec::new()
            }
            Command::Prewarm { connections, .. } => {
                self.prewarms.push((self.now.db, connections));
                Vec::new()
            }
            Command::ClaimPaced { asks, until } => {
                let (rows, now) = (&mut self.rows, self.now.db);
                self.paces
                    .claim(rows, &asks, until, now)
                    .into_iter()
                    .collect()
            }
            Command::Record { group, records } => {
                if self.takes_no_records {
                    let done = Vec::new();
                    self.records_tried += 1;
                    self.unanswered.push(Input::Recorded {
                        group,
                        done,
                        failed: true,
                    });
                    return Vec::new();
                }
                let done = records.iter().map(|r| (r.token, self.record(r))).collect();
                vec![Input::Recorded {
                    group,
                    done,
                    failed: false,
                }]
            }
        }
    }

    pub(super) fn claim(&mut self, ask: ClaimRequest) -> ClaimResponse<JudgedClaim<MessageId>> {
        let latest = self.now.db + LEAD_MAX;
        let row = self
            .rows
            .get_mut(&ask.id)
            .expect("rows are never deleted here");
        if row.locked || row.status != Status::Pending || row.due > latest {
            return ClaimResponse::Lost(row.state());
        }
        let due = self.pauses.due(row.id, row.due, &row.lane, self.now.db);
        if due > latest {
            return ClaimResponse::Paused(self.pauses.state(row.id, row.state(), self.now.db));
        }
        let route = row.lane.route().map(|_| row.lane.clone());
        let via = ask.via.and_then(|via| self.routes.numbered(via));
        let via = via.unwrap_or(LaneKey::DEFAULT_ACCOUNT);
        row.chosen = match &route {
            Some(route) => route.clone().with_account(via),
            None => row.lane.clone(),
        };
        row.status = Status::Sending;
        row.attempts += 1;
        ClaimResponse::Won(JudgedClaim {
            token: ask.token,
            due,
            wanted_at: row
                .wanted_at
                .max(if row.has_begun { Moment::MIN } else { due }),
            is_retry: row.has_begun,
            parties: row.parties(),
            pausable: pausable(row.id, row.lane.channel()),
            lane: row.chosen.clone(),
            route,
            tries: AttemptBudget {
                number: row.attempts,
                before: row.attempts - 1,
                max: row.max_attempts,
                expires: Moment::MAX,
            },
            part: row.part,
            closes: row.closes,
            verdict: if row.closes > self.now.db {
                Ok(ask.id)
            } else {
                let reason = Reason::new(ReasonKind::LawfulHours, "it is closed");
                let opens = row.closes + HOUR;
                row.closes = Moment::MAX;
                Err(Settlement::deferred(opens, reason))
            },
        })
    }

    fn record(&mut self, record: &Record<MessageId>) -> Option<RowState> {
        let row = self.rows.get_mut(&record.id)?;
        row.settle(&record.settlement, self.now.db);
        if record.started.is_none() {
            self.paces.returned(record.token);
        }
        Some(row.state())
    }
}
