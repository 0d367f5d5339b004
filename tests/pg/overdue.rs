//! What is due and was not sent, as the check of a daemon counts it.

use punctual::limits::HealthLimits;
use punctual::message::{Channel, Moment, Pause, PauseKey, PauseScope};
use punctual::store::{OverdueGroup, OverdueKind, Store, pauses};

use crate::ours::store;
use crate::rows::{World, run};

/// How many are stuck, paused, paced, and wait for a retry.
pub(crate) async fn overdue(store: &Store, limits: &HealthLimits) -> [u64; 4] {
    let found = store.overdue(limits, None, false).await.unwrap();
    let kinds = [
        OverdueKind::Stuck,
        OverdueKind::Paused,
        OverdueKind::Paced,
        OverdueKind::Retry,
    ];
    kinds.map(|kind| found.count(kind))
}

/// So many pending rows, the first due a minute ago and each of the others a second later.
async fn pending(world: &World, n: u32, columns: &str, values: &str) {
    let rows = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at {columns})
         select '+13105550100', 'hello', now() - interval '1 minute' + n * interval '1 s' {values}
           from generate_series(1, {n}) n"
    );
    run(&world.unseen, &rows).await;
}

#[tokio::test]
async fn no_kind_hides_another_however_many_there_are() {
    let world = World::new().await;
    let store = store(&world);
    let few = HealthLimits {
        counted: 3,
        ..HealthLimits::default()
    };
    let lane = |what: &str| PauseKey {
        scope: PauseScope::Lane,
        what: what.into(),
    };
    pauses::pause(&world.user, &lane("email"), Moment::MAX, None, None)
        .await
        .unwrap();
    run(
        &world.unseen,
        "insert into punctual.paces (what, gap_min, gap_max, next_at)
         values ('00000000-0000-0000-0000-0000000000cd', '1 s', '1 s', now() + interval '1 hour')",
    )
    .await;
    // The paused and the paced ones have been due for longer than those that are stuck.
    pending(&world, 10, ", channel", ", 'email'").await;
    let campaign = ", '00000000-0000-0000-0000-0000000000cd'";
    pending(&world, 10, ", campaign_id", campaign).await;
    run(
        &world.unseen,
        "update scheduled_messages set scheduled_at = scheduled_at - interval '1 hour'",
    )
    .await;
    pending(&world, 2, "", "").await;
    let retry = ", now() + n * interval '7 s'";
    pending(&world, 5, ", next_attempt_at", retry).await;
    assert_eq!(overdue(&store, &few).await, [2, 3, 3, 3]);
    let all = HealthLimits::default();
    assert_eq!(overdue(&store, &all).await, [2, 10, 10, 5]);

    let everything = PauseKey {
        scope: PauseScope::Everything,
        what: String::new(),
    };
    let pause = Pause {
        key: everything,
        until: Moment::MAX,
    };
    pauses::pause(&world.user, &pause.key, pause.until, None, None)
        .await
        .unwrap();
    assert_eq!(overdue(&store, &few).await, [0, 3, 0, 0]);
}

/// A sender with a burst has had room for one segment for a while, and this message needs several.
#[tokio::test]
async fn what_waits_until_all_its_segments_have_room_is_not_stuck() {
    let world = World::new().await;
    let store = store(&world);
    let limits = HealthLimits::default();
    let rate = "insert into punctual.paces (scope, what, gap_min, gap_max, burst, next_at)
                values ('sender', '+15005550009', '1 min', '1 min', 4, now() - interval '90 s')";
    run(&world.unseen, rate).await;
    pending(&world, 1, ", from_number", ", '+15005550009'").await;
    assert_eq!(overdue(&store, &limits).await, [1, 0, 0, 0]);
    let long = "update scheduled_messages set body = repeat('x', 300)";
    run(&world.unseen, long).await;
    assert_eq!(overdue(&store, &limits).await, [1, 0, 0, 0]);
    let longer = "update scheduled_messages set body = repeat('x', 450)";
    run(&world.unseen, longer).await;
    assert_eq!(overdue(&store, &limits).await, [0, 0, 1, 0]);
}

