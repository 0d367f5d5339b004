//! Pauses in the database: which rows they stop, what is said of those, and when a change of them is notified.

use std::time::Duration;

use punctual::limits::HealthLimits;
use punctual::message::{
    ClaimResponse, MessageId, Moment, Pause, PauseKey, PauseScope, RowState, Sender,
};
use punctual::store::changes::{HistoryOf, changes};
use punctual::store::{Store, pauses};
use uuid::Uuid;

use crate::notice::Listening;
use crate::ours::{LATE, claim, now, record, store, won};
use crate::overdue::overdue;
use crate::rows::{World, one, run, said};
use crate::window::loaded;

const FROM: &str = "+15005550006";
const USER: &str = "00000000-0000-0000-0000-0000000000ab";

fn key(scope: PauseScope, what: &str) -> PauseKey {
    let what = what.to_owned();
    PauseKey { scope, what }
}

fn everything() -> PauseKey {
    key(PauseScope::Everything, "")
}

/// A store whose rows go out from a sender where they name none.
fn sending(world: &World) -> Store {
    let sender: Sender = FROM.parse().unwrap();
    store(world).with_default_sender(Some(&sender))
}

/// Whether a claim of this row is refused because it is paused; it is pending afterwards in any case.
async fn is_paused(world: &World, store: &Store, id: Uuid) -> bool {
    match claim(store, &[id]).await.remove(0) {
        ClaimResponse::Won(_) => {
            let back = "update scheduled_messages set status = 'pending', attempts = 0;
                        delete from punctual.attempts";
            run(&world.unseen, back).await;
            false
        }
        ClaimResponse::Paused(RowState::Pending { due, .. }) => {
            assert_eq!(due, Moment::MAX);
            true
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_kind_of_pause_stops_its_own_rows() {
    let world = World::new().await;
    let store = sending(&world);
    let columns = ", channel, from_number, campaign_id, user_id, message_type";
    let row = async |values: &str| world.row_with("pending", columns, values).await;
    let plain = row(", null, null, null, null, null").await;
    let full = row(&format!(
        ", ' SMS', ' {FROM} ', '00000000-0000-0000-0000-0000000000CD', '{USER}', ' brief'"
    ))
    .await;
    let other =
        row(", 'webhook', '+15005550007', null, '00000000-0000-0000-0000-000000000001', 'x'").await;
    for (scope, what, stops) in [
        ("everything", "", [true, true, true]),
        ("lane", "SMS ", [true, true, false]),
        ("lane", "webhook", [false, false, true]),
        ("sender", FROM, [true, true, false]),
        (
            "campaign",
            "00000000-0000-0000-0000-0000000000cd",
            [false, true, false],
        ),
        (
            "user",
            "00000000-0000-0000-0000-0000000000AB",
            [false, true, false],
        ),
        ("message_type", "brief", [false, true, false]),
        ("message_type", "briefs", [false, false, false]),
    ] {
        let sql = format!("insert into punctual.pauses (scope, what) values ('{scope}', '{what}')");
        run(&world.user, &sql).await;
        for (id, stops) in [plain, full, other].into_iter().zip(stops) {
            assert_eq!(is_paused(&world, &store, id).await, stops, "{scope} {what}");
            // Rust and SQL agree on what is stopped.
            let (pauses, _) = store.pauses().await.unwrap();
            let [Pause { key, until }] = pauses.as_slice() else {
                panic!("{pauses:?}");
            };
            assert_eq!(*until, Moment::MAX);
            let loaded = loaded(&store, now(&store).await, LATE).await;
            assert_eq!(loaded.iter().all(|row| row.id.0 != id), stops, "{key:?}");
        }
        let what: String = one(&world.unseen, "select what from punctual.pauses").await;
        assert!(
            pauses::resume(&world.user, &key(PauseScope::of(scope).unwrap(), &what))
                .await
                .unwrap()
        );
        assert!(!is_paused(&world, &store, full).await, "it is over");
        run(&world.unseen, "delete from punctual.pauses").await;
    }
}

#[tokio::test]
async fn what_names_nothing_that_can_be_paused_is_refused() {
    let world = World::new().await;
    for (scope, what, why) in [
        ("all", "", "violates check constraint"),
        ("everything", "sms", "violates check constraint"),
        ("sender", " ", "violates check constraint"),
        ("lane", "fax", "there is no lane"),
        ("user", "Ann", "a UUID"),
        ("campaign", "summer", "a UUID"),
    ] {
        let sql = format!("insert into punctual.pauses (scope, what) values ('{scope}', '{what}')");
        let refused = world.user.batch_execute(&sql).await.unwrap_err();
        assert!(
            said(&refused).contains(why),
            "{scope} {what}: {}",
            said(&refused)
        );
    }
}

/// Nothing paused is too late, and lateness counts from the end of the pause; `send_before` counts through.
#[tokio::test]
async fn waiting_for_a_pause_is_not_lateness() {
    let world = World::new().await;
    let store = sending(&world);
    let old = world.row("pending").await;
    let short = world
        .row_with("pending", ", send_before", ", now() - interval '1 hour'")
        .await;
    let set = "update scheduled_messages set scheduled_at = now() - interval '5 hours'";
    run(&world.unseen, set).await;
    pauses::pause(
        &world.user,
        &everything(),
        Moment::MAX,
        Some("why not"),
        None,
    )
    .await
    .unwrap();
    assert_eq!(store.expire(LATE, None, 100).await.unwrap().len(), 0);
    assert_eq!(
        overdue(&store, &HealthLimits::default()).await,
        [0, 2, 0, 0]
    );
    let expired = pauses::expired(&world.user, &everything(), Some(FROM))
        .await
        .unwrap();
    assert_eq!(expired, 1, "as `resume` says before it asks");
    // What another pause stops as well is not cancelled when this one ends.
    let lane = key(PauseScope::Lane, "sms");
    pauses::pause(&world.user, &lane, Moment::MAX, None, None)
        .await
        .unwrap();
    let expired = pauses::expired(&world.user, &everything(), Some(FROM))
        .await
        .unwrap();
    assert_eq!(expired, 0);
    pauses::resume(&world.user, &lane).await.unwrap();

    let before = now(&store).await;
    assert!(pauses::resume(&world.user, &everything()).await.unwrap());
    assert!(
        !pauses::resume(&world.user, &everything()).await.unwrap(),
        "it is over"
    );
    assert_eq!(store.expire(LATE, None, 100).await.unwrap().len(), 1);
    assert_eq!(world.status(short).await, "cancelled");
    let found = loaded(&store, now(&store).await, LATE).await;
    assert_eq!(found.iter().map(|row| row.id.0).collect::<Vec<_>>(), [old]);
    let claims = won(&store, &[old]).await;
    assert!(claims[0].wanted_at >= before, "late since the resume");
    assert!(claims[0].due < before, "and due as before");
    // It is remembered as long as that matters, unlike the other, which ended before.
    store.forget_pauses(before).await.unwrap();
    assert_eq!(
        one::<i64>(&world.unseen, "select count(*) from punctual.pauses").await,
        1
    );
    store.forget_pauses(now(&store).await).await.unwrap();
    assert_eq!(
        one::<i64>(&world.unseen, "select count(*) from punctual.pauses").await,
        0
    );
}

#[tokio::test]
async fn a_resume_counts_what_it_cancels_and_nothing_else() {
    let world = World::new().await;
    pauses::pause(&world.user, &everything(), Moment::MAX, None, None)
        .await
        .unwrap();
    // What reminds of an event that has begun is cancelled, and what is due later and has ended; what follows the
    // event, and a webhook, are sent.
    for (channel, to, due, more) in [
        (
            "sms",
            "+13105550100",
            "-2 h",
            "event_start = now() - interval '1 h'",
        ),
        (
            "sms",
            "+13105550100",
            "1 h",
            "send_before = now() - interval '1 h'",
        ),
        (
            "sms",
            "+13105550100",
            "-1 h",
            "event_start = now() - interval '2 h'",
        ),
        (
            "webhook",
            "https://hooks.example/1",
            "-2 h",
            "event_start = now() - interval '1 h'",
        ),
    ] {
        let insert = format!(
            "insert into scheduled_messages (channel, to_number, body, scheduled_at)
             values ('{channel}', '{to}', 'hello', now() + interval '{due}') returning id"
        );
        let id: Uuid = one(&world.user, &insert).await;
        let set = format!("update scheduled_messages set {more} where id = '{id}'");
        run(&world.unseen, &set).await;
    }
    let expired = pauses::expired(&world.user, &everything(), Some(FROM)).await;
    assert_eq!(expired.unwrap(), 2);
    // The sender of rows that name none is that of the instance that runs, whatever the command's settings say.
    let from = key(PauseScope::Sender, FROM);
    assert_eq!(pauses::expired(&world.user, &from, None).await.unwrap(), 0);
    run(
        &world.unseen,
        &format!(
            "insert into punctual.instances (id, version, state)
             values (gen_random_uuid(), 'x', '{{\"rules\": {{\"sender\": \"{FROM}\"}}}}')"
        ),
    )
    .await;
    // Another pause stops them too.
    assert_eq!(pauses::expired(&world.user, &from, None).await.unwrap(), 0);
    assert!(pauses::resume(&world.user, &everything()).await.unwrap());
    pauses::pause(&world.user, &from, Moment::MAX, None, None)
        .await
        .unwrap();
    assert_eq!(pauses::expired(&world.user, &from, None).await.unwrap(), 2);
}

#[tokio::test]
async fn a_pause_with_an_end_is_a_later_due_time() {
    let world = World::new().await;
    let store = sending(&world);
    let id = world.row("pending").await;
    let soon = now(&store).await + Duration::from_millis(40);
    pauses::pause(&world.user, &everything(), soon, None, None)
        .await
        .unwrap();
    let claims = won(&store, &[id]).await;
    // Claimed ahead, for the end of the pause, unless that has passed on a slow machine.
    assert_eq!(claims[0].wanted_at, soon);
    assert!(claims[0].due == soon || now(&store).await > soon);
    let released = record(&claims[0], punctual::settle::Settlement::returned("paused"));
    store.record(&[&released]).await.unwrap();
    let later = now(&store).await + Duration::from_secs(600);
    pauses::pause(&world.user, &everything(), later, None, None)
        .await
        .unwrap();
    assert!(matches!(
        claim(&store, &[id]).await.as_slice(),
        [ClaimResponse::Paused(RowState::Pending { due, .. })] if *due == later
    ));
    let found = loaded(&store, later, LATE).await;
    assert_eq!(found.iter().map(|row| row.due).collect::<Vec<_>>(), [later]);
}

#[tokio::test]
async fn every_change_is_notified() {
    let mut listening = Listening::new().await;
    for sql in [
        "insert into punctual.pauses (scope) values ('everything')",
        "update punctual.pauses set until = now()",
        "delete from punctual.pauses",
        "truncate punctual.pauses",
    ] {
        assert_eq!(listening.said(sql).await, ["pauses"], "{sql}");
    }
    let quiet = "begin; set local punctual.notify = 'off';
        insert into punctual.pauses (scope) values ('everything'); commit";
    assert!(listening.said(quiet).await.is_empty(), "it may be prepared");
}

/// A claim costs no more by the tables of pauses and paces while these are empty.
#[tokio::test]
async fn empty_tables_of_pauses_and_paces_cost_a_claim_two_buffers_each() {
    let world = World::new().await;
    let ids = world.rows(200, "pending").await;
    let daemon = world.daemon().await;
    let ids: Vec<_> = ids.iter().map(|id| format!("'{id}'")).collect();
    let sql = include_str!("../../src/store/path/sql/claim.sql");
    let claim = punctual::store::with_expressions(sql);
    run(&daemon, &format!("prepare claim as {claim}")).await;
    let tokens: Vec<_> = ids
        .iter()
        .map(|_| format!("'{}'", Uuid::new_v4()))
        .collect();
    let explain = format!(
        "explain (analyze, buffers, costs off, timing off, format text)
         execute claim(array[{}]::uuid[], array[{}]::uuid[], gen_random_uuid(), 30000, 50000, null, 'UTC', false, 0,
                      '{{}}', '{{}}', '{{}}', null, null)",
        ids.join(","),
        tokens.join(",")
    );
    let plan: Vec<String> = daemon
        .simple_query(&explain)
        .await
        .unwrap()
        .into_iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    for table in [" pauses", " paces"] {
        assert!(
            plan.iter().any(|line| line.contains(table)),
            "{}",
            plan.join("\n")
        );
        let scans = plan
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains(table));
        let mut buffers = 0;
        for (at, line) in scans {
            // Never executed: the probe of the table said that it is empty.
            if line.contains("never executed") {
                continue;
            }
            let own = plan[at + 1..]
                .iter()
                .take(4)
                .find(|line| line.contains("Buffers:"));
            let hits = own.and_then(|line| line.split("hit=").nth(1));
            let hits = hits.and_then(|hits| hits.split(' ').next()?.parse::<u64>().ok());
            buffers += hits.unwrap_or(0);
        }
        assert!(buffers <= 2, "{buffers} of{table}: {}", plan.join("\n"));
    }
}

/// The lateness that a story shows counts from the end of a pause, and without one from when the message was wanted.
#[tokio::test]
async fn the_story_counts_lateness_from_when_a_message_was_wanted() {
    let world = World::new().await;
    let store = sending(&world);
    let id = world.row("pending").await;
    let shown = async || {
        let by = crate::forecast::assumed();
        store.story(MessageId(id), &by).await.unwrap().row.unwrap()
    };
    let row = shown().await;
    assert_eq!(row.wanted_at, row.scheduled_at);
    let over = "insert into punctual.pauses (scope, what, until, why, who)
                values ('everything', '', clock_timestamp(), 'x', 'x')";
    run(&world.unseen, over).await;
    let row = shown().await;
    assert!(row.wanted_at > row.scheduled_at, "{row:?}");
    // One that ended after the request had begun did not delay it.
    let began = "insert into punctual.attempts (token, message_id, number, instance, lease_until, started_at)
                 select gen_random_uuid(), m.id, 1, gen_random_uuid(), now(), m.scheduled_at + interval '1 ms'
                   from scheduled_messages m";
    run(&world.unseen, began).await;
    let row = shown().await;
    assert_eq!(row.wanted_at, row.scheduled_at, "{row:?}");
}

/// Each act leaves who, when, from what, to what; also of a role that may do nothing but that.
#[tokio::test]
async fn every_change_of_a_pause_and_a_pace_is_in_the_history() {
    let world = World::new().await;
    let store = sending(&world);
    let forever = Moment::MAX;
    let made = store
        .pause(&everything(), forever, Some("a test"), "ann")
        .await;
    assert_eq!(made.unwrap().0.who, "ann");
    let (_, replaced) = pauses::pause(&world.user, &everything(), forever, None, Some("bob"))
        .await
        .unwrap();
    let replaced = replaced.unwrap();
    assert_eq!(
        (replaced.who.as_str(), replaced.why.as_deref()),
        ("ann", Some("a test"))
    );
    assert!(store.resume(&everything(), "eve").await.unwrap());
    let (_, replaced) = pauses::pause(&world.user, &everything(), forever, None, None)
        .await
        .unwrap();
    assert_eq!(replaced, None, "it had ended");
    run(
        &world.user,
        "insert into punctual.paces (scope, what, gap_min, gap_max) values ('campaign', md5('c')::uuid::text, '1 s', '2 s');
         update punctual.paces set gap_max = '3 s';
         -- As a claim moves it on: that is no change.
         update punctual.paces set position = position + 1, next_at = next_at + interval '1 s';
         delete from punctual.paces;
         -- As a daemon removes what is over.
         update punctual.pauses set until = now() - interval '1 s';
         delete from punctual.pauses;
         insert into punctual.pauses (scope, what, until) values ('everything', '', 'infinity');
         insert into punctual.paces (scope, what, gap_min, gap_max) values ('campaign', md5('c')::uuid::text, '1 s', '4 s');",
    )
    .await;
    run(
        &world.db.client().await,
        "truncate punctual.pauses; truncate punctual.paces",
    )
    .await;
    let history = async |of| {
        let changes = changes(&world.user, of).await.unwrap();
        let value = |of: &Option<serde_json::Value>, key: &str| {
            of.as_ref()
                .map(|of| of[key].as_str().unwrap_or("none").to_owned())
        };
        let key = if of == HistoryOf::Pauses {
            "why"
        } else {
            "gap_max"
        };
        let line = changes.iter().rev().map(|one| {
            let who = if one.who == one.role {
                "role"
            } else {
                &one.who
            };
            let (old, new) = (value(&one.old, key), value(&one.new, key));
            let of = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            format!("{} by {who}: {} → {}", one.op, of(old), of(new))
        });
        line.collect::<Vec<_>>()
    };
    assert_eq!(
        history(HistoryOf::Pauses).await,
        [
            "insert by ann: - → a test",
            "update by bob: a test → none",
            "update by eve: none → none",
            "update by role: none → none",
            "update by role: none → none",
            "insert by role: - → none",
            "delete by role: none → -",
        ]
    );
    assert_eq!(
        history(HistoryOf::Paces).await,
        [
            "insert by role: - → 00:00:02",
            "update by role: 00:00:02 → 00:00:03",
            "delete by role: 00:00:03 → -",
            "insert by role: - → 00:00:04",
            "delete by role: 00:00:04 → -",
        ]
    );
}
