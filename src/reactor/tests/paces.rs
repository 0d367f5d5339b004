//! Claims from paces: what a drain and other claims have to do with them.

use std::time::Duration;

use uuid::Uuid;

use super::world::{Row, World, id};
use super::{SECOND, at, settings};
use crate::message::{Channel, LaneKey, PaceDue, PaceId};
use crate::reactor::Input;

/// A world with a claim from a pace under way.
fn asking(rows: impl IntoIterator<Item = Row>) -> World {
    let mut world = World::new(settings(8), rows);
    world.handle(Input::PacesLoaded(vec![PaceDue {
        id: PaceId(Uuid::from_u128(1)),
        scope: "campaign".into(),
        what: "1".into(),
        at: at(SECOND),
        lane: LaneKey::of(Channel::Sms),
    }]));
    world.run_until(at(SECOND));
    assert!(world.reactor.paces.is_asking());
    world
}

/// It may be committed: a process that ended now would leave its message as if it might have been sent.
#[test]
fn a_drain_waits_for_the_answer_of_a_claim_from_a_pace() {
    let mut world = asking([]);
    world.handle(Input::Drain);
    assert!(!world.reactor.is_drained());
    let answers = Vec::new();
    world.handle(Input::PacesClaimed { answers });
    assert!(world.reactor.is_drained());
}

#[test]
fn a_claim_from_a_pace_that_fails_makes_no_other_message_wait() {
    let due = at(SECOND + Duration::from_millis(3));
    let mut world = asking([Row::due(1, due)]);
    let answers = Vec::new();
    world.handle(Input::PacesClaimed { answers });
    world.run_until(due);
    assert_eq!(world.in_flight, [id(1)]);
}
