//! Senders and recipients that the provider slows, and the others, which it does not.

use super::*;

/// "Too many", of this sender or recipient; the account's, or nobody's, says [`throttled`].
fn too_many(scope: Scope) -> Outcome {
    Outcome::Throttled {
        retry_after: None,
        code: None,
        scope,
        hold: None,
    }
}

fn sender_refused() -> Outcome {
    let retry = Retry::HoldSender { pause: MINUTE * 5 };
    refused(21659, Category::SenderIssue, retry)
}

/// Answers what is on its way until then: to those that `is_slowed` selects with `outcome`, to others that they are
/// accepted. Returns when requests of the first began.
fn run(
    world: &mut World,
    until: Duration,
    outcome: &Outcome,
    is_slowed: impl Fn(u128) -> bool,
) -> Vec<Duration> {
    let mut began = Vec::new();
    while world.now.db < at(until) {
        while let Some(id) = world.in_flight.first().copied() {
            if is_slowed(id.0.as_u128()) {
                began.push(world.now.db.since(at(Duration::ZERO)));
                world.answer(id, outcome.clone());
            } else {
                world.answer(id, accepted());
            }
        }
        world.run_until(world.now.db + Duration::from_millis(10));
    }
    began
}

/// A message a second to others, and one to a number that always hears "too many", whatever that names.
#[test]
fn one_number_that_is_throttled_slows_nobody_else() {
    for outcome in [
        too_many(Scope::Recipient),
        too_many(Scope::Account),
        throttled(SECOND),
        refused(
            14107,
            Category::RateLimit,
            Retry::After {
                base: SECOND,
                slows: Some(Scope::Recipient),
            },
        ),
    ] {
        let rows = (0..59_u32).map(|n| Row::due(n.into(), at(SECOND * (1 + n))));
        let mut world = World::new(settings(8), rows);
        world.rows.get_mut(&id(0)).unwrap().max_attempts = 100;
        let began = run(&mut world, SECOND * 60, &outcome, |n| n == 0);
        // After 1 s, 2 s, 4 s and so on, less a quarter: 18 in 19 s it was.
        assert!((5..=7).contains(&began.len()), "{outcome:?} {began:?}");
        for (n, pair) in began.windows(2).enumerate() {
            let least = SECOND * 3 / 4 * (1 << n.min(5));
            assert!(pair[1] >= pair[0] + least, "{outcome:?} {n} {began:?}");
        }
        assert_eq!(world.reactor.load(world.now).permits, 8, "{outcome:?}");
        assert_eq!(world.count(Status::Sent), 58, "{outcome:?}");
        let late = world.reactor.lateness_report().max;
        assert!(late < 50_000, "{outcome:?}: {late} µs");
        assert_eq!(world.reactor.slowed().recipients, 1, "{outcome:?}");
    }
}

#[test]
fn all_messages_of_a_throttled_sender_wait_and_no_others() {
    let rows = (0..40).map(|n| {
        let from = ["+15005550001", "+15005550002"][n as usize % 2];
        Row::due(n, at(SECOND)).from(from)
    });
    let mut world = World::new(settings(4), rows);
    let slow = |n: u128| n % 2 == 1;
    let began = run(&mut world, SECOND * 30, &too_many(Scope::Sender), slow);
    assert_eq!(world.count(Status::Sent), 20, "all others");
    // At most the four of the beginning, and then one after each wait: 1, 2, 4, 8 and 16 s.
    assert!(began.len() <= 4 + 5, "{began:?}");
    assert_eq!(world.reactor.load(world.now).permits, 4);
    let report = world.reactor.slowed();
    assert_eq!((report.senders, report.recipients), (1, 0));
    // It goes faster and faster once the provider takes them again.
    run(&mut world, MINUTE * 3, &accepted(), slow);
    assert_eq!(world.count(Status::Sent), 40);
    assert_eq!(world.reactor.slowed().senders, 0, "forgotten");
    assert!(world.rows.values().all(|row| row.attempts == 1));
}

#[test]
fn other_messages_to_the_same_recipient_wait_with_it() {
    let rows = (0..10).map(|n| Row::due(n, at(SECOND)).to(n / 5));
    let mut world = World::new(settings(1), rows);
    let began = run(&mut world, SECOND * 8, &too_many(Scope::Recipient), |n| {
        n < 5
    });
    assert!(began.len() <= 4, "one after each wait: {began:?}");
    assert_eq!(world.count(Status::Sent), 5);
    // The same recipient from another sender is another pair.
    world.insert(Row::due(20, at(SECOND * 9)).to(0).from("+15005550009"));
    run(&mut world, SECOND * 10, &too_many(Scope::Recipient), |n| {
        n < 5
    });
    assert_eq!(world.rows[&id(20)].status, Status::Sent);
}

