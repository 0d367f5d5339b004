//! Users are notified of what has become of their messages, if that is wanted.

use punctual::store::{Migrator, Store};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use crate::ours::{accepted, recorded, store, won};
use crate::rows::{World, hearing, one, run};

const USER: &str = "11111111-1111-4111-8111-111111111111";

async fn wanted(world: &World, wanted: bool) {
    let migrator = Migrator::embedded();
    migrator.notify_users(world.db.dsn(), wanted).await.unwrap();
}

/// Sends a message, of this user or of none; returns its id.
async fn send(world: &World, store: &Store, user: &str) -> Uuid {
    let values = format!(", '+15005550006', {user}");
    let id = world
        .row_with("pending", ", from_number, user_id", &values)
        .await;
    let claim = won(store, &[id]).await.remove(0);
    assert_eq!(recorded(store, &[accepted(&claim)]).await, 1);
    id
}

async fn heard(hears: &mut UnboundedReceiver<AsyncMessage>) -> Value {
    loop {
        if let AsyncMessage::Notification(it) = hears.recv().await.unwrap() {
            assert_eq!(it.channel(), "notify_user");
            return serde_json::from_str(it.payload()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_user_is_notified_once_of_each_outcome_and_nobody_while_it_is_off() {
    let world = World::new().await;
    let store = store(&world);
    let user = format!("'{USER}'");
    let waiting = "select count(*) from punctual.user_notices";
    send(&world, &store, &user).await;
    assert_eq!(one::<i64>(&world.unseen, waiting).await, 0, "it is off");
    store.write_back(10).await.unwrap();
    assert!(!store.follows_outcomes());

    for _ in 0..2 {
        wanted(&world, true).await;
    }
    let (listener, mut hears) = hearing(&world.db).await;
    run(&listener, "listen notify_user").await;
    send(&world, &store, "null").await;
    let id = send(&world, &store, &user).await;
    assert_eq!(store.write_back(10).await.unwrap(), 1);
    assert!(store.follows_outcomes());
    let event =
        |event: &str| json!({"user_id": USER, "event": event, "payload": {"message_id": id}});
    assert_eq!(heard(&mut hears).await, event("sms_sent"));
    let daemon = world.daemon().await;
    let becomes = async |id: Uuid, status: &str| {
        let change = format!(
            "update scheduled_messages set status = '{status}', error_message = 'x' where id = '{id}'"
        );
        run(&daemon, &change).await;
        store.write_back(10).await.unwrap();
    };
    becomes(id, "delivered").await;
    assert_eq!(heard(&mut hears).await, event("sms_delivered"));
    let id = send(&world, &store, &user).await;
    becomes(id, "failed").await;
    for what in ["sms_sent", "sms_failed"] {
        let notice = heard(&mut hears).await;
        assert_eq!(notice["payload"]["message_id"], id.to_string());
        assert_eq!(notice["event"], what);
    }
    assert_eq!(store.write_back(10).await.unwrap(), 0);

    // As on Supabase.
    run(
        &world.unseen,
        "create schema realtime; create table realtime.sent (payload jsonb, event text, topic text, private boolean);
         create function realtime.send(payload jsonb, event text, topic text, private boolean) returns void
         language sql as 'insert into realtime.sent values (payload, event, topic, private)'",
    )
    .await;
    let id = send(&world, &store, &user).await;
    store.write_back(10).await.unwrap();
    let number: String = one(
        &world.unseen,
        &format!("select to_number::text from scheduled_messages where id = '{id}'"),
    )
    .await;
    let sent = "select string_agg(concat_ws(' ', payload, event, topic, private), ', ') from realtime.sent";
    assert_eq!(
        one::<String>(&world.unseen, sent).await,
        format!(
            "{{\"message_id\": \"{id}\", \"phone_number\": \"{number}\"}} sms_sent user:{USER} t"
        )
    );
    // Somebody else's function is not called with the rights of the one that notifies.
    run(
        &world.unseen,
        "create role stranger_of_realtime; alter function realtime.send(jsonb, text, text, boolean) owner to stranger_of_realtime",
    )
    .await;
    send(&world, &store, &user).await;
    store.write_back(10).await.unwrap();
    let sends = "select count(*) from realtime.sent";
    assert_eq!(one::<i64>(&world.unseen, sends).await, 1);
    heard(&mut hears).await;
    run(
        &world.unseen,
        "alter function realtime.send(jsonb, text, text, boolean) owner to current_user;
         drop role stranger_of_realtime",
    )
    .await;
    run(
        &world.unseen,
        "alter table realtime.sent add check (topic = '')  not valid",
    )
    .await;
    heard(&mut hears).await;
    send(&world, &store, &user).await;
    assert_eq!(store.write_back(10).await.unwrap(), 1);
    assert_eq!(heard(&mut hears).await["event"], "sms_sent");

    send(&world, &store, &user).await;
    wanted(&world, false).await;
    assert_eq!(one::<i64>(&world.unseen, waiting).await, 0);
    store.write_back(10).await.unwrap();
    assert!(!store.follows_outcomes());
}
