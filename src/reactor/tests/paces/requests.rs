//! When slots are asked for, how many, and until when.

use super::super::pauses::Pauses;
use super::super::unpaid;
use super::*;
use crate::message::{Pause, PauseKey, PauseScope};
use crate::reactor::events::EventKind;

/// However many recipients have opted out, the message behind theirs starts in the slot.
#[test]
fn what_opted_out_recipients_do_not_get_delays_no_other() {
    let mut world = World::new(settings(8), paced(30));
    world.paces.opted_out = (0..29).map(|n| id(FIRST + n)).collect();
    // Each claim takes as long as others do.
    world.run_until(at(2 * SECOND));
    assert_eq!(world.in_flight, [id(FIRST + 29)]);
    let (events, _) = world.reactor.take_events();
    let cancelled = events.iter().filter(|event| {
        event.what == EventKind::Cancelled && event.category == Some(ReasonKind::OptedOut.as_str())
    });
    assert_eq!(cancelled.count(), 29, "each is reported");
}

/// Several senders have a rate: of their slots no more are taken than messages can start.
#[test]
fn no_more_slots_are_asked_for_than_permits_are_free() {
    let mut world = World::new(settings(2), []);
    let due = |n| PaceDue {
        id: PaceId(Uuid::from_u128(n)),
        ..Paces::default().due(at(SECOND))
    };
    world.handle(Input::PacesLoaded((1..=5).map(due).collect()));
    world.paces.is_silent = true;
    world.run_until(at(SECOND));
    let lane = world.reactor.lanes.find(&LaneKey::of(Channel::Sms));
    let load = world.reactor.lanes[lane.expect("it is asked for")].load;
    assert_eq!(load.paced_asks, 2);
}

/// The sweep that follows its removal finds that a pace is gone, also if its next slot is after all that is read.
#[test]
fn a_pace_that_was_removed_is_not_reported_until_its_slot() {
    let mut world = World::new(settings(8), []);
    world.paces.next = at(7_200 * SECOND);
    world.rows.extend(paced(2).map(|row| (row.id, row)));
    world.handle(Input::PacesChanged);
    world.run_until(at(20 * SECOND));
    assert_eq!(world.reactor.paces().len(), 1);
    world.rows.clear();
    world.handle(Input::PacesChanged);
    world.run_until(at(40 * SECOND));
    assert_eq!(world.reactor.paces().len(), 0);
}

/// The provider refuses the lane of the second message: it is claimed once, before that is known, and not again.
#[test]
fn a_message_whose_lane_is_refused_is_not_claimed_until_that_takes_it() {
    let first = SECOND / 2;
    let rows = [
        Row::due(1, at(first)),
        Row::due(FIRST, at(SECOND)).over(Channel::Webhook),
        Row::due(FIRST + 1, at(SECOND)).over(Channel::Sms),
    ];
    let mut world = World::new(settings(8), rows);
    world.paces.gap = Some(SECOND);
    world.run_until(at(first));
    world.answer(id(1), unpaid());
    world.run_until(at(2 * SECOND));
    assert_eq!(world.in_flight, [id(FIRST)]);
    world.run_until(at(9 * SECOND));
    assert_eq!(world.in_flight, [id(FIRST)]);
    let asked = world.paces.asked.len();
    assert!(asked <= 4, "{asked}");
}

/// The order is kept: the campaign waits for the lane of its first message. Nothing else does.
#[test]
fn a_refused_lane_holds_the_campaign_whose_first_message_goes_by_it_and_nothing_else() {
    let first = SECOND / 2;
    let rows = [
        Row::due(1, at(first)),
        Row::due(FIRST, at(SECOND)),
        Row::due(FIRST + 1, at(SECOND)).over(Channel::Webhook),
        Row::due(2, at(3 * SECOND)).over(Channel::Webhook),
    ];
    let mut world = World::new(settings(8), rows);
    world.run_until(at(first));
    world.answer(id(1), unpaid());
    world.run_until(at(3 * SECOND));
    assert_eq!(world.in_flight, [id(2)]);
    world.answer(id(2), accepted());
    let reported = world.reactor.paces();
    let reported = reported.iter().map(|pace| (pace.channel, pace.refused));
    assert_eq!(reported.collect::<Vec<_>>(), [("sms", true)]);
    assert!(world.paces.asked.is_empty());

    // The next try of one of the two by that lane ends it.
    let mut begun = Vec::new();
    while world.count(Status::Sent) < 4 {
        assert!(world.now.db < at(1_000 * SECOND), "{begun:?}");
        world.run_until(world.now.db + SECOND);
        for id in world.in_flight.clone() {
            begun.push(id);
            world.answer(id, accepted());
        }
    }
    begun.retain(|begun| world.paces.has(*begun));
    assert_eq!(begun, [id(FIRST), id(FIRST + 1)]);
    let reported = world.reactor.paces();
    assert!(reported.iter().all(|pace| !pace.refused), "{reported:?}");
}