#[test]
fn a_sender_is_refused_once_two_recipients_have_shown_it() {
    let mut rows: Vec<_> = (0..6_u32)
        .map(|n| Row::due(n.into(), at(SECOND * (1 + n))))
        .collect();
    rows.extend((10..16_u32).map(|n| Row::due(n.into(), at(SECOND * n)).from("+15005550009")));
    let mut world = World::new(settings(4), rows);
    let of_first = |n: u128| n < 10;
    let began = run(&mut world, MINUTE * 4, &sender_refused(), of_first);
    assert_eq!(began.len(), 2, "{began:?}");
    assert_eq!(world.reactor.slowed().senders_refused, 1);
    // It is published for forecasts.
    let rules = crate::forecast::PublishedRules::default();
    let published = world.reactor.published(&[], &rules, world.now);
    let sender = world.rows.values().next().unwrap().parties().sender;
    assert_eq!(published.slowed.len(), 1);
    assert_eq!(published.slowed[0].key, sender);
    assert!(published.slowed[0].until > world.now.db);
    assert_eq!(
        (world.count(Status::Sent), world.count(Status::Pending)),
        (6, 6)
    );
    assert!(
        !world.reactor.breaker(world.now).open,
        "the account is not refused"
    );
    // One probes after the pause; accepted, all follow.
    let began = run(&mut world, MINUTE * 8, &sender_refused(), of_first);
    assert_eq!(began.len(), 1, "{began:?}");
    run(&mut world, MINUTE * 20, &accepted(), of_first);
    assert_eq!(world.count(Status::Sent), 12);
    assert_eq!(world.reactor.slowed().senders_refused, 0);
    assert!(
        world.rows.values().all(|row| row.attempts == 1),
        "none counted"
    );
}

#[test]
fn a_sender_that_one_recipient_alone_shows_refused_is_used_for_others() {
    let rows = (0..30_u32).map(|n| Row::due(n.into(), at(SECOND * (1 + n))));
    let mut world = World::new(settings(4), rows);
    let began = run(&mut world, MINUTE * 12, &sender_refused(), |n| n == 3);
    assert_eq!(began.len(), 3, "after five minutes each: {began:?}");
    assert_eq!(world.count(Status::Sent), 29);
    assert_eq!(world.reactor.slowed().senders_refused, 0);
}

#[test]
fn a_retry_is_no_lateness_of_its_own_and_what_is_kept_is_bounded_and_forgotten() {
    let mut settings = settings(8);
    let mut small = limits();
    small.slowed.max = 3;
    settings.limits = Arc::new(small);
    let rows = (0..10).map(|n| Row::due(n, at(SECOND)));
    let mut world = World::new(settings, rows);
    run(&mut world, SECOND * 5, &too_many(Scope::Recipient), |_| {
        true
    });
    assert_eq!(world.reactor.slowed().recipients, 3);
    run(&mut world, MINUTE * 4, &accepted(), |_| true);
    assert_eq!(world.count(Status::Sent), 10);
    assert!(world.reactor.lateness_report().max < 50_000);
    // A sweep forgets what was not used again.
    run(&mut world, MINUTE * 6, &accepted(), |_| true);
    assert_eq!(world.reactor.slowed().recipients, 0);
}

/// What the provider accepted and reports as too much later, by a callback.
#[test]
fn a_limit_that_is_reported_later_slows_its_sender_or_recipient_too() {
    let lane = crate::message::LaneKey::default();
    let parties = crate::message::Parties::of(&lane, Some("+15005550006"), "0");
    let slow = |scope| Retry::After {
        base: MINUTE,
        slows: Some(scope),
    };
    for (retry, first_sent) in [
        (slow(Scope::Sender), 1),
        (slow(Scope::Recipient), 4),
        (slow(Scope::Account), 5),
        (Retry::after(MINUTE), 5),
        (Retry::HoldSender { pause: MINUTE }, 5),
    ] {
        let rows = (0..4).map(|n| Row::due(n, at(SECOND * 2)));
        let other = Row::due(9, at(SECOND * 2)).from("+15005550009");
        let mut world = World::new(settings(8), rows.chain([other]));
        world.run_until(at(SECOND * 3 / 2));
        world.handle(Input::Reported { parties, retry });
        run(
            &mut world,
            SECOND * 2 + Duration::from_millis(100),
            &accepted(),
            |_| false,
        );
        assert_eq!(world.count(Status::Sent), first_sent, "{retry:?}");
        run(&mut world, SECOND * 20, &accepted(), |_| false);
        assert_eq!(world.count(Status::Sent), 5, "{retry:?}");
    }
}

/// The probe of a sender may hear something about its recipient alone: then another one probes.
#[test]
fn a_probe_that_hears_something_else_makes_room_for_the_next() {
    let rows = (0..6).map(|n| Row::due(n, at(SECOND)));
    let mut world = World::new(settings(1), rows);
    world.run_until(at(SECOND));
    world.answer(id(0), too_many(Scope::Sender));
    for outcome in [too_many(Scope::Recipient), unknown(), sender_refused()] {
        while world.in_flight.is_empty() {
            world.run_until(world.now.db + Duration::from_millis(10));
            assert!(world.now.db < at(SECOND * 30), "nothing probes any more");
        }
        let probe = world.in_flight[0];
        world.answer(probe, outcome);
    }
    run(&mut world, MINUTE * 10, &accepted(), |_| false);
    assert_eq!(
        (world.count(Status::Sent), world.count(Status::Unconfirmed)),
        (5, 1)
    );
}
