//! What one lane's provider does affects only that lane, and what all lanes share is shared fairly.

use super::super::Input;
use super::super::report::LaneReport;
use super::world::{Claims, Row, World, id};
use super::*;
use crate::message::{Channel, LaneKey, Priority};

/// Rows due together, over one channel.
fn rows(ids: std::ops::Range<u128>, due: Duration, channel: Channel) -> impl Iterator<Item = Row> {
    ids.map(move |n| Row::due(n, at(due)).over(channel))
}

fn lane(world: &World, channel: Channel) -> Option<LaneReport> {
    let mut lanes = world.reactor.lanes(world.now).into_iter();
    lanes.find(|lane| lane.channel == channel.as_str())
}

/// How many of these are on their way.
fn flying(world: &World, ids: std::ops::Range<u128>) -> usize {
    ids.filter(|n| world.in_flight.contains(&id(*n))).count()
}

#[test]
fn a_refused_lane_holds_no_other() {
    let hooks = rows(0..6, SECOND, Channel::Webhook);
    let texts = rows(10..16, SECOND * 2, Channel::Sms);
    let mut world = World::new(settings(16), hooks.chain(texts));
    world.run_until(at(SECOND));
    world.answer(id(0), unpaid());
    assert_eq!(world.reactor.take_breaker_turns().len(), 1);
    world.run_until(at(SECOND * 2));
    assert_eq!(flying(&world, 10..16), 6, "at their time, all of them");
    let (hooks, texts) = (lane(&world, Channel::Webhook), lane(&world, Channel::Sms));
    assert_eq!(
        hooks.map(|lane| (lane.refused, lane.breaker.reason)),
        Some((1, Some(20003)))
    );
    assert_eq!(texts.map(|lane| lane.refused), Some(0));
    // A response in one lane means nothing for the other.
    world.answer(id(10), accepted());
    assert!(world.reactor.breaker(world.now).open);
    world.answer(id(11), unpaid());
    assert_eq!(lane(&world, Channel::Sms).map(|lane| lane.refused), Some(1));
    let turns = world.reactor.take_breaker_turns();
    assert_eq!(turns.len(), 1);
    assert_eq!(turns[0].lane, LaneKey::of(Channel::Sms));
}

#[test]
fn a_lane_that_is_slow_leaves_half_of_what_is_free() {
    let hooks = rows(0..40, SECOND, Channel::Webhook);
    let mails = rows(100..140, SECOND * 2, Channel::Email);
    let texts = rows(200..240, SECOND * 3, Channel::Sms);
    let mut world = World::new(settings(16), hooks.chain(mails).chain(texts));
    world.run_until(at(SECOND));
    assert_eq!(flying(&world, 0..40), 8);
    world.run_until(at(SECOND * 2));
    assert_eq!((flying(&world, 0..40), flying(&world, 100..140)), (8, 4));
    world.run_until(at(SECOND * 3));
    assert_eq!(flying(&world, 200..240), 2, "none of the others has ended");
    // As requests end, all get the same share: a quarter for each, and one for a further lane.
    for _ in 0..200 {
        let oldest = world.in_flight[0];
        world.answer(oldest, accepted());
        assert!(world.in_flight.len() <= 16);
        if world.count(Status::Pending) + world.count(Status::Sending) < 40 {
            break;
        }
        for lane in [0..40, 100..140, 200..240] {
            let own = flying(&world, lane);
            assert!(own <= 16 - (world.in_flight.len() - own), "{own}");
        }
    }
}

#[test]
fn the_only_lane_takes_everything() {
    let mut world = World::new(settings(16), rows(0..40, SECOND, Channel::Webhook));
    world.run_until(at(SECOND));
    assert_eq!(world.in_flight.len(), 16);
    assert_eq!(world.reactor.lanes(world.now).len(), 1);
}

#[test]
fn a_throttled_lane_lowers_its_own_permits() {
    let hooks = rows(0..20, SECOND, Channel::Webhook);
    let texts = rows(100..104, SECOND * 2, Channel::Sms);
    let mut world = World::new(settings(16), hooks.chain(texts));
    world.run_until(at(SECOND));
    for n in 0..8 {
        world.answer(id(n), throttled(SECOND * 30));
    }
    let permits = |world: &World, channel| lane(world, channel).map(|lane| lane.permits);
    assert_eq!(permits(&world, Channel::Webhook), Some(4));
    assert_eq!(permits(&world, Channel::Sms), Some(16));
    world.run_until(at(SECOND * 2));
    assert_eq!(flying(&world, 100..104), 4);
}

