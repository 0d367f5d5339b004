//! One world: a virtual clock, a database, a provider, users, and a few daemons. Everything
//! that happens is an event with its time; between events nothing moves.

mod database;
mod deeds;
mod forecast;
mod instance;
mod provider;

use std::cell::Cell;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use punctual::message::{
    AttemptToken, Channel, Claim, LaneKey, MessageId, Moment, PaceId, PacedResponse, PauseKey,
    ProviderCapabilities, Sender, Uptime,
};
use punctual::policy::{Cleared, Rules};
use punctual::reactor;
use uuid::Uuid;

use self::database::{Call, Fate};
use self::forecast::Forecasts;
use self::instance::Slot;
pub(crate) use self::provider::Request;
use crate::costs::{self, Book, CostPlan};
use crate::dice::Dice;
use crate::foreseen::Foresight;
use crate::model::{Database, SENDER, SENDER_NUMBER, Transaction};
use crate::mutant::Mutant;
use crate::odds::Odds;
use crate::plan::{Plan, SETTLING, micros, micros_of};
use crate::planner::Calendar;
use crate::rates::Rates;
use crate::slowed::Slowed;
use crate::watch::{Invariant, Violation};

/// The database's clock when the world begins.
pub(crate) const START: Moment = Moment::from_micros(1_767_258_000_000_000);

/// What a cleared message carries through the reactor: the same as in the daemon.
pub(crate) type Payload = Arc<Cleared>;
pub(crate) type Input = reactor::Input<Payload>;

thread_local! {
    static DRAWN: Cell<u128> = const { Cell::new(0) };
}

fn draw_token() -> AttemptToken {
    DRAWN.with(|drawn| {
        drawn.set(drawn.get() + 1);
        AttemptToken(Uuid::from_u128(0xA << 100 | drawn.get()))
    })
}

/// The id of the `n`-th message.
pub(crate) const fn message(n: usize) -> MessageId {
    MessageId(Uuid::from_u128(n as u128))
}

/// Which run of which daemon something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whose {
    slot: usize,
    run: u32,
}

#[derive(Debug)]
enum Event {
    Deed(usize),
    End {
        tx: Box<Transaction>,
        commits: bool,
    },
    Resume {
        key: PauseKey,
    },
    Calm,
    Start {
        slot: usize,
    },
    /// The database's clock is set right.
    ClockSet,
    /// A message is cleared from quarantine.
    Clear {
        row: usize,
    },
    QuarantineEnds {
        before: Moment,
    },
    /// At the database.
    Effect {
        whose: Whose,
        call: Call,
        fate: Fate,
    },
    /// In the process; they wait while it is suspended.
    Process {
        whose: Whose,
        what: Process,
    },
}

#[derive(Debug)]
enum Process {
    Wake {
        generation: u64,
    },
    Input(Input),
    Claimed(database::ClaimResponse),
    Charged(database::Charged),
    Kept(database::Keeping),
    PacesClaimed {
        answers: Vec<(PaceId, PacedResponse<Claim>)>,
        asked: Uptime,
    },
    Leave(provider::Departure),
    Answered(provider::Reply),
    Maintenance,
    ReadsQuarantine,
    ClockFound {
        step: u64,
    },
    EarLost {
        ear: u64,
    },
    Reconnected {
        ear: u64,
    },
    Proven {
        ear: u64,
    },
}

struct Queued {
    at: i64,
    order: (u32, u64),
    event: Event,
}

/// The earliest first; of one instant in random order, or in the order they were made.
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Queued {}

