//! The simulation: the reactor that the daemon runs, in thousands of small worlds with a clock,
//! a database, a provider, users and misfortunes of their own, drawn from a seed. What must
//! hold is looked at after every step; `docs/testing.md` says how to replay a seed.

// The allowance for tests in clippy.toml does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

mod campaign;
mod cause;
mod costs;
mod dice;
mod foreseen;
mod model;
mod mutant;
mod odds;
mod parts;
mod plan;
mod planner;
mod proof;
mod rates;
mod routes;
mod seeds;
mod shrink;
mod slowed;
mod small;
mod trouble;
mod watch;
mod witness;
mod world;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use mutant::Mutant;
use plan::Plan;
use watch::Invariant;
use world::{Tally, World};

/// Worlds in the default run.
const WORLDS: u64 = 2_500;

/// Worlds that a planted bug may hide in.
const MUTANT_WORLDS: u64 = 1_500;

/// Runs a world for each seed on all processors; the first seed that fails, and what all did.
fn run_all(seeds: Range<u64>, mutant: Option<Mutant>) -> (Option<(u64, watch::Violation)>, Tally) {
    let next = AtomicU64::new(seeds.start);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut done = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return (None, done);
            }
            match shrink::run(&Plan::draw(seed), mutant) {
                Ok(tally) => {
                    done.events += tally.events;
                    done.requests += tally.requests;
                    done.foreseen += tally.foreseen;
                    done.forecast += tally.forecast;
                }
                Err(broken) => {
                    // The others need not go on.
                    next.store(seeds.end, Ordering::Relaxed);
                    return (Some((seed, broken)), done);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut first: Option<(u64, watch::Violation)> = None;
        let mut all = Tally::default();
        for worker in workers {
            let (broken, done) = worker.join().expect("a world does not panic");
            all.events += done.events;
            all.requests += done.requests;
            all.foreseen += done.foreseen;
            all.forecast += done.forecast;
            if let Some(broken) = broken
                && first.as_ref().is_none_or(|f| broken.0 < f.0)
            {
                first = Some(broken);
            }
        }
        (first, all)
    })
}

#[test]
fn worlds_keep_the_invariants() {
    let seeds = seeds::seeds("PUNCTUAL_SIM_SEEDS", WORLDS);
    let worlds = seeds.end - seeds.start;
    let (broken, tally) = run_all(seeds, None);
    if let Some((seed, broken)) = broken {
        panic!("{}", shrink::story(seed, None, &broken));
    }
    println!("{worlds} worlds, {tally:?}");
    // A few worlds may have no request at all.
    let enough = worlds < 100
        || tally.requests >= worlds && tally.foreseen >= worlds / 10 && tally.forecast >= worlds;
    assert!(enough, "too little happens: {tally:?}");
}

#[test]
fn the_same_seed_makes_the_same_story() {
    for seed in 0..40 {
        let story_of = || World::new(Plan::draw(seed), None, true).run();
        let (first, second) = (story_of(), story_of());
        assert_eq!(first, second, "seed {seed}");
        assert!(first.1.len() > 10, "seed {seed} has no story");
    }
}

