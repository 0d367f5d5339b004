//! Every row ends in a named state with its reason.

use std::time::Duration;

use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::standin::Act;
use crate::world::{TO, World, asked};

#[tokio::test]
async fn a_row_that_never_could_go_fails_without_a_request() {
    let mut world = World::new([]).await;
    world
        .env
        .retain(|(name, _)| name != "TWILIO_SMS_FROM_NUMBER");
    let daemon = world.daemon().await;
    let long = "x".repeat(1_601);
    let from = Some(crate::world::FROM);
    for (to, from, body, reason) in [
        ("0310 555 1234", from, "text", "to_number is not valid"),
        (TO, from, "  ", "the body is empty"),
        (TO, from, long.as_str(), "1601"),
        (TO, None, "text", "no sender"),
        (TO, Some("+0"), "text", "from_number is not valid"),
    ] {
        let sql = "insert into scheduled_messages (to_number, from_number, body, scheduled_at)
                   values ($1, $2, $3, now()) returning id";
        let row = world.app.query_one(sql, &[&to, &from, &body]).await;
        let row = world.becomes(row.unwrap().get(0), "failed").await;
        let said = row.error.unwrap();
        assert!(said.contains(reason), "{said}");
        assert!(!said.contains(to), "a number in {said}");
    }
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 0);
}

#[tokio::test]
async fn each_answer_has_its_state() {
    let acts = [
        Act::refuse(400, 21211, "Invalid 'To' Phone Number: +13105551234"),
        Act::Silence,
        Act::Reset,
        Act::CutShort,
        Act::Answer(500, "", "oops".into()),
    ];
    let mut world = World::new(acts).await;
    set(&mut world.env, "PUNCTUAL_SEND_TIMEOUT", "3s");
    let daemon = world.daemon().await;
    // One after the other: the script goes by the order of requests.
    for (n, (body, status, reason)) in [
        ("refused", "failed", "(Code: 21211)"),
        ("silence", "unconfirmed", "timed out"),
        ("reset", "unconfirmed", ""),
        ("cut short", "unconfirmed", ""),
        ("server error", "unconfirmed", "500"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = world.insert(body, 0).await;
        asked(&world.phone, n + 1).await;
        let row = world.becomes(id, status).await;
        let said = row.error.unwrap();
        assert!(said.contains(reason), "{body}: {said}");
        assert!(!said.contains("3105551234"), "a number in {said}");
        assert_eq!(row.code, (body == "refused").then_some(21211), "{body}");
    }
    // Held: neither time nor another start sends them again.
    daemon.stop().await;
    let daemon = world.daemon().await;
    let last = world.insert("after them", 300).await;
    world.becomes(last, "sent").await;
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 6);
}

#[tokio::test]
async fn a_row_past_its_own_limit_is_cancelled_with_the_reason() {
    let world = World::new([]).await;
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at, send_before)
               values ($1, 'no use any more', now() - interval '1 min', now() - interval '30 s')
               returning id";
    let id = world.app.query_one(sql, &[&TO]).await.unwrap().get(0);
    let daemon = world.daemon().await;
    let row = world.becomes(id, "cancelled").await;
    let reason = row.cancel_reason.unwrap();
    assert!(reason.contains("send_before"), "{reason}");
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 0);
}

/// A daemon, and a message that it has sent, whose row the app's tables refused and have by now.
async fn refused_and_written_later(world: &World) -> (Daemon, Uuid) {
    let refuses = "alter table messages add constraint picky check (body <> 'refused by app')";
    world.app.batch_execute(refuses).await.unwrap();
    let daemon = world.daemon().await;
    let id = world.insert("refused by app", 100).await;
    world.arrived_once(id).await;
    let accepts = "alter table messages drop constraint picky";
    world.app.batch_execute(accepts).await.unwrap();
    until("the write is made up for", async || {
        let sql = "select from messages where body = 'refused by app'";
        world.app.query_opt(sql, &[]).await.unwrap()
    })
    .await;
    (daemon, id)
}

#[tokio::test]
async fn the_apps_refusal_does_not_cost_the_outcome() {
    let world = World::new([]).await;
    let (daemon, id) = refused_and_written_later(&world).await;
    daemon.stop().await;
    tokio::time::timeout(Duration::from_secs(1), world.arrived_once(id))
        .await
        .unwrap();
}

/// An app's own trigger may refuse any change of some row: that row's misfortune, nobody else's.
const POISON: &str = "create function poison() returns trigger language plpgsql as
    $$ begin raise exception 'not this one'; end $$;
    create trigger poison before update on scheduled_messages for each row
    when (new.body like 'poison%') execute function poison()";

#[tokio::test]
async fn a_row_that_the_app_lets_nobody_claim_holds_up_no_other() {
    let world = World::new([]).await;
    world.app.batch_execute(POISON).await.unwrap();
    let daemon = world.daemon().await;
    // One statement, one instant, one claim.
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at)
               select '+13105551234', case when n % 10 = 3 then 'poison ' else 'sound ' end || n,
                      now() + interval '500 ms' from generate_series(1, 50) n
               returning id, body";
    for row in world.app.query(sql, &[]).await.unwrap() {
        if row.get::<_, &str>(1).starts_with("sound") {
            world.arrived_once(row.get(0)).await;
        }
    }
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 45);
}

#[tokio::test]
async fn a_row_that_cannot_be_cancelled_does_not_hold_up_the_chores() {
    let world = World::new([]).await;
    world.app.batch_execute(POISON).await.unwrap();
    let old = "insert into scheduled_messages (to_number, body, scheduled_at)
               select '+13105551234', case when n % 10 = 3 then 'poison ' else 'sound ' end || n,
                      now() - interval '1 day' from generate_series(1, 50) n";
    world.app.execute(old, &[]).await.unwrap();
    // A chore writes it.
    let (daemon, _) = refused_and_written_later(&world).await;
    daemon.stop().await;
}