/// A pace keeps the order: what comes after a message waits for the lane of that.
#[tokio::test]
async fn what_waits_behind_the_first_of_its_campaign_is_counted_with_that() {
    let world = World::new().await;
    let store = store(&world);
    let campaign = |n| format!("00000000-0000-0000-0000-0000000000c{n}");
    for n in [1, 2] {
        let sql = format!(
            "insert into punctual.paces (what, gap_min, gap_max, next_at)
             values ('{}', '1 s', '1 s', now() - interval '1 minute')",
            campaign(n)
        );
        run(&world.unseen, &sql).await;
    }
    let columns = ", channel, campaign_id";
    for (channel, n) in [("email", 1), ("sms", 1), ("sms", 2)] {
        let values = format!(", '{channel}', '{}'", campaign(n));
        pending(&world, 2, columns, &values).await;
        // Each is due after the ones before it.
        let older = "update scheduled_messages set scheduled_at = scheduled_at - interval '10 s'";
        run(&world.unseen, older).await;
    }
    pending(&world, 1, "", "").await;
    for by_lane in [false, true] {
        let found = store.overdue(&HealthLimits::default(), None, by_lane).await;
        let mut lanes: Vec<_> = found.unwrap().0;
        lanes.sort_by_key(|group| group.messages);
        let lanes = lanes
            .iter()
            .map(|group| (group.messages, group.lane.channel()));
        let expected = [(3, Channel::Sms), (4, Channel::Email)];
        assert_eq!(lanes.collect::<Vec<_>>(), expected);
    }
    // A paused one is passed over.
    let pause =
        "insert into punctual.pauses (scope, what, until) values ('lane', 'email', 'infinity')";
    run(&world.unseen, pause).await;
    let found = store.overdue(&HealthLimits::default(), None, true).await;
    let stuck = found.unwrap().0;
    let stuck = stuck
        .iter()
        .filter(|group| group.kind == OverdueKind::Stuck);
    let stuck: Vec<_> = stuck
        .map(|group| (group.messages, group.lane.channel()))
        .collect();
    assert_eq!(stuck, [(5, Channel::Sms)]);
}

#[tokio::test]
async fn what_waits_for_its_next_try_counts_from_when_it_was_wanted() {
    let world = World::new().await;
    let store = store(&world);
    // Deferred by a rule, moved by its user, or between two parts: nobody wanted it earlier.
    let later = "now() + interval '30 s'";
    for (columns, values) in [
        (
            ", next_attempt_at, deferred_until",
            format!(", {later}, {later}"),
        ),
        (
            ", next_attempt_at, parts_done, parts_total",
            format!(", {later}, 1, 2"),
        ),
    ] {
        pending(&world, 1, columns, &values).await;
    }
    let moved = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, next_attempt_at)
         values ('+13105550100', 'hello', {later}, {later})"
    );
    run(&world.unseen, &moved).await;
    let limits = HealthLimits::default();
    assert_eq!(overdue(&store, &limits).await, [0, 0, 0, 0]);
    let again = format!(", {later}");
    pending(&world, 1, ", next_attempt_at", &again).await;
    assert_eq!(overdue(&store, &limits).await, [0, 0, 0, 1]);
}

#[tokio::test]
async fn each_channel_and_host_is_counted_and_tried_for_a_lock_by_itself() {
    let world = World::new().await;
    let store = store(&world);
    let few = HealthLimits {
        tried: 1,
        ..HealthLimits::default()
    };
    pending(&world, 2, "", "").await;
    for host in ["a", "b"] {
        let url = format!("https://{host}.example/hook");
        let rows = format!(
            "insert into scheduled_messages (channel, to_number, body, scheduled_at)
             select 'webhook', '{url}?' || n, '{{}}', now() - interval '20 s' from generate_series(1, 2) n"
        );
        run(&world.unseen, &rows).await;
    }
    let app = world.db.client().await;
    run(
        &app,
        "begin; select from scheduled_messages where channel is distinct from 'webhook' for update",
    )
    .await;
    let found = store.overdue(&few, None, false).await.unwrap();
    let of = |channel| -> Vec<OverdueGroup> {
        let groups = found.0.iter();
        let groups = groups.filter(|group| group.lane.channel() == channel);
        groups.cloned().collect()
    };
    let [texts] = of(Channel::Sms).try_into().unwrap();
    assert!(texts.is_locked && texts.oldest.as_secs() >= 59, "{texts:?}");
    let [webhooks] = of(Channel::Webhook).try_into().unwrap();
    assert_eq!((webhooks.messages, webhooks.is_locked), (4, false));

    let found = store.overdue(&few, None, true).await.unwrap();
    let mut hosts: Vec<_> = found
        .0
        .iter()
        .filter_map(|group| group.lane.host())
        .collect();
    hosts.sort_unstable();
    let expected = ["a.example", "a.example", "b.example", "b.example"];
    assert_eq!(hosts, expected, "an address each");
}

/// What is tried of a channel may be another account's.
#[tokio::test]
async fn a_lock_on_one_accounts_messages_does_not_explain_the_others() {
    let world = World::new().await;
    let store = store(&world);
    let few = HealthLimits {
        tried: 2,
        ..HealthLimits::default()
    };
    pending(&world, 1, ", account", ", 'a'").await;
    pending(&world, 1, ", account", ", 'b'").await;
    let app = world.db.client().await;
    for (rows, is_locked) in [("account = 'a'", false), ("true", true)] {
        let lock = format!("begin; select from scheduled_messages where {rows} for update");
        run(&app, &lock).await;
        let found = store.overdue(&few, None, false).await.unwrap();
        let locked: Vec<_> = found.0.iter().map(|group| group.is_locked).collect();
        assert_eq!(locked, [is_locked; 2], "{rows}");
        run(&app, "rollback").await;
    }
}