/// One stream for each kind of fault.
struct Chances {
    order: Dice,
    time: Dice,
    fate: Dice,
    notice: Dice,
    provider: Dice,
    crash: Dice,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) odds: Odds,
    /// Microseconds since the world began.
    pub(crate) t: i64,
    pub(crate) db: Database,
    pub(crate) requests: Vec<Request>,
    /// When what is paused was, the last time.
    pub(crate) paused_at: HashMap<PauseKey, i64>,
    /// When the latest request of each campaign began.
    pub(crate) campaigns: HashMap<PaceId, i64>,
    /// When a campaign had its pace set, changed or removed last.
    pub(crate) repaced: HashMap<Uuid, Moment>,
    /// When paces were set that were not there from the start.
    pub(crate) paced_since: HashMap<PaceId, Moment>,
    /// When the request of each text began, and how long after its slot.
    pub(crate) texts: Vec<(i64, i64)>,
    /// The rates of their sender.
    pub(crate) rates: Rates,
    pub(crate) foresight: Foresight,
    /// What texts cost.
    pub(crate) book: Book,
    /// Of each claim, the lane of its row.
    pub(crate) lanes: HashMap<AttemptToken, LaneKey>,
    /// The senders and recipients that the provider slows.
    pub(crate) slowed: Slowed,
    /// Of each claim, when its lease ends by a clock that did not jump.
    pub(crate) leases: HashMap<AttemptToken, Moment>,
    pub(crate) mutant: Option<Mutant>,
    /// What reminders are planned from, in worlds that have it.
    pub(crate) calendar: Option<Calendar>,
    forecasts: Forecasts,
    pub(crate) rules: Rules,
    capabilities: ProviderCapabilities,
    slots: Vec<Slot>,
    queue: BinaryHeap<Queued>,
    queued: u64,
    chances: Chances,
    mute_until: i64,
    blackout_until: i64,
    /// What the database's clock is ahead by.
    jump_us: i64,
    broken: Option<Violation>,
    story: Option<Vec<String>>,
}

/// What a world did, to see that worlds do something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) requests: u64,
    /// Slots of paces that were as foreseen.
    pub(crate) foreseen: u64,
    /// Claims that were compared with what was forecast.
    pub(crate) forecast: u64,
}

impl World {
    pub(crate) fn new(plan: Plan, mutant: Option<Mutant>, with_story: bool) -> Self {
        DRAWN.with(|drawn| drawn.set(0));
        let seed = plan.seed;
        let dice = |purpose: &str| Dice::new(seed, purpose);
        let default_sender: Sender = SENDER_NUMBER.parse().expect("a valid number");
        let mut db = Database::new(mutant, &Channel::ALL);
        let routes = Arc::new(crate::routes::of(&plan, &default_sender));
        db.routes = Arc::clone(&routes);
        db.user_of = plan.costs.is_some().then_some(costs::user_of);
        db.accounts = crate::routes::named(&plan).into_iter().collect();
        db.part_gap = micros(plan.part_gap);
        db.quiet = plan.quiet.and_then(|(from, until)| {
            let shown = |at| Some((START + micros(at)).to_utc()?.time());
            shown(from).zip(shown(until))
        });
        let mut world = Self {
            odds: plan.odds,
            t: plan.begins,
            db,
            requests: Vec::new(),
            paused_at: HashMap::new(),
            campaigns: HashMap::new(),
            repaced: HashMap::new(),
            paced_since: HashMap::new(),
            texts: Vec::new(),
            rates: Rates::default(),
            foresight: Foresight::default(),
            book: Book::default(),
            lanes: HashMap::new(),
            slowed: Slowed::default(),
            leases: HashMap::new(),
            mutant,
            calendar: None,
            forecasts: Forecasts::default(),
            rules: Rules {
                default_sender: Some(default_sender),
                max_lateness: plan.max_lateness,
                part_gap: micros(plan.part_gap),
                routes,
                costs: plan.costs.as_ref().map(CostPlan::costs),
                ..Rules::default()
            },
            capabilities: crate::routes::capabilities(),
            slots: (0..plan.slots).map(Slot::new).collect(),
            queue: BinaryHeap::new(),
            queued: 0,
            chances: Chances {
                order: dice("order"),
                time: dice("time"),
                fate: dice("fate"),
                notice: dice("notice"),
                provider: dice("provider"),
                crash: dice("crash"),
            },
            mute_until: 0,
            blackout_until: 0,
            jump_us: 0,
            broken: None,
            story: with_story.then(Vec::new),
            plan,
        };
        for (campaign, pace) in world.plan.paces.clone() {
            if campaign == SENDER {
                world.rates.set(0, micros_of(pace.gaps.0), pace.burst);
            }
            world.db.paces.insert(campaign, pace);
        }
        for (n, deed) in world.plan.deeds.clone().iter().enumerate() {
            world.at(deed.at, Event::Deed(n));
        }
        world.at(world.plan.calm_at, Event::Calm);
        for slot in 0..world.plan.slots {
            let at = world.plan.begins + world.chances.time.between(0, 50_000);
            world.at(at, Event::Start { slot });
        }
        world
    }

