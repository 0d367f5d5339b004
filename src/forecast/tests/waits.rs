//! What a message waits for.

use super::*;

#[test]
fn what_stops_everything_comes_before_the_rules() {
    // Its lateness, an hour, ends 3,610 s from now.
    let waits = |reason, until| (Outcome::Wait, None, until, Some(reason));
    let none = check(
        |_, a| a.instances.clear(),
        waits("no_daemon", Some(3_610)),
        Some(SENT),
        "no daemon is running; the last one was heard at 2026-01-01T08:59:59",
    );
    assert_eq!(none.unknown, ["when a daemon runs"]);
    check(
        |m, a| {
            m.claim.to_number = "abc".into();
            a.instances.clear();
        },
        waits("no_daemon", Some(3_610)),
        Some((Outcome::Fail, Some("recipient"))),
        "once it does not wait any more, it will fail",
    );
    let stopped = |a: &mut Surroundings| {
        let state = a.instances[0].state.as_mut().unwrap();
        state.missing = vec!["the clock is not measured".into()];
    };
    check(
        |_, a| stopped(a),
        waits("not_ready", Some(3_610)),
        Some(SENT),
        "(the clock is not measured)",
    );
    // Another one sends.
    check(
        |_, a| {
            stopped(a);
            a.instances.push(instance(2, vec![lane()]));
        },
        (Outcome::Send, Some(10), None, None),
        None,
        "",
    );
    check(
        |m, _| m.is_quarantined = true,
        waits("quarantine", None),
        Some(SENT),
        "in quarantine",
    );
    check(
        |m, _| {
            (m.paused_until, m.paused_by) = (Some(Moment::MAX), Some("everything, by ann".into()));
        },
        waits("paused", None),
        None,
        "is paused until somebody resumes (everything, by ann)",
    );
    check(
        |m, _| {
            (m.claim.due, m.claim.part, m.open_until) =
                (s(-1), Part { before: 1, of: 2 }, Some(s(20)));
            m.claim.part_text = Some("two".into());
        },
        waits("attempt_open", None),
        Some(SENT),
        "waits for the attempt",
    );
}

#[test]
fn while_every_instance_is_refused_no_impossible_time_is_named() {
    let later = (Outcome::Wait, Some(60), Some(3_610), Some("breaker"));
    let only = |a: &mut Surroundings, lanes: Vec<Vec<PublishedLane>>| {
        a.instances = (1..)
            .zip(lanes)
            .map(|(n, lanes)| instance(n, lanes))
            .collect();
    };
    check(
        |_, a| only(a, vec![vec![refused(-30, 60)]]),
        later,
        Some(SENT),
        "has refused the account since 2026-01-01T08:59:30.000000Z (account issue, code 1)",
    );
    // The earliest of two; a probe that is due before the message changes nothing.
    check(
        |_, a| only(a, vec![vec![refused(-30, 90)], vec![refused(-9, 60)]]),
        later,
        Some(SENT),
        "",
    );
    let at_ten = (Outcome::Wait, Some(10), Some(3_610), Some("breaker"));
    check(
        |_, a| only(a, vec![vec![refused(-30, 1)]]),
        at_ten,
        Some(SENT),
        "",
    );
    // What is paused meanwhile is not tried.
    let paused = "since 2026-01-01T08:59:30.000000Z (account issue, code 1); once it does not wait any more, it is \
                  paused until 2026-01-01T09:10:00.000000Z (everything, by ann); then it will be sent";
    check(
        |m, a| {
            (m.paused_until, m.paused_by) = (Some(s(600)), Some("everything, by ann".into()));
            only(a, vec![vec![refused(-30, 60)]]);
        },
        (Outcome::Wait, Some(600), Some(4_200), Some("breaker")),
        Some((Outcome::Send, Some("paused"))),
        paused,
    );
    // One that is not refused sends it; nor is another lane.
    let sent = (Outcome::Send, Some(10), None, None);
    check(
        |_, a| only(a, vec![vec![refused(-30, 60)], vec![lane()]]),
        sent,
        None,
        "",
    );
    check(
        |_, a| only(a, vec![vec![refused(-30, 60)], vec![]]),
        sent,
        None,
        "",
    );
    let other = PublishedLane {
        account: "eu".into(),
        ..refused(-30, 60)
    };
    check(|_, a| only(a, vec![vec![other, lane()]]), sent, None, "");
}

