//! Messages that name no account: by which one they go, and that none goes by two of which one may have taken it.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::message::{AttemptToken, Channel, LaneKey, Routes};
use crate::reactor::Reactor;

/// Texts go by `default`, and else by `eu`, and else by `us`.
fn routes() -> Arc<Routes> {
    let mut routes = Routes::default();
    for name in ["eu", "us"] {
        routes.add(name, None, &[]).unwrap();
    }
    Arc::new(routes.with_list("sms = default, eu, us".parse().unwrap()))
}

/// These rows, of which those with an even number name no account.
fn world(rows: impl Iterator<Item = Row>, at_once: usize) -> World {
    let routes = routes();
    let route = routes.queue(Channel::Sms, None, None);
    let rows = rows.map(|row| match row.id.0.as_u128() % 2 {
        0 => row.by(route.clone()),
        _ => row,
    });
    let mut world = World::new(settings(at_once), rows);
    world.reactor = Reactor::new(settings(at_once), world.now, AttemptToken::fresh)
        .with_routes(Arc::clone(&routes));
    world.routes = routes;
    world.handle(Input::ChannelUp { unnotified: false });
    world
}

fn requested(world: &World, n: u128) -> String {
    world
        .requested
        .get(&id(n))
        .map_or_else(String::new, |by| by.join(" "))
}

/// Answers each request by its account, until then.
fn answer_each(world: &mut World, until: Moment, mut outcome: impl FnMut(u128, &str) -> Outcome) {
    while world.now.db < until {
        for _ in 0..TURNS {
            let Some(own) = world.in_flight.first().copied() else {
                break;
            };
            let by = world.rows[&own].chosen.account().to_owned();
            let outcome = outcome(own.0.as_u128(), &by);
            world.answer(own, outcome);
        }
        world.run_until(world.now.db + SECOND / 2);
    }
}

/// More requests within half a second are a loop that does not get on.
const TURNS: usize = 2_000;

#[test]
fn what_a_refused_account_has_not_accepted_goes_by_the_next_at_once() {
    let mut world = world((0..200).map(|n| Row::due(n, at(SECOND))), 16);
    world.run_until(at(SECOND));
    let refuses = |_, by: &str| {
        if by == "default" {
            unpaid()
        } else {
            accepted()
        }
    };
    answer_each(&mut world, at(SECOND * 4), refuses);
    for n in 0..200 {
        let (row, by) = (&world.rows[&id(n)], requested(&world, n));
        if n % 2 == 0 {
            assert_eq!(row.status, Status::Sent, "{n}");
            assert!(["eu", "default eu"].contains(&&*by), "{n}: {by}");
        } else {
            // It names its account, and waits for it.
            assert_eq!(row.status, Status::Pending, "{n}: {by}");
        }
    }
    let tried = (0..200).filter(|n| requested(&world, *n).contains("default"));
    assert!(tried.count() <= 16, "no more than were on their way");
    // After five minutes one of those that wait tries the account; once it accepts, all go by it.
    answer_each(&mut world, at(MINUTE * 6), |_, _| accepted());
    assert_eq!(world.count(Status::Sent), 200);
    let route = world.routes.queue(Channel::Sms, None, None);
    world.insert(Row::due(1_000, at(MINUTE * 6)).by(route));
    answer_each(&mut world, at(MINUTE * 6 + SECOND), |_, _| accepted());
    assert_eq!(requested(&world, 1_000), "default");
}

#[test]
fn a_refused_account_is_tried_by_one_that_goes_on_by_the_next() {
    let due = |n: u128| at(SECOND * u32::try_from(n).unwrap());
    let mut world = world((1..500).map(|n| Row::due(n * 2, due(n))), 16);
    let refuses = |_, by: &str| {
        if by == "default" {
            unpaid()
        } else {
            accepted()
        }
    };
    answer_each(&mut world, at(MINUTE * 6), refuses);
    let tried = (1..500).filter(|n| requested(&world, n * 2).starts_with("default"));
    let tried: Vec<_> = tried.collect();
    assert_eq!(tried.len(), 2, "the first, and a probe: {tried:?}");
    assert_eq!(world.count(Status::Sent), 359);
}

