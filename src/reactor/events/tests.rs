//! Which events there are, and which are left out.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::limits::Limits;
use crate::reactor::report::TimersQuery;
use crate::reactor::tests::world::{Row, World, id};
use crate::reactor::{Input, Settings};
use crate::schedule::LeadSetting;

fn world(rows: impl IntoIterator<Item = Row>) -> World {
    let settings = Settings {
        horizon: Duration::from_secs(3_600),
        lead: LeadSetting::Auto,
        max_in_flight: 8,
        lease: Duration::from_secs(30),
        send_timeout: Duration::from_secs(10),
        limits: Arc::default(),
    };
    World::new(settings, rows)
}

fn at(ms: u64) -> Moment {
    Moment::from_micros(0) + Duration::from_millis(ms)
}

fn events(world: &mut World) -> Vec<(MessageId, EventKind)> {
    let (events, left_out) = world.reactor.take_events();
    assert_eq!(left_out, 0);
    events
        .into_iter()
        .map(|event| (event.id, event.what))
        .collect()
}

#[test]
fn every_step_of_a_message_is_an_event() {
    let mut world = world([Row::due(1, at(60_000))]);
    assert_eq!(events(&mut world), [(id(1), EventKind::Armed)]);
    world.insert(Row::due(1, at(30_000)));
    let (moved, _) = world.reactor.take_events();
    assert_eq!(moved[0].what, EventKind::Moved);
    assert_eq!(moved[0].was_due_at, Some(at(60_000)));
    assert_eq!(moved[0].due_at, Some(at(30_000)));
    // Nothing new: no event.
    world.handle(Input::Notification(vec![id(1)]));
    assert_eq!(events(&mut world), []);

    world.run_until(at(30_000));
    assert_eq!(events(&mut world), [(id(1), EventKind::Claimed)]);
    world.answer(
        id(1),
        Outcome::Accepted {
            sid: crate::message::ProviderSid("SM1".into()),
        },
    );
    let (sent, _) = world.reactor.take_events();
    assert_eq!(sent[0].what, EventKind::Sent);
    assert_eq!(sent[0].attempt, Some(1));
    let late = sent[0].late.unwrap();
    assert_eq!(
        late.policy_us + late.claim_us + late.wake_us,
        late.lateness_us
    );
}

#[test]
fn of_several_parts_it_is_said_which_one_is_sent() {
    let mut second = Row::due(1, at(30_000));
    second.part = Part { before: 1, of: 3 };
    let mut world = world([second, Row::due(2, at(30_000))]);
    world.run_until(at(30_000));
    let query = TimersQuery {
        limit: 10,
        before: None,
        id: None,
    };
    let owner = crate::message::InstanceId(uuid::Uuid::nil());
    let timers = world.reactor.timers(query, owner, world.now);
    let parts = timers
        .iter()
        .map(|timer| (timer.id, timer.part.map(|part| part.to_string())));
    let expected = [(id(1), Some("2 of 3".to_owned())), (id(2), None)];
    assert_eq!(
        parts.collect::<std::collections::BTreeMap<_, _>>(),
        expected.into()
    );
    for n in [1, 2] {
        let sid = crate::message::ProviderSid("SM1".into());
        world.answer(id(n), Outcome::Accepted { sid });
    }
    let (events, _) = world.reactor.take_events();
    for event in events.iter().filter(|event| event.what != EventKind::Armed) {
        let written = serde_json::to_value(event).unwrap();
        let part = written.get("part").and_then(|part| part.as_str());
        assert_eq!(part, (event.id == id(1)).then_some("2 of 3"), "{written}");
    }
}

#[test]
fn what_is_cancelled_or_deleted_is_disarmed() {
    let mut world = world([Row::due(1, at(60_000)), Row::due(2, at(60_000))]);
    world.reactor.take_events();
    if let Some(row) = world.rows.get_mut(&id(1)) {
        row.status = Status::Cancelled;
    }
    world.handle(Input::Notification(vec![id(1)]));
    let (gone, _) = world.reactor.take_events();
    assert_eq!(gone[0].what, EventKind::Disarmed);
    assert_eq!(gone[0].status, Some("cancelled"));
}

#[test]
fn a_flood_is_counted_and_not_kept() {
    let rows = (0..3_000).map(|n| Row::due(n, at(600_000)));
    let mut world = world(rows);
    let (events, left_out) = world.reactor.take_events();
    assert_eq!(events.len(), Limits::default().events.agenda_max);
    assert_eq!(events.len() as u64 + left_out, 3_000);
}

#[test]
fn kinds_are_written_as_they_are_named() {
    for what in EventKind::ALL {
        let written = serde_json::to_value(what).unwrap();
        assert_eq!(written, what.as_str());
    }
}