#[test]
fn a_herd_of_one_lane_leaves_a_claim_to_the_others() {
    let hooks = rows(0..2_000, SECOND, Channel::Webhook);
    let texts = rows(5_000..5_002, SECOND, Channel::Sms);
    let mut world = World::new(settings(64), hooks.chain(texts));
    world.claims = Claims::Slow;
    world.run_until(at(SECOND) - Duration::from_millis(40));
    // In the first claim, whatever is before them.
    let asked = |world: &World, ids: std::ops::Range<u128>| {
        ids.filter(|n| world.rows[&id(*n)].status == Status::Sending)
            .count()
    };
    assert_eq!(asked(&world, 5_000..5_002), 2);
    let first = asked(&world, 0..2_000);
    assert!(
        (1..=250).contains(&first),
        "{first} in one claim, and in no second"
    );
    world.insert(Row::due(6_000, at(SECOND)).over(Channel::Email));
    assert_eq!(
        asked(&world, 6_000..6_001),
        1,
        "there is a claim left for it"
    );
}

#[test]
fn a_lane_is_there_while_something_names_it() {
    let mut world = World::new(settings(4), rows(0..1, SECOND, Channel::Webhook));
    let names = |world: &World| -> Vec<_> {
        let lanes = world.reactor.lanes(world.now).into_iter();
        lanes.map(|lane| lane.channel).collect()
    };
    world.insert(Row::due(1, at(MINUTE * 30)));
    assert_eq!(names(&world), ["sms", "webhook"]);
    world.run_until(at(SECOND));
    world.answer(id(0), accepted());
    world.run_until(at(MINUTE));
    assert_eq!(names(&world), ["sms"]);
    // The first is gone and comes back, and finds its place.
    world.insert(Row::due(2, at(MINUTE * 2)).over(Channel::Webhook));
    world.run_until(at(MINUTE * 2));
    assert_eq!(world.in_flight, [id(2)]);
    world.answer(id(2), unpaid());
    world.rows.get_mut(&id(2)).unwrap().status = Status::Cancelled;
    world.handle(Input::Notification(vec![id(2)]));
    world.run_until(at(MINUTE * 5));
    assert_eq!(
        names(&world),
        ["sms", "webhook"],
        "that it is refused is worth knowing"
    );
    world.run_until(at(MINUTE * 20));
    assert_eq!(names(&world), ["sms"]);
}

#[test]
fn a_message_goes_by_the_lane_it_has_last() {
    let mut world = World::new(settings(4), rows(0..3, SECOND * 5, Channel::Webhook));
    world.insert(Row::due(9, at(SECOND)).over(Channel::Webhook));
    world.run_until(at(SECOND));
    world.answer(id(9), unpaid());
    // Known.
    world.rows.get_mut(&id(1)).unwrap().lane = LaneKey::default();
    world.handle(Input::Notification(vec![id(1)]));
    assert_eq!(lane(&world, Channel::Sms).map(|lane| lane.armed), Some(1));
    world.run_until(at(SECOND * 5));
    assert_eq!(world.in_flight, [id(1)]);
    world.answer(id(1), accepted());
    // Not known before the claim: it finds the lane that it must wait for.
    world.insert(Row::due(4, at(SECOND * 20)));
    world.rows.get_mut(&id(4)).unwrap().lane = LaneKey::of(Channel::Webhook);
    world.run_until(at(SECOND * 20));
    assert!(world.in_flight.is_empty());
    assert_eq!(world.rows[&id(4)].status, Status::Pending, "released");
    assert_eq!(
        lane(&world, Channel::Webhook).map(|lane| lane.armed),
        Some(4)
    );
}

