//! A database that is a round trip away: nothing responds at once.

use std::collections::BTreeMap;

use super::world::{Row, World, id};
use super::*;
use crate::message::{AttemptToken, Channel, ClaimResponse, MessageId};
use crate::reactor::{ClaimRequest, Command, Input, Reactor};
use crate::settle::SendResult;

const MS: Duration = Duration::from_millis(1);

enum Step {
    /// A claim reaches the server.
    Claim(Vec<ClaimRequest>),
    Answer(Input<MessageId>),
}

struct Far {
    world: World,
    round_trip: Duration,
    /// What a claim takes on the server.
    at_work: Duration,
    /// How long the reads of pauses wait for a connection.
    pool_wait: Duration,
    /// What happens when, in the order in which it was begun.
    steps: BTreeMap<(Moment, usize), Step>,
    begun: usize,
    /// How late each request began.
    late: Vec<Duration>,
    /// Claims, the most of them at once, and messages that they did not win.
    claims: usize,
    at_once: usize,
    lost: usize,
    /// The most groups of records at once.
    groups: usize,
}

impl Far {
    fn new(round_trip: Duration, limits: Limits, rows: impl IntoIterator<Item = Row>) -> Self {
        let settings = Settings {
            limits: Arc::new(limits),
            ..settings(256)
        };
        let mut world = World::new(settings.clone(), rows);
        // What that one has heard so far came at once.
        world.reactor = Reactor::new(settings, world.now, AttemptToken::fresh);
        let mut far = Self {
            world,
            round_trip,
            at_work: 2 * MS,
            pool_wait: Duration::ZERO,
            steps: BTreeMap::new(),
            begun: 0,
            late: Vec::new(),
            claims: 0,
            at_once: 0,
            lost: 0,
            groups: 0,
        };
        far.take_in(Input::ChannelUp { unnotified: false });
        far
    }

    fn after(&mut self, wait: Duration, step: Step) {
        self.begun += 1;
        let key = (self.world.now.db + wait, self.begun);
        self.steps.insert(key, step);
    }

    fn take_in(&mut self, input: Input<MessageId>) {
        let now = self.world.now;
        self.world.reactor.handle(input, now);
        while let Some(command) = self.world.reactor.next_command() {
            self.perform(command);
        }
        self.at_once = self.at_once.max(self.world.reactor.claims);
        self.groups = self.groups.max(self.world.reactor.outgoing.groups.len());
    }

    fn perform(&mut self, command: Command<MessageId>) {
        let (now, round_trip) = (self.world.now, self.round_trip);
        match command {
            Command::Claim(asks) => {
                self.claims += 1;
                self.after(round_trip / 2, Step::Claim(asks));
            }
            Command::ReadPauses => {
                let input = Input::Pauses {
                    pauses: Some(Vec::new()),
                    way: round_trip,
                };
                self.after(self.pool_wait + round_trip, Step::Answer(input));
            }
            Command::Start { id, .. } => {
                self.late.push(now.db.since(self.world.rows[&id].due));
                let answer = SendResult {
                    outcome: accepted(),
                    started: Some(now.db),
                    finished: now.db + 30 * MS,
                };
                self.after(30 * MS, Step::Answer(Input::Sent { id, answer }));
            }
            Command::Record { group, records } => {
                let done = records.iter().map(|record| (record.token, None)).collect();
                let failed = false;
                let input = Input::Recorded {
                    group,
                    done,
                    failed,
                };
                self.after(round_trip, Step::Answer(input));
            }
            other => {
                for input in self.world.perform(other) {
                    self.world.reactor.handle(input, now);
                }
            }
        }
    }

    fn run_until(&mut self, until: Moment) {
        loop {
            let wakes = self.world.reactor.next_wakeup(self.world.now);
            let step = self.steps.first_key_value().map(|((at, _), _)| *at);
            let next = [wakes, step].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= until) else {
                return;
            };
            let passed = next.since(self.world.now.db);
            self.world.now.db = self.world.now.db + passed;
            self.world.now.up = self.world.now.up + passed;
            let first = self.steps.first_entry();
            let first = first.filter(|first| first.key().0 <= self.world.now.db);
            match first.map(std::collections::btree_map::OccupiedEntry::remove) {
                None => self.take_in(Input::Tick),
                Some(Step::Answer(input)) => self.take_in(input),
                Some(Step::Claim(asks)) => self.claim(asks),
            }
        }
    }

    fn claim(&mut self, asks: Vec<ClaimRequest>) {
        let answers = asks.into_iter().map(|ask| (ask.id, self.world.claim(ask)));
        let answers: Vec<_> = answers.collect();
        let lost = |(_, answer): &&(_, _)| !matches!(answer, ClaimResponse::Won(_));
        self.lost += answers.iter().filter(lost).count();
        let took = self.round_trip + self.at_work;
        let input = Input::Claimed { answers, took };
        self.after(self.round_trip / 2 + self.at_work, Step::Answer(input));
    }

    /// How late the latest of all began.
    fn latest(&self, all: usize) -> Duration {
        assert_eq!(self.late.len(), all);
        self.late.iter().copied().max().unwrap_or_default()
    }
}