/// Of two paces one is asked, because the other one's first message goes by a refused lane.
#[test]
fn a_pace_does_not_wait_for_the_lane_of_another() {
    let first = SECOND / 2;
    let mut world = World::new(settings(8), [Row::due(1, at(first))]);
    world.run_until(at(first));
    world.answer(id(1), unpaid());
    let due = |n, channel| PaceDue {
        id: PaceId(Uuid::from_u128(n)),
        ..Paces::default().due_by(LaneKey::of(channel), at(SECOND))
    };
    let both = vec![due(1, Channel::Sms), due(2, Channel::Webhook)];
    world.handle(Input::PacesLoaded(both));
    world.paces.is_silent = true;
    world.run_until(at(SECOND));
    let asked = world.reactor.paces.audit();
    let lane = world.reactor.lanes.find(&LaneKey::of(Channel::Webhook));
    assert_eq!(asked, BTreeMap::from([(lane.expect("it is asked for"), 1)]));
}

/// Its next message has no time any more.
#[test]
fn a_pace_whose_campaign_is_paused_is_not_reported() {
    let mut world = World::new(settings(8), [Row::due(FIRST, at(600 * SECOND))]);
    world.run_until(at(SECOND));
    let reported = |world: &World| world.reactor.paces().len();
    assert_eq!(reported(&world), 1);
    for (scope, what, left) in [
        (PauseScope::Campaign, "1", 0),
        (PauseScope::Campaign, "2", 1),
        (PauseScope::Everything, "", 0),
    ] {
        let key = PauseKey {
            scope,
            what: what.into(),
        };
        for (until, left) in [(Moment::MAX, left), (at(60 * SECOND), 1)] {
            let pause = Pause {
                key: key.clone(),
                until,
            };
            world.pauses = Pauses::only(pause);
            world.handle(Input::PausesChanged);
            assert_eq!(reported(&world), left, "{key:?} {until}");
        }
    }
}

/// What another transaction has locked is asked for less and less often, and soon after it is free.
#[test]
fn a_locked_message_is_claimed_again_after_a_pause_that_grows() {
    let mut world = World::new(settings(8), paced(1));
    world.paces.is_locked = true;
    world.run_until(at(3 * SECOND));
    let asked = &world.paces.asked;
    let pauses = asked.windows(2).map(|pair| pair[1].since(pair[0]));
    let pauses: Vec<_> = pauses.collect();
    assert!((5..=14).contains(&pauses.len()), "{pauses:?}");
    assert!(pauses[pauses.len() - 1] > 4 * pauses[0], "{pauses:?}");
    world.paces.is_locked = false;
    world.run_until(at(5 * SECOND));
    assert_eq!(world.in_flight, [id(FIRST)]);
}

/// A message is claimed again while the record of its claim before is on its way: the second claim is released, and
/// counts as ahead until that is recorded.
#[test]
fn a_claim_beside_another_of_its_message_counts_until_its_release_is_recorded() {
    let mut world = World::new(settings(8), paced(1));
    world.run_until(at(SECOND));
    world.takes_no_records = true;
    world.answer(id(FIRST), accepted());
    // As far as the database is concerned the message waits again.
    let pace = PaceId(Uuid::from_u128(1));
    let now = world.now.db;
    world.paces = Paces {
        is_silent: true,
        ..Paces::default()
    };
    world.handle(Input::PacesLoaded(vec![world.paces.due(now)]));
    world.run_until(now + 2 * SECOND);
    assert!(world.reactor.paces.is_asking());
    let row = world.rows.get_mut(&id(FIRST)).expect("it is there");
    (row.status, row.due) = (Status::Pending, now);
    let ask = PaceRequest {
        pace,
        token: AttemptToken::fresh(),
        slack: PACE_SLACK,
        via: None,
    };
    let won = world.paces.win(&mut world.rows, ask, world.now.db);
    let won = PacedResponse::Won(Box::new(won.expect("it can be claimed")));
    world.handle(Input::PacesClaimed {
        answers: vec![(pace, won)],
        took: None,
    });
    assert_eq!(world.reactor.ahead(), 1);
    world.takes_no_records = false;
    world.answer_claims();
    world.run_until(now + 4 * SECOND);
    assert_eq!(world.reactor.ahead(), 0);
}
