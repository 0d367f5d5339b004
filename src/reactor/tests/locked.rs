//! What another transaction has locked costs the same however much it is, and is sent when the lock is gone.

use super::world::{Row, World, id};
use super::*;

const ROWS: u128 = 10_000;

fn herd() -> impl Iterator<Item = Row> {
    (0..ROWS).map(|n| Row::due(n, at(SECOND)))
}

fn lock(world: &mut World, locked: bool) {
    for n in 0..ROWS {
        world.rows.get_mut(&id(n)).unwrap().locked = locked;
    }
}

#[test]
fn what_one_transaction_holds_takes_a_small_share_of_the_claims() {
    let mut world = World::new(settings(20_000), herd());
    world.reactor.set_journal(true);
    world.takes = Duration::from_millis(10);
    lock(&mut world, true);
    world.run_until(at(SECOND * 2));
    let (claims, asked) = (world.claims_made, world.asked);
    world.run_until(at(SECOND * 7));
    // A claim of 250 each 100 ms; each row by itself would be tried every second.
    let (claims, asked) = (world.claims_made - claims, world.asked - asked);
    assert!((40..=60).contains(&claims), "{claims}");
    assert!(asked <= 60 * 250, "{asked}");
    assert!(world.in_flight.is_empty());
    // What is free is on time.
    world.insert(Row::due(90_000, at(SECOND * 8)));
    world.run_until(at(SECOND * 8));
    assert_eq!(world.in_flight, [id(90_000)]);
    // The first claim that wins shows that all may be free.
    lock(&mut world, false);
    world.run_until(at(SECOND * 8 + Duration::from_millis(150)));
    assert_eq!(world.count(Status::Pending), 0);
    assert_eq!(world.starts, 10_001);
}

/// One of them alone is tried again sooner, as it was before.
#[test]
fn a_row_that_is_locked_alone_is_tried_after_its_own_pause() {
    let mut world = World::new(settings(64), (0..40).map(|n| Row::due(n, at(SECOND))));
    world.takes = Duration::from_millis(10);
    world.rows.get_mut(&id(7)).unwrap().locked = true;
    world.run_until(at(SECOND));
    assert_eq!(world.starts, 39);
    world.rows.get_mut(&id(7)).unwrap().locked = false;
    world.run_until(at(SECOND + Duration::from_millis(40)));
    assert_eq!(world.starts, 40);
}