/// Some 67 a second, as if at random.
fn scattered(n: u128) -> impl Iterator<Item = Row> {
    let span_us = u64::try_from(n).unwrap() * 15_000;
    (0..n).map(move |n| {
        let mut z = u64::try_from(n)
            .unwrap()
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Row::due(
            n,
            at(SECOND + Duration::from_micros((z ^ (z >> 29)) % span_us)),
        )
    })
}

#[test]
fn what_is_due_waits_for_no_claim_that_is_on_its_way() {
    for ms in [0, 5, 15, 30, 38] {
        let mut far = Far::new(ms * MS, limits(), scattered(1_000));
        far.run_until(at(SECOND * 20));
        let latest = far.latest(1_000);
        assert!(latest <= MS, "{ms} ms: {latest:?}");
        assert_eq!(far.lost, 0, "{ms} ms: claims come too early");
        assert!(far.at_once <= far.world.reactor.claims_at_once());
    }
    // With as many claims as for a database that is near, many wait.
    let mut limits = limits();
    limits.claims.at_once_max = 0;
    let mut far = Far::new(30 * MS, limits, scattered(1_000));
    far.run_until(at(SECOND * 20));
    assert!(far.latest(1_000) > 2 * MS, "{:?}", far.latest(1_000));
}

#[test]
fn with_several_lanes_too() {
    let channels = [Channel::Sms, Channel::Email];
    let rows = scattered(1_000).enumerate();
    let rows = rows.map(|(n, row)| row.over(channels[n % 2]));
    let mut far = Far::new(30 * MS, limits(), rows);
    far.run_until(at(SECOND * 20));
    let latest = far.latest(1_000);
    // The last claim is for lanes that are in none, so some wait for two.
    assert!(latest <= 5 * MS, "{latest:?}");
}

#[test]
fn a_herd_is_claimed_and_recorded_by_several_at_once() {
    let herd = (0..3_000).map(|n| Row::due(n, at(SECOND)));
    let mut far = Far::new(30 * MS, limits(), herd);
    far.world.reactor.set_journal(true);
    far.run_until(at(SECOND * 3));
    // As long as it takes with so many requests at once.
    assert!(far.latest(3_000) <= 13 * 30 * MS, "{:?}", far.latest(3_000));
    assert_eq!((far.at_once, far.groups), (4, 2));
}

#[test]
fn says_when_claims_take_longer_than_they_may_be_made_ahead() {
    let mut far = Far::new(30 * MS, limits(), scattered(200));
    far.run_until(at(SECOND * 5));
    assert_eq!(far.world.reactor.late_claims(), None);
    let mut far = Far::new(150 * MS, limits(), scattered(200));
    far.run_until(at(SECOND * 5));
    let why = far.world.reactor.late_claims().unwrap();
    assert!(why.contains("150 of them"), "{why}");
    assert!(why.contains("nearer"), "{why}");
    assert_eq!(far.late.len(), 200, "and sends all the same");
    assert!(far.world.rows.contains_key(&id(0)));
}

#[test]
fn a_database_that_is_busy_is_not_far_away() {
    let mut busy = Far::new(5 * MS, limits(), scattered(200));
    busy.at_work = 80 * MS;
    busy.run_until(at(SECOND * 5));
    let why = busy.world.reactor.late_claims().unwrap();
    assert!(why.contains("take 85 ms, 5 of them"), "{why}");
    assert!(!why.contains("nearer") && why.contains("busy"), "{why}");
}

#[test]
fn a_wait_for_a_connection_is_no_distance() {
    let mut far = Far::new(5 * MS, limits(), scattered(400));
    far.pool_wait = 60 * MS;
    far.run_until(at(SECOND * 10));
    assert_eq!(far.late.len(), 400);
    assert_eq!(far.world.reactor.lead.round_trip(), 5 * MS);
    assert!(!far.world.reactor.is_far());
}

#[test]
fn there_are_no_more_claims_at_once_than_connections_for_them() {
    for (connections, most, groups) in [(4, 2, 1), (5, 3, 2), (9, 4, 2)] {
        let herd = (0..3_000).map(|n| Row::due(n, at(SECOND)));
        let mut far = Far::new(30 * MS, limits(), herd);
        far.world.reactor.set_journal(true);
        far.world.reactor.set_connections(connections);
        far.run_until(at(SECOND * 4));
        assert_eq!(far.late.len(), 3_000);
        assert_eq!((far.at_once, far.groups), (most, groups), "{connections}");
    }
}

/// As many connections more are opened from there on as claims are made.
#[test]
fn there_is_one_definition_of_far() {
    let from = limits().claims.far_from();
    let nearer = from.saturating_sub(Duration::from_micros(1));
    for (round_trip, is_far) in [(nearer, false), (from, true)] {
        let mut far = Far::new(round_trip, limits(), scattered(50));
        far.run_until(at(SECOND * 2));
        assert_eq!(far.world.reactor.is_far(), is_far, "{round_trip:?}");
    }
}