    /// Runs to the end or to the first broken invariant.
    pub(crate) fn run(self) -> (Result<Tally, Violation>, Vec<String>) {
        let (ended, story, _) = self.run_through();
        (ended, story)
    }

    /// The same, with what is in the database then.
    pub(crate) fn run_through(mut self) -> (Result<Tally, Violation>, Vec<String>, Database) {
        let mut tally = Tally::default();
        while let Some(next) = self.queue.pop() {
            if next.at > self.plan.end_at {
                break;
            }
            self.t = next.at;
            tally.events += 1;
            self.foresee();
            self.forecast();
            self.happen(next.event);
            self.watch_database();
            if self.broken.is_some() {
                break;
            }
        }
        if self.broken.is_none() {
            self.t = self.plan.end_at;
            self.watch_end();
        }
        tally.requests = self.requests.len() as u64;
        tally.foreseen = self.foresight.met;
        tally.forecast = self.forecasts.compared;
        if let Some(broken) = &self.broken {
            let line = broken.to_string();
            self.note(|| line);
        }
        let story = self.story.take().unwrap_or_default();
        (self.broken.map_or(Ok(tally), Err), story, self.db)
    }

    fn happen(&mut self, event: Event) {
        if !matches!(event, Event::Effect { .. } | Event::Process { .. }) {
            self.note_event();
        }
        match event {
            Event::Deed(n) => self.deed(n),
            Event::End { tx, commits } => self.end_transaction(*tx, commits),
            Event::Resume { key } => self.resume(&key),
            Event::Calm => self.calm_down(),
            Event::Start { slot } => self.start_instance(slot),
            Event::ClockSet => {
                self.note(|| "the database's clock is right again".to_owned());
                self.jump_us = 0;
            }
            Event::Clear { row } => self.db.quarantine_clear(message(row)),
            Event::QuarantineEnds { before } => self.db.quarantine_end(before),
            Event::Effect { whose, call, fate } => self.effect(whose, call, fate),
            Event::Process { whose, what } => {
                let Some(instance) = self.instance(whose) else {
                    return;
                };
                let resumes = instance.suspended_until;
                if resumes > self.t {
                    self.at(resumes, Event::Process { whose, what });
                } else {
                    self.process(whose, what);
                }
            }
        }
    }

    fn at(&mut self, at: i64, event: Event) {
        self.queued += 1;
        // In one world of two the events of an instant come in any order.
        let shuffled = if self.plan.seed.is_multiple_of(2) {
            u32::try_from(self.chances.order.below(1_000)).unwrap_or(0)
        } else {
            0
        };
        let order = (shuffled, self.queued);
        self.queue.push(Queued { at, order, event });
    }

    fn process_at(&mut self, at: i64, whose: Whose, what: Process) {
        self.at(at, Event::Process { whose, what });
    }

    /// The database's clock.
    pub(crate) fn db_now(&self) -> Moment {
        Moment::from_micros(self.true_now().as_micros() + self.jump_us)
    }

    /// What it would be had it not jumped.
    pub(crate) fn true_now(&self) -> Moment {
        START + micros(self.t)
    }

    /// When something that begins now and is to last so long is over: the calm ends chaos.
    fn until(&self, lasts: i64) -> i64 {
        let at = self.t + lasts;
        if self.t < self.plan.calm_at {
            at.min(self.plan.calm_at)
        } else {
            at
        }
    }

    /// From when on everything is expected to be known and on time.
    pub(crate) fn settled_at(&self) -> Moment {
        START + micros(self.plan.calm_at + SETTLING)
    }

    /// What divides texts of this channel.
    pub(crate) fn separator(&self, channel: Channel) -> Option<&str> {
        self.rules.separator(channel)
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let t = self.t;
        if let Some(story) = &mut self.story {
            story.push(format!(
                "{:>4}.{:06} {}",
                t / 1_000_000,
                t % 1_000_000,
                line()
            ));
        }
    }

    pub(crate) fn break_down(&mut self, invariant: Invariant, what: String) {
        if self.broken.is_none() {
            self.broken = Some(Violation {
                invariant,
                at: self.t,
                what,
            });
        }
    }
}
