//! What the reactor takes for a message from its load to its record, with a table and a provider that
//! answer at once: `cargo bench --bench reactor`.

use std::cell::Cell;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use punctual::limits::Limits;
use punctual::message::{
    AttemptToken, Channel, ClaimResponse, LaneKey, MessageId, Moment, Now, Outcome, Part, Parties,
    Pausable, Priority, ProviderSid, Uptime,
};
use punctual::reactor::{ClaimRequest, Command, Input, JudgedClaim, Reactor, Settings, Upcoming};
use punctual::schedule::LeadSetting;
use punctual::settle::{AttemptBudget, SendResult};
use uuid::Uuid;

const MESSAGES: usize = 20_000;

const START: i64 = 1_767_258_000_000_000;

thread_local! {
    static DRAWN: Cell<u128> = const { Cell::new(0) };
}

/// Cheaper than the real one, which is not what is measured here.
fn draw() -> AttemptToken {
    DRAWN.set(DRAWN.get() + 1);
    AttemptToken(Uuid::from_u128(DRAWN.get()))
}

fn lane(n: usize, lanes: usize) -> LaneKey {
    match n % lanes {
        0 => LaneKey::default(),
        n => LaneKey::of(Channel::Webhook).with_host(&format!("{n}.example")),
    }
}

/// `n` messages, the same time apart, by so many lanes in turn.
fn rows(apart: Duration, lanes: usize) -> Vec<Upcoming> {
    let first = Moment::from_micros(START) + Duration::from_secs(1);
    let row = |n: usize| Upcoming {
        id: MessageId(Uuid::from_u128(
            n as u128 * 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834,
        )),
        due: first + apart * u32::try_from(n).unwrap_or(u32::MAX),
        version: 0,
        attempts: 0,
        priority: Priority::Normal,
        lane: lane(n, lanes),
        written: None,
    };
    (0..MESSAGES).map(row).collect()
}

fn claimed(ask: &ClaimRequest, now: Now) -> ClaimResponse<JudgedClaim<()>> {
    ClaimResponse::Won(JudgedClaim {
        token: ask.token,
        due: now.db,
        wanted_at: now.db,
        is_retry: false,
        parties: Parties::NONE,
        lane: LaneKey::default(),
        route: None,
        pausable: Pausable::default(),
        tries: AttemptBudget {
            number: 1,
            before: 0,
            max: 3,
            expires: Moment::MAX,
        },
        part: Part::ONLY,
        closes: Moment::MAX,
        verdict: Ok(()),
    })
}

fn answer(command: Command<()>, rows: &mut Vec<Upcoming>, now: Now) -> Vec<Input<()>> {
    match command {
        Command::Load { .. } => {
            let loaded = Input::Loaded(std::mem::take(rows));
            let ended = Input::LoadEnded {
                reached: None,
                complete: true,
            };
            vec![loaded, ended]
        }
        Command::ClaimPaced { .. } => unreachable!("no message has a pace"),
        Command::ReadPauses => vec![Input::Pauses {
            pauses: Some(Vec::new()),
            way: Duration::from_millis(1),
        }],
        Command::Claim(asks) => {
            let answers = asks.iter().map(|ask| (ask.id, claimed(ask, now)));
            vec![Input::Claimed {
                answers: answers.collect(),
                took: Duration::from_millis(5),
            }]
        }
        Command::Start { id, .. } => {
            let answer = SendResult {
                outcome: Outcome::Accepted {
                    sid: ProviderSid(String::new()),
                },
                started: Some(now.db),
                finished: now.db,
            };
            vec![Input::Sent { id, answer }]
        }
        Command::Record { group, records } => {
            let done = records.iter().map(|record| (record.token, None));
            vec![Input::Recorded {
                group,
                done: done.collect(),
                failed: false,
            }]
        }
        Command::Read(_) | Command::Prewarm { .. } => Vec::new(),
    }
}

/// Until all are sent.
fn run(mut rows: Vec<Upcoming>) -> u64 {
    let settings = Settings {
        horizon: Duration::from_secs(3600),
        lead: LeadSetting::Auto,
        max_in_flight: 64,
        lease: Duration::from_secs(60),
        send_timeout: Duration::from_secs(10),
        limits: Limits::default().into(),
    };
    let mut now = Now {
        db: Moment::from_micros(START),
        up: Uptime::from_micros(0),
    };
    let mut reactor = Reactor::new(settings, now, draw);
    reactor.handle(Input::ChannelUp { unnotified: false }, now);
    while reactor.lateness().count() < MESSAGES as u64 {
        while let Some(command) = reactor.next_command() {
            for input in answer(command, &mut rows, now) {
                reactor.handle(input, now);
            }
        }
        let at = reactor.next_wakeup(now).expect("there is more to come");
        let passed = at.since(now.db).max(Duration::from_micros(1));
        now = Now {
            db: now.db + passed,
            up: now.up + passed,
        };
        reactor.handle(Input::Tick, now);
        let _ = reactor.take_events();
    }
    reactor.lateness().count()
}

fn main() {
    divan::main();
}

fn bench(bencher: Bencher<'_, '_>, apart: Duration, lanes: usize) {
    bencher
        .counter(ItemsCount::new(MESSAGES))
        .with_inputs(|| rows(apart, lanes))
        .bench_local_values(run);
}

/// All due at one moment.
#[divan::bench(args = [1, 3, 300], sample_count = 15, sample_size = 1)]
fn herd(bencher: Bencher<'_, '_>, lanes: usize) {
    bench(bencher, Duration::ZERO, lanes);
}

/// A thousand a second.
#[divan::bench(args = [1, 3, 300], sample_count = 15, sample_size = 1)]
fn spread(bencher: Bencher<'_, '_>, lanes: usize) {
    bench(bencher, Duration::from_millis(1), lanes);
}
