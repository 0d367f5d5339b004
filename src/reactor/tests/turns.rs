//! Two instances: what it is the other's turn to claim.

use uuid::Uuid;

use super::world::{Row, World, id};
use super::*;
use crate::message::{InstanceId, MessageId};
use crate::reactor::Input;
use crate::schedule::Ranking;

const MS: Duration = Duration::from_millis(1);

/// The first is due when all have been read again, in the order of both instances.
const START: Duration = Duration::from_secs(3);

/// Messages, one every 10 ms, of which the other instance has the first turn of about half; and which those are.
fn beside_another(n: u128) -> (World, Vec<MessageId>) {
    let rows = (0..n).map(|n| {
        let ms = u32::try_from(n).unwrap() * 10;
        Row::due(n, at(START + ms * MS))
    });
    let (me, other) = (
        InstanceId(Uuid::from_u128(1)),
        InstanceId(Uuid::from_u128(2)),
    );
    let ranking = Ranking::new(me, [other]);
    let others = (0..n).map(id).filter(|id| ranking.first(*id) == other);
    let others = others.collect();
    let mut world = World::new(settings(256), rows);
    world.handle(Input::Members(ranking));
    (world, others)
}

#[test]
fn what_the_other_has_claimed_is_read_together_and_not_claimed() {
    let (mut world, others) = beside_another(200);
    for tenth in 0..600_u32 {
        let now = at(10 * tenth * MS);
        for other in &others {
            let row = world.rows.get_mut(other).unwrap();
            // It claims in time, and records soon.
            if row.due <= now {
                row.status = Status::Sent;
            }
        }
        world.run_until(now);
    }
    assert!((60..=140).contains(&others.len()), "{}", others.len());
    assert_eq!(world.starts, 200 - others.len());
    assert_eq!(world.asked, world.starts, "claims that won nothing");
    assert!(
        others
            .iter()
            .all(|id| world.reactor.lanes.get(*id).is_none())
    );
}

#[test]
fn what_the_other_has_not_claimed_is_taken_over() {
    let (mut world, others) = beside_another(200);
    let mut late = Duration::ZERO;
    for tenth in 0..600_u32 {
        let now = at(10 * tenth * MS);
        let begun = world.starts;
        world.run_until(now);
        let new = world.in_flight.iter().rev().take(world.starts - begun);
        let lateness = new.map(|id| now.since(world.rows[id].due));
        late = lateness.max().unwrap_or_default().max(late);
    }
    assert_eq!(world.starts, 200);
    assert!(!others.is_empty());
    // Its turn, the wait for others to look at, and the steps of this test.
    assert!(late > 100 * MS && late <= 220 * MS, "{late:?}");
}

#[test]
fn what_the_other_has_claimed_and_released_is_taken_over() {
    let (mut world, others) = beside_another(20);
    for other in &others {
        world.rows.get_mut(other).unwrap().status = Status::Sending;
    }
    world.run_until(at(START + SECOND * 2));
    assert_eq!(world.asked, 20 - others.len());
    for other in &others {
        world.rows.get_mut(other).unwrap().status = Status::Pending;
        world.handle(Input::Notification(vec![*other]));
    }
    world.run_until(at(START + SECOND * 4));
    assert_eq!(world.starts, 20);
}