#[test]
fn hosts_beyond_the_bound_share_a_lane() {
    let mut settings = settings(4);
    settings.limits = {
        let mut limits = crate::limits::Limits::default();
        limits.lanes.max = 3;
        limits.into()
    };
    let mut world = World::new(settings, []);
    for n in 0..9_u128 {
        let mut row = Row::due(n, at(MINUTE));
        row.lane = LaneKey::of(Channel::Webhook).with_host(&format!("{n}.example"));
        world.insert(row);
    }
    let hooks = lane(&world, Channel::Webhook).unwrap();
    assert_eq!((hooks.lanes, hooks.armed), (4, 9));
}

#[test]
fn records_of_all_lanes_are_in_each_group() {
    let hooks = rows(0..1_500, SECOND, Channel::Webhook);
    let texts = rows(5_000..5_010, SECOND * 2, Channel::Sms);
    let mut world = World::new(settings(2_000), hooks.chain(texts));
    world.takes_no_records = true;
    world.run_until(at(SECOND));
    for n in 0..999 {
        world.answer(id(n), accepted());
    }
    world.run_until(at(SECOND * 2));
    for n in 5_000..5_010 {
        world.answer(id(n), accepted());
    }
    // The group that was sent first fails; the next, after a pause, has the few of the other lane.
    world.takes_no_records = false;
    world.answer_claims();
    world.run_until(at(SECOND * 2 + SECOND / 100));
    let sent = (5_000..5_010).filter(|n| world.rows[&id(*n)].status == Status::Sent);
    assert_eq!(sent.count(), 10);
}

#[test]
fn a_turn_looks_at_the_lanes_whose_time_has_come() {
    const LANES: u64 = 300;
    let mut world = World::new(settings(256), []);
    // One message every 10 ms, by each lane in its turn.
    for n in 0..LANES * 10 {
        let mut row = Row::due(n.into(), at(SECOND * 5 + Duration::from_millis(n * 10)));
        row.lane = LaneKey::of(Channel::Webhook).with_host(&format!("{}.example", n % LANES));
        world.insert(row);
    }
    let looks = |world: &World| {
        let lanes = &world.reactor.lanes;
        [&lanes.due, &lanes.advance, &lanes.prewarm].map(|order| order.looks.get())
    };
    let before = looks(&world);
    let mut sent = 0;
    for second in 5..36 {
        world.run_until(at(SECOND * second));
        while let Some(id) = world.in_flight.first().copied() {
            world.answer(id, accepted());
            sent += 1;
        }
    }
    assert_eq!(sent, 3_000);
    let after = looks(&world);
    let each: Vec<_> = before
        .iter()
        .zip(after)
        .map(|(b, a)| (a - b) / sent)
        .collect();
    // Each message is claimed, started, completed and recorded: some ten turns of the loop.
    assert!(
        each.iter().all(|looks| *looks <= 60),
        "{each:?} looks a message"
    );
}

#[test]
fn a_turn_brings_no_more_into_order_than_a_stretch_of_all_lanes_together() {
    const LANES: u128 = 40;
    const EACH: u128 = 60;
    const STRETCH: usize = 100;
    let mut own = limits();
    own.intake.stretch = STRETCH;
    let settings = Settings {
        limits: Arc::new(own),
        ..settings(4_000)
    };
    let hooks = (0..LANES * EACH).map(|n| {
        let micros = u64::try_from(n / LANES).unwrap();
        let due = at(SECOND * 30 + Duration::from_micros(micros));
        let mut row = Row::due(n, due).with(Priority::ALL[usize::try_from(n % 4).unwrap()]);
        row.lane = LaneKey::of(Channel::Webhook).with_host(&format!("{}.example", n % LANES));
        row
    });
    let mut world = World::new(settings, hooks);
    world.run_until(at(SECOND * 29));
    // What is armed meanwhile for a lane of its own waits for no herd.
    world.insert(Row::due(9_000, at(SECOND * 29)));
    assert_eq!(world.in_flight, [id(9_000)]);
    while world.count(Status::Sent) < 2_401 {
        let oldest = world.in_flight[0];
        world.answer(oldest, accepted());
        world.run_until(world.now.db + Duration::from_millis(1));
        if world.in_flight.is_empty() {
            world.run_until(at(SECOND * 31));
        }
    }
    let longest = world.reactor.lanes.longest_advance;
    assert!((STRETCH / 2..=STRETCH).contains(&longest), "{longest}");
}