#[test]
fn an_instance_that_is_loading_sends_by_the_lanes_that_it_knows() {
    let until = |probe| (Outcome::Wait, Some(probe), Some(3_610), Some("breaker"));
    let beside = |lanes: Vec<PublishedLane>| {
        move |_: &mut Subject, a: &mut Surroundings| {
            a.instances = vec![
                instance(1, vec![refused(-30, 60)]),
                instance(2, lanes.clone()),
            ];
            let second = a.instances[1].state.as_mut().unwrap();
            second.missing = vec!["the upcoming messages are not loaded".into()];
            second.loading = true;
        }
    };
    check(beside(vec![]), until(60), Some(SENT), "");
    check(beside(vec![refused(-20, 30)]), until(30), Some(SENT), "");
    check(
        beside(vec![lane()]),
        (Outcome::Send, Some(10), None, None),
        None,
        "",
    );
}

#[test]
fn a_herd_leaves_by_the_instances_that_send_and_since_its_state_was_published() {
    // 1,000 are overdue, and leave at 100 a second.
    let herd = || PublishedLane {
        due: vec![1_000],
        ..lane()
    };
    let overdue = |m: &mut Subject| (m.claim.due, m.claim.wanted_at) = (s(-1), s(-1));
    let waits = |until| (Outcome::Send, Some(4), Some(until), Some("queue"));
    check(
        |m, a| {
            overdue(m);
            a.now = s(4);
            a.instances = vec![instance(1, vec![herd()])];
        },
        waits(10),
        None,
        "by 2026-01-01T09:00:10.000000Z: 600 messages wait",
    );
    // A second instance would halve that, if it were ready.
    check(
        |m, a| {
            overdue(m);
            a.now = s(4);
            a.instances = vec![instance(1, vec![herd()]), instance(2, vec![herd()])];
            let idle = a.instances[1].state.as_mut().unwrap();
            idle.missing = vec!["the channel".into()];
        },
        waits(10),
        None,
        "",
    );
}

#[test]
fn a_herd_has_an_end() {
    // 2,000 at 100 a second by each of two instances.
    let herd = |permits| PublishedLane {
        permits,
        due: vec![0, 0, 2_000],
        ..lane()
    };
    check(
        |_, a| a.instances = vec![instance(1, vec![herd(10)]), instance(2, vec![herd(10)])],
        (Outcome::Send, Some(10), Some(20), Some("queue")),
        None,
        "will be sent between 2026-01-01T09:00:10.000000Z and 2026-01-01T09:00:20.000000Z: 2000 messages",
    );
    check(
        |_, a| a.instances = vec![instance(1, vec![herd(5)])],
        (Outcome::Send, Some(10), Some(50), Some("throttled")),
        None,
        "",
    );
    // What was due before leaves first; a message after it has no crowd.
    check(
        |m, a| {
            (m.claim.due, m.claim.wanted_at) = (s(45), s(45));
            a.instances = vec![instance(
                1,
                vec![PublishedLane {
                    due: vec![2_000],
                    ..herd(10)
                }],
            )];
        },
        (Outcome::Send, Some(45), None, None),
        None,
        "",
    );
}