/// Each planted bug, and the invariants that may notice it first.
const CAUGHT_BY: [(Mutant, &[Invariant]); 43] = [
    (Mutant::TwoWinners, &[Invariant::OneWinner]),
    (Mutant::NoFence, &[Invariant::OneWinner]),
    (
        Mutant::OpenGuard,
        &[
            Invariant::LastWord,
            Invariant::NeverEarly,
            Invariant::OneWinner,
            Invariant::Fence,
        ],
    ),
    (Mutant::OldText, &[Invariant::LastWord]),
    (Mutant::NoBackoff, &[Invariant::NeverEarly]),
    (Mutant::NoReaper, &[Invariant::NamedState]),
    (Mutant::EagerReaper, &[Invariant::Fence]),
    (Mutant::TimesAhead, &[Invariant::NamedState]),
    (Mutant::NoOrphanedClaims, &[Invariant::NamedState]),
    (
        Mutant::EmptySweeps,
        &[Invariant::NothingMissed, Invariant::OnTime],
    ),
    (
        Mutant::EmptyReads,
        &[Invariant::NothingMissed, Invariant::OnTime],
    ),
    (Mutant::BlindRetry, &[Invariant::NoBlindSecondText]),
    // What starts too late for its lease may be too late for its slot before that.
    (Mutant::NoLease, &[Invariant::Fence, Invariant::PaceKept]),
    (Mutant::FastClock, &[Invariant::NeverEarly]),
    (
        Mutant::LateTimer,
        &[Invariant::OnTime, Invariant::RecordedSoon],
    ),
    (
        Mutant::HollowChannel,
        &[
            Invariant::OnTime,
            Invariant::UrgentOnTime,
            Invariant::LanesApart,
        ],
    ),
    (Mutant::NoFacts, &[Invariant::QuietHours]),
    (Mutant::ForecastWithoutFacts, &[Invariant::Forecast]),
    (Mutant::ForecastWithoutBreaker, &[Invariant::Forecast]),
    (Mutant::ClaimsPaused, &[Invariant::PausedStays]),
    (
        Mutant::IgnoresPaces,
        &[Invariant::PaceKept, Invariant::RateKept],
    ),
    (Mutant::NoGap, &[Invariant::PaceKept]),
    (Mutant::PaceAnew, &[Invariant::PaceKept]),
    (Mutant::OldGap, &[Invariant::PaceKept]),
    (Mutant::RateAnew, &[Invariant::RateKept]),
    (Mutant::LastFirst, &[Invariant::Foreseen]),
    (Mutant::ForgetsOutage, &[Invariant::TooLate]),
    (Mutant::NoCharge, &[Invariant::RateKept]),
    (Mutant::NoCap, &[Invariant::CapKept]),
    (Mutant::PausesEarly, &[Invariant::PausedWhenReached]),
    (Mutant::ReturnsUncertain, &[Invariant::CapKept]),
    (Mutant::NeverReturns, &[Invariant::CountsReturned]),
    (Mutant::CountsEnded, &[Invariant::CountsReturned]),
    (Mutant::FirstAccount, &[Invariant::ByItsRoute]),
    (Mutant::ForgetsAccount, &[Invariant::NoBlindSecondText]),
    // Without reads no resume is seen either.
    (
        Mutant::EmptyPauses,
        &[
            Invariant::PausedStays,
            Invariant::OnTime,
            Invariant::UrgentOnTime,
        ],
    ),
    (Mutant::SkipsPart, &[Invariant::PartsInOrder]),
    (Mutant::RepeatsPart, &[Invariant::NoBlindSecondText]),
    (Mutant::OpenParts, &[Invariant::LastWord]),
    // What names an account of a route is moved to it by each read, and not found there.
    (
        Mutant::OneLane,
        &[Invariant::LanesApart, Invariant::EventsBounded],
    ),
    (Mutant::WidensLimits, &[Invariant::SlowedAlone]),
    (Mutant::NoQuarantine, &[Invariant::Quarantined]),
    (Mutant::FollowedJump, &[Invariant::NeverEarly]),
];

#[test]
fn every_mutant_is_caught() {
    let mut missed = Vec::new();
    for (mutant, by) in CAUGHT_BY {
        match run_all(0..MUTANT_WORLDS, Some(mutant)).0 {
            None => missed.push(format!("{mutant:?} lives")),
            Some((seed, broken)) => {
                println!(
                    "{mutant:?}: {:?} at seed {seed}: {broken}",
                    broken.invariant
                );
                if !by.contains(&broken.invariant) {
                    missed.push(format!("{mutant:?} is caught by {:?}", broken.invariant));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
