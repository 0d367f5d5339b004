//! Holds the simulation's model of the database to the database: one drawn list of what users
//! and daemons do, run against Postgres and against the model. After each step both must have
//! given the same answer and stand alike. `docs/testing.md` says how to replay a seed.

// The allowance for tests in clippy.toml does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

mod deed;
#[path = "../sim/dice.rs"]
mod dice;
mod draw;
mod facts;
#[path = "../pg/harness.rs"]
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod harness;
#[path = "../sim/model/mod.rs"]
#[allow(dead_code, reason = "what the simulation alone asks of it")]
mod model;
#[path = "../sim/mutant.rs"]
#[allow(dead_code, reason = "most bugs are planted around the model")]
mod mutant;
mod real;
#[path = "../sim/seeds.rs"]
mod seeds;
mod session;
mod twin;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use deed::Deed;
use draw::Draw;
use facts::differences;
use futures_util::future::join_all;
use mutant::Mutant;
use real::Real;
use twin::Twin;

/// Seeds in the default run.
const SEEDS: u64 = 24;

/// Steps of one seed.
const STEPS: usize = 150;

/// Seeds that a bug planted in the model may hide in.
const MUTANT_SEEDS: u64 = 30;

/// Databases that are worked on at once: while one answers, the other is asked.
const LANES: usize = 3;

/// Runs one seed; the steps up to the first difference, and the difference.
async fn run(real: &mut Real, seed: u64, mutant: Option<Mutant>) -> Result<(), String> {
    let before = real.begin().await;
    let mut twin = Twin::new(before.clock, mutant);
    let mut draw = Draw::new(seed);
    let mut now = before.clock;
    let mut story = String::new();
    // What a transaction left open read from the clock shows at its end.
    let mut open_span = Duration::ZERO;
    for step in 1..=STEPS {
        let deed = draw.next(&twin.db);
        writeln!(story, "{step:4}  {deed:?}").unwrap();
        let before = twin.clone();
        let answer = real.perform(&deed, twin.start, now).await;
        let stands = real.snapshot().await;
        let mut span = stands.clock.since(now);
        match deed {
            Deed::Open { .. } => open_span = span,
            Deed::End { .. } => span = span.max(open_span),
            _ => {}
        }
        let compare = |twin: &mut Twin, moment| {
            let expected = twin.perform(&deed, moment);
            let mut wrong = differences(&expected, &answer, span);
            wrong.extend(differences(&twin.facts(), &stands.facts(), span));
            let forbidden = twin.db.forbidden.drain(..);
            wrong.extend(forbidden.map(|f| format!("the model moves {f}")));
            wrong
        };
        let wrong = compare(&mut twin, now);
        if !wrong.is_empty() {
            // What comes at a moment within the step (the end of a pause, of a lease, of a slot) has come for one of
            // the two only.
            twin = before;
            if !compare(&mut twin, stands.clock).is_empty() {
                return Err(format!("{story}{}", wrong.join("\n")));
            }
        }
        twin.adopt(&stands);
        now = stands.clock;
    }
    real.end().await;
    Ok(())
}

/// The first difference that was found among these seeds, of as many lanes as there are.
async fn first_difference(seeds: Range<u64>, mutant: Option<Mutant>) -> Option<(u64, String)> {
    let next = RefCell::new(seeds.clone());
    let found = RefCell::new(None::<(u64, String)>);
    let lane = || async {
        let mut real = Real::new().await;
        loop {
            let Some(seed) = next.borrow_mut().next() else {
                return;
            };
            if let Err(story) = run(&mut real, seed, mutant).await {
                // The others need not go on.
                next.borrow_mut().start = seeds.end;
                let mut found = found.borrow_mut();
                if found.as_ref().is_none_or(|(first, _)| seed < *first) {
                    *found = Some((seed, story));
                }
                return;
            }
        }
    };
    let lanes = if mutant.is_some() { 1 } else { LANES };
    join_all((0..lanes).map(|_| lane())).await;
    found.into_inner()
}

#[tokio::test]
async fn the_model_does_what_the_database_does() {
    let seeds = seeds::seeds("PUNCTUAL_PARITY_SEEDS", SEEDS);
    if let Some((seed, story)) = first_difference(seeds, None).await {
        panic!("{story}\nagain with: PUNCTUAL_PARITY_SEEDS=seed={seed} cargo test --test parity");
    }
}

#[tokio::test]
async fn a_model_with_a_bug_is_found_out() {
    // Those of the bugs that are in the model itself.
    let bugs = [
        Mutant::TwoWinners,
        Mutant::NoFence,
        Mutant::OpenGuard,
        Mutant::OldText,
        Mutant::NoBackoff,
        Mutant::NoReaper,
        Mutant::EagerReaper,
        Mutant::NoQuarantine,
        Mutant::ClaimsPaused,
        Mutant::SkipsPart,
        Mutant::RepeatsPart,
        Mutant::OpenParts,
        Mutant::IgnoresPaces,
        Mutant::NoGap,
        Mutant::PaceAnew,
        Mutant::ForgetsOutage,
        Mutant::NoCharge,
    ];
    let hunt = |bug| async move {
        let found = first_difference(0..MUTANT_SEEDS, Some(bug)).await;
        found.is_none().then_some(bug)
    };
    let hunts = join_all(bugs.into_iter().map(hunt)).await;
    let alive: Vec<_> = hunts.into_iter().flatten().collect();
    assert!(alive.is_empty(), "not found out: {alive:?}");
}