#[test]
fn an_account_that_cannot_be_reached_is_passed_over_until_one_gets_through() {
    let due = |n: u128| at(SECOND * u32::try_from(n).unwrap());
    let mut world = world((1..60).map(|n| Row::due(n * 2, due(n))), 16);
    let away = |_, by: &str| {
        if by == "default" {
            unsent()
        } else {
            accepted()
        }
    };
    answer_each(&mut world, at(SECOND * 30), away);
    let tried = |world: &World| {
        let tried = (1..60).filter(|n| requested(world, n * 2).starts_with("default"));
        tried.count()
    };
    assert!(
        (2..=4).contains(&tried(&world)),
        "about every ten seconds: {}",
        tried(&world)
    );
    assert_eq!(world.count(Status::Sent), 29);
    let before = tried(&world);
    answer_each(&mut world, at(MINUTE), |_, _| accepted());
    assert!(tried(&world) > before + 15, "they go by the first again");
    assert_eq!(world.count(Status::Sent), 59);
}

#[test]
fn while_no_account_takes_any_they_wait_and_are_not_tried_over_and_over() {
    let mut world = world((0..100).map(|n| Row::due(n * 2, at(SECOND))), 16);
    answer_each(&mut world, at(MINUTE * 4), |_, _| unpaid());
    let tries: usize = world.requested.values().map(Vec::len).sum();
    assert!((3..=48).contains(&tries), "{tries}");
    assert_eq!(world.count(Status::Pending), 100);
    // The one that accepts takes all of them.
    let accepts = |_, by: &str| if by == "us" { accepted() } else { unpaid() };
    answer_each(&mut world, at(MINUTE * 12), accepts);
    assert_eq!(world.count(Status::Sent), 100);
}

/// More than all that are drawn, and the messages that wait behind the last of them.
const ROUNDS: u32 = 240;

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(accepted()),
        2 => Just(unpaid()),
        2 => Just(unsent()),
        1 => Just(unknown()),
        1 => Just(wrong_number()),
        1 => Just(throttled(SECOND)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn another_account_gets_only_what_is_known_not_to_have_been_accepted(
        outcomes in prop::collection::vec(outcome(), 1..200),
    ) {
        let mut world = world((0..40).map(|n| Row::due(n, at(SECOND))), 8);
        let mut outcomes = outcomes.into_iter();
        let mut heard: Vec<(u128, String, Outcome)> = Vec::new();
        // Each refusal of an account has its messages wait for five minutes.
        for minutes in (1..ROUNDS).map(|n| n * 5) {
            answer_each(&mut world, at(MINUTE * minutes), |n, by| {
                let outcome = outcomes.next().unwrap_or_else(accepted);
                heard.push((n, by.to_owned(), outcome.clone()));
                outcome
            });
            if world.count(Status::Pending) + world.count(Status::Sending) == 0 {
                break;
            }
        }
        for n in 0..40 {
            let own: Vec<_> = heard.iter().filter(|(of, ..)| *of == n).collect();
            for pair in own.windows(2) {
                let [(.., outcome), _] = pair else { unreachable!() };
                let is_open = matches!(outcome, Outcome::Accepted { .. } | Outcome::Unknown { .. });
                prop_assert!(!is_open, "again after {outcome:?}");
            }
            prop_assert!(n % 2 == 0 || own.iter().all(|(_, by, _)| *by == *LaneKey::DEFAULT_ACCOUNT));
        }
        prop_assert_eq!(world.count(Status::Sending), 0);
        prop_assert_eq!(world.count(Status::Pending), 0);
    }
}
