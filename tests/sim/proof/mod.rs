//! Worlds for `punctual::proof`: what callbacks, look-ups, journals and restored databases prove about
//! messages. A world has one ledger, a provider that remembers what it took, and one daemon that dies and
//! comes back; drawn from a seed. The reactor's worlds (`crate::world`) know none of this, and these
//! know nothing of timers.
//!
//! The rules under test are the daemon's own; the ledger around them does what the statements of
//! `src/store/ledger/sql` do.

mod check;
mod daemon;
mod ledger;
mod provider;
mod world;

use std::ops::Range;

use world::{Broken, Invariant, Mutant, Tally, World};

/// Worlds in the default run.
const WORLDS: u64 = 1_500;

/// Worlds that a planted bug may hide in.
const MUTANT_WORLDS: u64 = 4_000;

fn run_all(seeds: Range<u64>, mutant: Option<Mutant>) -> Result<Tally, (u64, Broken)> {
    let mut all = Tally::default();
    for seed in seeds {
        all.add(
            &World::new(seed, mutant)
                .run()
                .map_err(|broken| (seed, broken))?,
        );
    }
    Ok(all)
}

#[test]
fn proof_worlds_keep_the_invariants() {
    let seeds = crate::seeds::seeds("PUNCTUAL_PROOF_SEEDS", WORLDS);
    let worlds = seeds.end - seeds.start;
    match run_all(seeds, None) {
        Ok(tally) => {
            println!("{worlds} worlds, {tally:?}");
            if worlds >= WORLDS {
                assert!(tally.is_eventful(), "too little happens: {tally:?}");
            }
        }
        Err((seed, broken)) => panic!(
            "seed {seed}: {broken}\nreplay: PUNCTUAL_PROOF_SEEDS=seed={seed} cargo test --test sim proof_worlds"
        ),
    }
}

/// Each planted bug, and the invariants that may notice it first.
const CAUGHT_BY: [(Mutant, &[Invariant]); 18] = [
    (Mutant::DenyAlways, &[Invariant::NeverCalledUnsent]),
    (Mutant::AbsentIsProof, &[Invariant::NoBlindSecondText]),
    (Mutant::NoQuarantine, &[Invariant::NoBlindSecondText]),
    (
        Mutant::AnyTextIsIt,
        &[
            Invariant::ProofIsItsOwn,
            Invariant::NoBlindSecondText,
            Invariant::EveryOutcomeEnds,
        ],
    ),
    (Mutant::NoLookUps, &[Invariant::EveryOutcomeEnds]),
    (Mutant::FirstEndStays, &[Invariant::ArrivedIsNotRetried]),
    (
        Mutant::DeliveredCanFail,
        &[Invariant::ArrivedIsNotRetried, Invariant::NoBlindSecondText],
    ),
    (Mutant::RestoredIsRetried, &[Invariant::NoBlindSecondText]),
    (Mutant::OthersAreIgnored, &[Invariant::NoBlindSecondText]),
    (
        Mutant::NoRivals,
        &[
            Invariant::NoBlindSecondText,
            Invariant::ProofIsItsOwn,
            Invariant::PartsInOrder,
        ],
    ),
    (
        Mutant::SharedMessage,
        &[Invariant::NoBlindSecondText, Invariant::ProofIsItsOwn],
    ),
    (Mutant::UnknownIsIgnored, &[Invariant::NoBlindSecondText]),
    (
        Mutant::BegunIsReleased,
        &[Invariant::NeverCalledUnsent, Invariant::EveryOutcomeEnds],
    ),
    (Mutant::PartAfterIts, &[Invariant::PartsInOrder]),
    (Mutant::OpenPartIsForgotten, &[Invariant::NoBlindSecondText]),
    (Mutant::OpenPartGoesOn, &[Invariant::NoBlindSecondText]),
    (
        Mutant::TextOfOtherPart,
        &[
            Invariant::NoBlindSecondText,
            Invariant::ProofIsItsOwn,
            Invariant::PartsInOrder,
            Invariant::EveryOutcomeEnds,
        ],
    ),
    (
        Mutant::NoJournalMerge,
        &[Invariant::EveryOutcomeEnds, Invariant::NoBlindSecondText],
    ),
];

#[test]
fn every_proof_mutant_is_caught() {
    for (mutant, expected) in CAUGHT_BY {
        match run_all(0..MUTANT_WORLDS, Some(mutant)) {
            Ok(_) => panic!("{mutant:?} survives {MUTANT_WORLDS} worlds"),
            Err((seed, broken)) => assert!(
                expected.contains(&broken.invariant),
                "{mutant:?} is caught by another invariant: seed {seed}: {broken}"
            ),
        }
    }
}
