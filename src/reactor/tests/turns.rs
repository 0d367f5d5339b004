//! Two instances: what it is the other's turn to claim.

use uuid::Uuid;

use super::world::{Row, World, id};
use super::*;
use crate::message::{Channel, InstanceId, MessageId};
use crate::reactor::Input;
use crate::schedule::{HowMany, Ranking, STAGGER};

const MS: Duration = Duration::from_millis(1);

/// The first is due when all have been read again, in the order of both instances.
const START: Duration = Duration::from_secs(3);

/// Some slices of each instance.
const LONG: Duration = Duration::from_secs(10);

fn ranking() -> (Ranking, InstanceId) {
    let (me, other) = (
        InstanceId(Uuid::from_u128(1)),
        InstanceId(Uuid::from_u128(2)),
    );
    (Ranking::new(me, [other]), other)
}

/// Messages, one every 50 ms, of which the other instance has the first turn of about half; and which those are.
fn beside_another(n: u128) -> (World, Vec<MessageId>) {
    let (ranking, other) = ranking();
    let due = |n: u128| at(START + u32::try_from(n).unwrap() * 50 * MS);
    let others = (0..n).filter(|n| ranking.first(id(*n), due(*n), HowMany::Few) == other);
    let others = others.map(id).collect();
    let rows = (0..n).map(|n| Row::due(n, due(n)));
    let mut world = World::new(settings(256), rows);
    world.handle(Input::Members(ranking));
    (world, others)
}

/// As many as these, due at one instant in a slice of this instance; and which are the other's if they are divided.
fn herd(n: u128, settings: Settings) -> (World, Moment, Vec<MessageId>) {
    let (ranking, other) = ranking();
    let mut dues = (0..20).map(|n| at(START + SECOND * n));
    let is_own = |due: &Moment| ranking.first(id(0), *due, HowMany::Few) != other;
    let due = dues.find(is_own).unwrap();
    let others = (0..n).filter(|n| ranking.first(id(*n), due, HowMany::Many) == other);
    let others = others.map(id).collect();
    let mut world = World::new(settings, (0..n).map(|n| Row::due(n, due)));
    world.handle(Input::Members(ranking));
    (world, due, others)
}

