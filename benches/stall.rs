//! How long one turn of the loop takes at the worst beside a herd, and what a mass cancel costs:
//! the reactor by itself, with a table that answers at once and a clock of its own.
//!
//! `cargo bench --bench stall`. Nothing is asserted about milliseconds; `docs/performance.md`
//! says what was measured.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use punctual::limits::Limits;
use punctual::message::{
    AttemptToken, Channel, ClaimResponse, LaneKey, MessageId, Moment, Now, Outcome, Part, Parties,
    Pausable, Priority, ProviderSid, RowState, Uptime,
};
use punctual::reactor::{ClaimRequest, Command, Input, JudgedClaim, Reactor, Settings, Upcoming};
use punctual::schedule::LeadSetting;
use punctual::settle::{AttemptBudget, SendResult};
use uuid::Uuid;

const START: Moment = Moment::from_micros(1_767_258_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
/// Rows in one part of a load, as the store reads them.
const PART: usize = 1_000;
/// How long a read, a part of a load and a request take.
const READ: Duration = Duration::from_millis(5);
const REQUEST: Duration = Duration::from_millis(10);
/// The goal for one turn, whatever is armed.
const GOAL: Duration = Duration::from_millis(10);

fn id(n: u64) -> MessageId {
    // Scattered, as real ids are.
    let mixed = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    MessageId(Uuid::from_u128(mixed))
}

fn lane() -> LaneKey {
    LaneKey::of(Channel::Sms)
}

/// The table and the provider, both quick.
struct World {
    reactor: Reactor<MessageId>,
    now: Now,
    rows: BTreeMap<MessageId, (Moment, Priority)>,
    /// What comes back, and when.
    later: BTreeMap<(Moment, u64), Input<MessageId>>,
    asked: u64,
    worst: Duration,
    worst_at: Moment,
    over: u32,
    sweeps: u32,
    started: HashSet<MessageId>,
    latest_urgent: Duration,
}

impl World {
    fn new(rows: impl Iterator<Item = (MessageId, Moment, Priority)>) -> Self {
        let now = Now {
            db: START,
            up: Uptime::from_micros(1_000_000),
        };
        let settings = Settings {
            horizon: SECOND * 7_200,
            lead: LeadSetting::Auto,
            max_in_flight: 64,
            lease: SECOND * 60,
            send_timeout: SECOND * 10,
            limits: std::sync::Arc::new(Limits::default()),
        };
        let mut world = Self {
            reactor: Reactor::new(settings, now, AttemptToken::fresh),
            now,
            rows: rows
                .map(|(id, due, priority)| (id, (due, priority)))
                .collect(),
            later: BTreeMap::new(),
            asked: 0,
            worst: Duration::ZERO,
            worst_at: START,
            over: 0,
            sweeps: 0,
            started: HashSet::new(),
            latest_urgent: Duration::ZERO,
        };
        world.tell(Input::ChannelUp { unnotified: false });
        world
    }

    /// Counts the turns from here on.
    fn begin_count(&mut self) {
        (self.worst, self.over, self.sweeps) = (Duration::ZERO, 0, 0);
    }

    fn tell(&mut self, input: Input<MessageId>) {
        let mut waiting = vec![input];
        while let Some(input) = waiting.pop() {
            let began = Instant::now();
            self.reactor.handle(input, self.now);
            let took = began.elapsed();
            self.over += u32::from(took > GOAL);
            if took > self.worst {
                (self.worst, self.worst_at) = (took, self.now.db);
            }
            self.reactor.take_events();
            while let Some(command) = self.reactor.next_command() {
                for input in self.perform(command).into_iter().rev() {
                    waiting.insert(0, input);
                }
            }
        }
    }

    fn perform(&mut self, command: Command<MessageId>) -> Vec<Input<MessageId>> {
        match command {
            Command::ClaimPaced { .. } => unreachable!("no message has a pace"),
            Command::ReadPauses => {
                let pauses = Some(Vec::new());
                self.answer_in(READ, Input::Pauses { pauses, way: READ });
                Vec::new()
            }
            Command::Read(ids) => {
                let rows = ids.into_iter().map(|id| (id, self.state(id))).collect();
                self.answer_in(READ, Input::Rows { rows: Some(rows) });
                Vec::new()
            }
            Command::Load { from, until, most } => {
                self.sweeps += 1;
                let mut rows: Vec<_> = self
                    .rows
                    .iter()
                    .filter(|(_, (due, _))| *due <= until && from.is_none_or(|from| *due >= from))
                    .map(|(id, (due, priority))| Upcoming {
                        id: *id,
                        due: *due,
                        version: 0,
                        attempts: 0,
                        priority: *priority,
                        lane: lane(),
                        written: None,
                    })
                    .collect();
                rows.sort_unstable_by_key(|row| row.due);
                let reached = rows.get(most).map(|row| row.due);
                rows.truncate(most);
                let complete = true;
                // In this order, the last of it is the first to be handled.
                let mut parts = vec![Input::LoadEnded { reached, complete }];
                parts.extend(
                    rows.chunks(PART)
                        .rev()
                        .map(|part| Input::Loaded(part.to_vec())),
                );
                parts
            }
            Command::Claim(asks) => {
                let answers = asks
                    .into_iter()
                    .map(|ask| (ask.id, self.claim(ask)))
                    .collect();
                let took = Duration::from_millis(4);
                vec![Input::Claimed { answers, took }]
            }
            Command::Start { id, .. } => {
                if let Some((due, Priority::Urgent)) = self.rows.get(&id) {
                    self.latest_urgent = self.latest_urgent.max(self.now.db.since(*due));
                }
                self.started.insert(id);
                self.rows.remove(&id);
                let at = self.now.db + REQUEST;
                let answer = SendResult {
                    outcome: Outcome::Accepted {
                        sid: ProviderSid(String::new()),
                    },
                    started: Some(self.now.db),
                    finished: at,
                };
                self.answer_in(REQUEST, Input::Sent { id, answer });
                Vec::new()
            }
            Command::Prewarm { .. } => Vec::new(),
            Command::Record { group, records } => {
                let gone = RowState::Gone { status: None };
                let done = records
                    .iter()
                    .map(|r| (r.token, Some(gone.clone())))
                    .collect();
                vec![recorded(group, done)]
            }
        }
    }

    fn answer_in(&mut self, span: Duration, input: Input<MessageId>) {
        self.asked += 1;
        self.later.insert((self.now.db + span, self.asked), input);
    }

    fn state(&self, id: MessageId) -> RowState {
        self.rows
            .get(&id)
            .map_or(RowState::Gone { status: None }, |(due, priority)| {
                RowState::Pending {
                    due: *due,
                    version: 0,
                    attempts: 0,
                    priority: *priority,
                    lane: lane(),
                    written: None,
                    pace: None,
                }
            })
    }

    fn claim(&self, ask: ClaimRequest) -> ClaimResponse<JudgedClaim<MessageId>> {
        let Some((due, _)) = self.rows.get(&ask.id) else {
            return ClaimResponse::Lost(self.state(ask.id));
        };
        ClaimResponse::Won(JudgedClaim {
            token: ask.token,
            lane: lane(),
            route: None,
            due: *due,
            wanted_at: *due,
            is_retry: false,
            parties: Parties::NONE,
            pausable: Pausable::default(),
            tries: AttemptBudget {
                number: 1,
                before: 0,
                max: 3,
                expires: Moment::MAX,
            },
            part: Part::ONLY,
            closes: Moment::MAX,
            verdict: Ok(ask.id),
        })
    }

    /// Lets time pass; the clock of the machine is added to the world's, so that a turn that
    /// takes long makes what comes after it late.
    fn run_until(&mut self, until: Moment) {
        while self.now.db < until {
            let began = Instant::now();
            let wakes = self
                .reactor
                .next_wakeup(self.now)
                .unwrap_or(until)
                .min(until);
            let answered = self
                .later
                .first_key_value()
                .map_or(until, |((at, _), _)| *at);
            let next = wakes.min(answered).max(self.now.db);
            self.pass(next.since(self.now.db));
            while let Some(first) = self.later.first_entry()
                && first.key().0 <= self.now.db
            {
                let input = first.remove();
                self.tell(input);
            }
            self.tell(Input::Tick);
            self.pass(began.elapsed());
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now = Now {
            db: self.now.db + span,
            up: self.now.up + span,
        };
    }
}

fn recorded(group: u64, done: Vec<(AttemptToken, Option<RowState>)>) -> Input<MessageId> {
    Input::Recorded {
        group,
        done,
        failed: false,
    }
}

/// Where the herd stands among the others.
fn herd(shape: &str, size: u64) {
    let due = START + SECOND * 600;
    let at = |n: u64| match shape {
        // A tenth of them anywhere in the two minutes about it.
        "one instant, others about" if n.is_multiple_of(10) => {
            due - SECOND * 60 + Duration::from_micros(n * 7_919 % 120_000_000)
        }
        "one instant" | "one instant, others about" => due,
        // Each at a microsecond of its own.
        _ => due + Duration::from_micros(n * 7_919 % 60_000_000),
    };
    let urgent = (0..50_u64).map(|n| {
        (
            id(size + n),
            due - Duration::from_millis(60) + Duration::from_millis(5 * n),
            Priority::Urgent,
        )
    });
    let rows = (0..size).map(|n| (id(n), at(n), Priority::Normal));
    let mut world = World::new(rows.chain(urgent));
    world.run_until(START + SECOND * 30);
    println!(
        "{size:>9} {shape}: arming, the longest turn {:?}",
        world.worst
    );
    world.begin_count();
    world.run_until(due + SECOND * 2);
    let before = world.worst_at < due;
    println!(
        "{size:>9} {shape}: the longest turn {:?} ({:?} {} the herd is due), {} over {GOAL:?}; {} of 50 \
         urgent ones left, the latest {:?} late; {} left in all",
        world.worst,
        if before {
            due.since(world.worst_at)
        } else {
            world.worst_at.since(due)
        },
        if before { "before" } else { "after" },
        world.over,
        (0..50)
            .filter(|n| world.started.contains(&id(size + n)))
            .count(),
        world.latest_urgent,
        world.started.len(),
    );
}

/// So many of the armed are cancelled by one statement, which notifies each.
fn cancel(cancelled: u64, others: u64) {
    let due = START + SECOND * 3_600;
    let rows = (0..cancelled + others).map(|n| (id(n), due, Priority::Normal));
    let mut world = World::new(rows);
    world.run_until(START + SECOND * 20);
    world.begin_count();
    let ids: Vec<_> = (0..cancelled).map(id).collect();
    for id in &ids {
        world.rows.remove(id);
    }
    for part in ids.chunks(200) {
        world.tell(Input::Notification(part.to_vec()));
    }
    world.run_until(START + SECOND * 60);
    println!(
        "{cancelled} of {} cancelled: {} stay armed after 40 s, {} sweeps in them, the longest turn {:?}",
        cancelled + others,
        world.reactor.window().armed - others,
        world.sweeps,
        world.worst,
    );
}

fn main() {
    for shape in ["one instant", "one instant, others about", "a minute"] {
        for size in [100_000, 1_000_000] {
            herd(shape, size);
        }
    }
    cancel(25_000, 0);
    cancel(25_000, 300_000);
}
