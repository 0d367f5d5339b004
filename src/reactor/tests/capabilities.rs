//! What the provider can do limits what is sent at once.

use super::*;
use crate::message::{AttemptToken, Capabilities, Channel, ProviderCapabilities};
use crate::reactor::{Input, Reactor};

#[test]
fn a_lane_has_no_more_requests_at_once_than_its_provider_takes() {
    let due = Moment::from_micros(1_000_000);
    let lanes = [(0..40, Channel::Sms), (100..140, Channel::Webhook)];
    let rows = lanes
        .clone()
        .into_iter()
        .flat_map(|(ids, channel)| ids.map(move |n| Row::due(n, due).over(channel)));
    let mut world = World::new(settings(16), rows);
    world.reactor = Reactor::new(settings(16), world.now, AttemptToken::fresh).with_capabilities(
        ProviderCapabilities::all(Capabilities {
            max_in_flight: 3,
            ..Capabilities::SENDS_ONLY
        }),
    );
    world.handle(Input::ChannelUp { unnotified: false });
    world.run_until(due);
    for (ids, channel) in lanes {
        let flying = world
            .in_flight
            .iter()
            .filter(|at| ids.clone().any(|n| id(n) == **at));
        assert_eq!(flying.count(), 3, "{channel:?}");
    }
    // One that ends makes room for one.
    let first = world.in_flight[0];
    world.answer(first, accepted());
    assert_eq!((world.in_flight.len(), world.starts), (6, 7));
}
