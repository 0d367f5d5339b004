//! Makes a failing world a short story: leaves out one deed or silences one fault after the
//! other, as long as the same invariant still breaks.

use crate::mutant::Mutant;
use crate::odds::Odds;
use crate::plan::Plan;
use crate::watch::{Invariant, Violation};
use crate::world::World;

/// Worlds run for one story.
const TRIES_MAX: usize = 600;

pub(crate) fn run(plan: &Plan, mutant: Option<Mutant>) -> Result<crate::world::Tally, Violation> {
    World::new(plan.clone(), mutant, false).run().0
}

/// The smallest plan found that still breaks `invariant`.
pub(crate) fn shrink(mut plan: Plan, mutant: Option<Mutant>, invariant: Invariant) -> Plan {
    let mut tries = 0;
    let mut breaks = |plan: &Plan| {
        tries += 1;
        tries <= TRIES_MAX
            && matches!(run(plan, mutant), Err(broken) if broken.invariant == invariant)
    };
    loop {
        let before = size(&plan);
        let mut n = 0;
        while n < plan.deeds.len() {
            let mut smaller = plan.clone();
            smaller.deeds.remove(n);
            if breaks(&smaller) {
                plan = smaller;
            } else {
                n += 1;
            }
        }
        for field in Odds::FIELDS {
            let mut smaller = plan.clone();
            if std::mem::take(field(&mut smaller.odds)) > 0 && breaks(&smaller) {
                plan = smaller;
            }
        }
        while plan.slots > 1 {
            let mut smaller = plan.clone();
            smaller.slots -= 1;
            if !breaks(&smaller) {
                break;
            }
            plan = smaller;
        }
        if size(&plan) == before {
            return plan;
        }
    }
}

fn size(plan: &Plan) -> (usize, usize, usize) {
    let mut odds = plan.odds;
    let faults = Odds::FIELDS
        .into_iter()
        .filter(|field| *field(&mut odds) > 0);
    (plan.deeds.len(), faults.count(), plan.slots)
}

/// What a failing seed prints.
pub(crate) fn story(seed: u64, mutant: Option<Mutant>, broken: &Violation) -> String {
    let plan = shrink(Plan::draw(seed), mutant, broken.invariant);
    let settings = format!("{:?}", plan.settings);
    let odds = format!("{:?}", plan.odds);
    let (_, lines) = World::new(plan, mutant, true).run();
    format!(
        "seed {seed}: {broken}\n\
         replay: PUNCTUAL_SIM_SEEDS=seed={seed} cargo test --test sim worlds\n\
         the shortest story found (seconds of the virtual clock):\n{settings}\n{odds}\n{}\n",
        lines.join("\n")
    )
}