#[test]
fn a_sender_with_a_rate_sends_each_message_when_there_is_room() {
    // One segment in 10 s, three at once; there is room for all three, or since `next_at` for one.
    let room = |ahead, before, own| Room {
        sender: "+15•••0009".into(),
        ahead: Some(ahead),
        before,
        own,
        busy_since: None,
        next_at: s(-100),
        each: Duration::from_secs(10),
        burst: 3,
    };
    let waits = |at| (Outcome::Send, Some(at), None, Some("pace"));
    check(
        |m, _| m.rate = Some(room(0, 0, 1)),
        (Outcome::Send, Some(10), None, None),
        None,
        "",
    );
    check(
        |m, _| m.rate = Some(room(5, 7, 2)),
        waits(60),
        None,
        "waits for the rate of sender +15•••0009, behind 5 others; then it will be sent at 2026-01-01T09:01:00",
    );
    // More than a burst wait for a whole one.
    check(
        |m, _| m.rate = Some(room(0, 0, 9)),
        (Outcome::Send, Some(10), None, None),
        None,
        "",
    );
    let next = |m: &mut Subject| {
        m.rate = Some(Room {
            next_at: s(10),
            ..room(0, 0, 9)
        });
    };
    check(|m, _| next(m), waits(30), None, "behind 0 others");
    // Four messages of one segment are due with it, in 10 s: the burst is over then.
    let herd = |m: &mut Subject| {
        m.rate = Some(Room {
            busy_since: Some(s(10)),
            ..room(4, 4, 1)
        });
    };
    check(|m, _| herd(m), waits(30), None, "");
}

#[test]
fn a_sender_that_the_provider_slows_is_named_as_unknown() {
    let parties = Parties::of(&LaneKey::default(), Some("+15005550001"), "+15005550006");
    let other = Parties::of(&LaneKey::default(), Some("+15005550009"), "+15005550006");
    for (key, until, is_unknown) in [
        (parties.sender, s(60), true),
        (parties.pair, s(60), true),
        (parties.sender, s(9), false),
        (other.sender, s(60), false),
        (other.pair, s(60), false),
    ] {
        let mut around = around();
        let state = around.instances[0].state.as_mut().unwrap();
        state.slowed = vec![PublishedSlowed { key, until }];
        let text = serde_json::to_string(state).unwrap();
        assert_eq!(
            serde_json::from_str::<PublishedState>(&text).unwrap(),
            *state
        );
        let forecast = of(&subject(), &around);
        assert_eq!(!forecast.unknown.is_empty(), is_unknown, "{forecast:?}");
    }
}

#[test]
fn the_account_of_a_route_is_forecast_as_it_will_be_chosen() {
    let mut routes = Routes::new(None);
    routes.add("eu", None, &[]).unwrap();
    let routes = routes.with_list("sms = default, eu".parse().unwrap());
    let key = routes.queue(Channel::Sms, None, None);
    let first = routes.first(&key);
    let with = |change: &dyn Fn(&mut PublishedState)| {
        let mut around = around();
        around.rules.routes = std::sync::Arc::new(routes.clone());
        change(around.instances[0].state.as_mut().unwrap());
        let why = around.why_not(&first);
        (around.way(&key).account().to_owned(), why)
    };
    let of = |change: &dyn Fn(&mut PublishedState)| with(change).0;
    let unreached =
        |state: &mut PublishedState, until| state.lanes[0].unreached_until = Some(until);
    let pause = |state: &mut PublishedState, account: &str| {
        state
            .paused_accounts
            .insert(account.to_owned(), Moment::MAX);
    };
    assert_eq!(of(&|_| {}), "default");
    let (way, why) = with(&|state| state.lanes = vec![refused(-5, 30)]);
    assert_eq!((&*way, &*why), ("eu", "the provider refuses default"));
    let (way, why) = with(&|state| unreached(state, s(9)));
    assert_eq!((&*way, &*why), ("eu", "default cannot be reached"));
    assert_eq!(of(&|state| unreached(state, s(-1))), "default");
    let (way, why) = with(&|state| pause(state, "default"));
    assert_eq!((&*way, &*why), ("eu", "the sender of default is paused"));
    // Where nothing takes it, it waits where it is tried first, and never where a person has stopped the sender.
    let both = |state: &mut PublishedState| {
        state.lanes = vec![refused(-5, 30)];
        pause(state, "eu");
    };
    assert_eq!(of(&both), "default");
    // Another version publishes neither.
    let text = serde_json::to_string(&PublishedState::default()).unwrap();
    assert!(!text.contains("paused_accounts") && !text.contains("unreached"));
}