#[test]
fn what_the_other_has_claimed_is_read_together_and_not_claimed() {
    let (mut world, others) = beside_another(200);
    world.run_until(at(START.saturating_sub(SECOND)));
    let before = world.reads;
    for tenth in 0..1_500_u32 {
        let now = at(10 * tenth * MS).max(world.now.db);
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
    // Two in each second of the other's slices.
    let (reads, seconds) = (world.reads - before, others.len() / 20);
    assert!(reads <= 3 * seconds, "{reads} reads in {seconds} s");
    assert!(
        others
            .iter()
            .all(|id| world.reactor.lanes.get(*id).is_none())
    );
}

#[test]
fn what_the_other_has_not_claimed_is_taken_over() {
    let (mut world, others) = beside_another(200);
    let mut late = Vec::new();
    for tenth in 0..1_500_u32 {
        let now = at(10 * tenth * MS);
        let begun = world.starts;
        world.run_until(now);
        let new = world.in_flight.iter().rev().take(world.starts - begun);
        late.extend(new.map(|id| now.since(world.rows[id].due)));
    }
    assert_eq!(world.starts, 200);
    assert!(!others.is_empty());
    // Its turn, the wait for others to look at, and the steps of this test.
    let latest = late.iter().max().unwrap();
    assert!(*latest > 500 * MS && *latest <= 720 * MS, "{latest:?}");
    // Once it is known that the other leaves its messages, they are looked at sooner.
    let slow = late.iter().filter(|late| **late > 320 * MS).count();
    assert!(slow <= 12, "{slow} of {}", others.len());
}

#[test]
fn what_the_other_has_claimed_and_released_is_taken_over() {
    let (mut world, others) = beside_another(100);
    for other in &others {
        world.rows.get_mut(other).unwrap().status = Status::Sending;
    }
    world.run_until(at(START + LONG));
    assert!(!others.is_empty());
    assert_eq!(world.asked, 100 - others.len());
    for other in &others {
        world.rows.get_mut(other).unwrap().status = Status::Pending;
        world.handle(Input::Notification(vec![*other]));
    }
    world.run_until(at(START + LONG + SECOND * 2));
    assert_eq!(world.starts, 100);
}

#[test]
fn more_than_one_can_start_in_time_is_divided_from_the_start() {
    let mut settings = settings(256);
    Arc::make_mut(&mut settings.limits).claims.alone_max = 49;
    let (mut world, due, others) = herd(100, settings);
    world.run_until(due + 50 * MS);
    assert!((30..=70).contains(&others.len()), "{}", others.len());
    assert_eq!(world.starts, 100 - others.len());
    assert_eq!(world.asked, world.starts);
    // What the other leaves is taken over.
    world.run_until(due + SECOND);
    assert_eq!(world.starts, 100);
}

/// Claims and records are of all lanes together.
#[test]
fn the_herds_of_several_lanes_are_counted_together() {
    let mut settings = settings(256);
    Arc::make_mut(&mut settings.limits).claims.alone_max = 40;
    let (world, due, others) = herd(100, settings.clone());
    let lanes = [Channel::Sms, Channel::Email, Channel::Webhook]
        .into_iter()
        .cycle();
    let rows = world
        .rows
        .into_values()
        .zip(lanes)
        .map(|(row, lane)| row.over(lane));
    let mut world = World::new(settings, rows);
    world.handle(Input::Members(ranking().0));
    world.run_until(due + 50 * MS);
    assert_eq!(world.starts, 100 - others.len());
    assert_eq!(world.asked, world.starts);
}

#[test]
fn what_another_may_count_otherwise_is_looked_at_once() {
    let mut settings = settings(256);
    Arc::make_mut(&mut settings.limits).claims.alone_max = 51;
    let (mut world, due, others) = herd(100, settings);
    world.run_until(due + 10 * MS);
    assert_eq!(world.starts, 100 - others.len());
    world.run_until(due + 100 * MS);
    assert_eq!(world.starts, 100);
}

#[test]
fn what_it_could_not_start_in_time_is_divided() {
    // One instance claims so many. But their requests take longer.
    let mut settings = settings(256);
    Arc::make_mut(&mut settings.limits).claims.batch = 20;
    let (mut world, due, others) = herd(1_000, settings);
    world.run_until(due + STAGGER + 20 * MS);
    assert_eq!(world.starts, 256);
    let claimed = world.count(Status::Sending);
    let mut left = 0;
    for other in &others {
        let row = world.rows.get_mut(other).unwrap();
        if row.status == Status::Pending {
            (row.status, left) = (Status::Sent, left + 1);
        }
    }
    assert!(left > 100, "{left}");
    world.answer_all(&accepted(), due + LONG);
    assert_eq!(world.starts, 1_000 - left);
    // With the last claims it has caught up, and does not ask whose they are.
    let lost = world.asked - world.starts;
    assert!(lost <= 40, "{lost}, {claimed} were claimed before");
}

#[test]
fn an_instance_that_was_held_up_for_a_moment_claims_its_slice_all_the_same() {
    let (mut world, due, _) = herd(40, settings(256));
    world.run_until(due - SECOND);
    world.pass_to(due + STAGGER * 2);
    assert_eq!(world.starts, 40);
}

#[test]
fn what_the_other_has_not_started_is_left_to_it_while_there_is_enough_to_do() {
    // Each has more than it can start: no request ends for a while.
    let mut settings = settings(8);
    let claims = &mut Arc::make_mut(&mut settings.limits).claims;
    (claims.batch, claims.alone_max) = (20, 100);
    let (mut world, due, others) = herd(1_000, settings);
    world.run_until(due + SECOND * 2);
    assert_eq!(world.starts, 8);
    let is_sending = |id: &&MessageId| world.rows[*id].status == Status::Sending;
    assert_eq!(others.iter().filter(is_sending).count(), 0);
    for other in &others {
        world.rows.get_mut(other).unwrap().status = Status::Sent;
    }
    world.answer_all(&accepted(), due + LONG);
    assert_eq!(world.starts, 1_000 - others.len());
    let lost = world.asked - world.starts;
    assert!(lost <= 40, "{lost} were claimed in vain");
}
