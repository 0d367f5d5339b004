//! Messages that the app shows: the table, who may do what with it, and what is forgotten.

use std::time::Duration;

use punctual::message::MessageId;
use punctual::provider::in_app::{Inbox as _, Item, Put};
use punctual::store::forget::forget;
use punctual::store::{InAppMessages, Migrator};
use tokio_postgres::{AsyncMessage, Client};
use uuid::Uuid;

use crate::live_app::{dsn_as, role};
use crate::ours::store;
use crate::rows::{World, one, run, said};

const AMPLE: Duration = Duration::from_secs(60);

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BEN: &str = "22222222-2222-4222-8222-222222222222";

fn item(message: Uuid, user: &str) -> Item<'static> {
    Item {
        message: MessageId(message),
        part: 1,
        user: user.parse().unwrap(),
        kind: Some("order"),
        subject: Some("Your order"),
        body: "It is on its way.",
    }
}

async fn table(client: &Client, what: &str) -> String {
    let sql = format!("select coalesce(({what})::text, '-') from punctual_api.in_app_messages");
    one(client, &sql).await
}

/// A role of the app's that may do what the docs grant, in a session of this user.
async fn user(world: &World, name: &str, user: &str) -> Client {
    role(&world.db, name, "").await;
    let grants = include_str!("../../docs/in-app.md");
    let (_, grants) = grants.split_once("```sql\n").unwrap();
    let (grants, _) = grants.split_once("```").unwrap();
    run(&world.unseen, &grants.replace("my_app", name)).await;
    let client = world.db.client().await;
    let become_it = format!("set role {name}; set request.jwt.claims = '{{\"sub\": \"{user}\"}}'");
    run(&client, &become_it).await;
    client
}

#[tokio::test]
async fn a_message_and_its_part_are_one_row_however_often_they_are_sent() {
    let world = World::new().await;
    let (hearing, mut heard) = crate::rows::hearing(&world.db).await;
    run(&hearing, "listen punctual_in_app").await;
    let inbox = InAppMessages::of(world.db.dsn());
    let message = Uuid::new_v4();
    let is_there = async |part: i16| inbox.has(MessageId(message), part, AMPLE).await;
    assert_eq!(is_there(1).await, Some(false));
    for _ in 0..3 {
        assert_eq!(inbox.put(item(message, ADA), AMPLE).await, Put::Done);
    }
    assert_eq!(
        (is_there(1).await, is_there(2).await),
        (Some(true), Some(false))
    );
    // It was changed between two attempts.
    let former = Item {
        body: "It is late.",
        ..item(message, BEN)
    };
    run(&world.unseen, "notify punctual_in_app, 'next'").await;
    for item in [former, item(message, ADA)] {
        assert_eq!(inbox.put(item, AMPLE).await, Put::Done);
    }
    let next = Item {
        part: 2,
        subject: None,
        kind: None,
        ..item(message, ADA)
    };
    assert_eq!(inbox.put(next, AMPLE).await, Put::Done);
    let is = "string_agg(concat_ws(' ', user_id, part, message_type, subject, body, read_at), ', ' order by part)";
    assert_eq!(
        table(&world.unseen, is).await,
        format!("{ADA} 1 order Your order It is on its way., {ADA} 2 It is on its way.")
    );
    let ids: Vec<Uuid> = one(
        &world.unseen,
        "select array_agg(id order by part) from punctual_api.in_app_messages",
    )
    .await;
    run(&world.unseen, "notify punctual_in_app, 'end'").await;
    let row = |id: Uuid, user: &str| format!("{{\"id\" : \"{id}\", \"user_id\" : \"{user}\"}}");
    for expected in [
        row(ids[0], ADA),
        "next".to_owned(),
        row(ids[0], BEN),
        row(ids[0], ADA),
        row(ids[1], ADA),
    ] {
        assert_eq!(notified(&mut heard).await, expected, "once a text");
    }
    assert_eq!(notified(&mut heard).await, "end", "once a row");
}

async fn notified(heard: &mut tokio::sync::mpsc::UnboundedReceiver<AsyncMessage>) -> String {
    loop {
        if let Some(AsyncMessage::Notification(heard)) = heard.recv().await
            && heard.channel() == "punctual_in_app"
        {
            return heard.payload().to_owned();
        }
    }
}

#[tokio::test]
async fn what_waits_is_put_there_together_and_a_refusal_is_of_one_alone() {
    const MANY: usize = 40;
    let world = World::new().await;
    let inbox = InAppMessages::of(world.db.dsn());
    let own =
        "alter table punctual_api.in_app_messages add constraint own check (subject <> 'Not this')";
    run(&world.unseen, own).await;
    let puts = (0..MANY).map(|_| inbox.put(item(Uuid::new_v4(), ADA), AMPLE));
    let puts = futures_util::future::join_all(puts).await;
    assert_eq!(puts, vec![Put::Done; MANY]);
    let commits: i64 = one(
        &world.unseen,
        "select count(distinct xmin::text) from punctual_api.in_app_messages",
    )
    .await;
    assert!(commits <= 2, "{commits} transactions over two connections");
    let with = |n| Item {
        subject: Some(if n == MANY / 2 { "Not this" } else { "This" }),
        ..item(Uuid::new_v4(), BEN)
    };
    let puts = (0..MANY).map(|n| inbox.put(with(n), AMPLE));
    let puts = futures_util::future::join_all(puts).await;
    for (n, put) in puts.iter().enumerate() {
        match put {
            Put::Done => assert_ne!(n, MANY / 2),
            put => assert!(
                n == MANY / 2 && matches!(put, Put::Refused(_)),
                "{n}: {put:?}"
            ),
        }
    }
    let shown = format!("count(*) filter (where user_id = '{BEN}')");
    assert_eq!(table(&world.unseen, &shown).await, (MANY - 1).to_string());
}

#[tokio::test]
async fn what_the_database_says_decides_whether_it_is_tried_again() {
    let world = World::new().await;
    let inbox = InAppMessages::of(world.db.dsn());
    let own = "alter table punctual_api.in_app_messages add constraint own check (subject <> 'Your order')";
    run(&world.unseen, own).await;
    let Put::Refused(why) = inbox.put(item(Uuid::new_v4(), ADA), AMPLE).await else {
        panic!("a constraint of the app's refuses it for good");
    };
    assert!(why.contains("own") && !why.contains("on its way"), "{why}");
    run(
        &world.unseen,
        "alter table punctual_api.in_app_messages drop constraint own",
    )
    .await;

    let holder = world.db.client().await;
    run(
        &holder,
        "begin; lock table punctual_api.in_app_messages in access exclusive mode",
    )
    .await;
    let locked = inbox.put(item(Uuid::new_v4(), ADA), AMPLE).await;
    assert!(matches!(locked, Put::Not(_)), "{locked:?}");
    run(&holder, "rollback").await;
    run(
        &world.unseen,
        "create function waits() returns trigger language plpgsql as 'begin perform pg_sleep(3); return new; end';
         create trigger waits before insert on punctual_api.in_app_messages for each row execute function waits()",
    )
    .await;
    let short = Duration::from_secs(1);
    let unknown = inbox.put(item(Uuid::new_v4(), ADA), short).await;
    assert!(matches!(unknown, Put::Unknown(_)), "{unknown:?}");
    run(
        &world.unseen,
        "drop trigger waits on punctual_api.in_app_messages",
    )
    .await;
    // By another connection: the one that did not respond is left.
    assert_eq!(inbox.put(item(Uuid::new_v4(), ADA), AMPLE).await, Put::Done);

    run(
        &world.unseen,
        "alter table punctual_api.in_app_messages rename to another",
    )
    .await;
    let gone = inbox.put(item(Uuid::new_v4(), ADA), AMPLE).await;
    assert!(matches!(gone, Put::RefusesAll(_)), "{gone:?}");

    let nobody = punctual::store::Dsn::parse("postgres://nobody@127.0.0.1:1/none").unwrap();
    let away = InAppMessages::of(&nobody);
    let away = away.put(item(Uuid::new_v4(), ADA), AMPLE).await;
    assert!(matches!(away, Put::Not(_)), "{away:?}");
}

#[tokio::test]
async fn a_user_reads_their_own_and_marks_them_as_read_and_no_more() {
    let world = World::new().await;
    role(&world.db, "in_app_daemon", "").await;
    let daemon = dsn_as(&world.db, "in_app_daemon").await;
    let inbox = InAppMessages::of(&daemon);
    let early = inbox.put(item(Uuid::new_v4(), ADA), AMPLE).await;
    assert!(matches!(early, Put::RefusesAll(_)), "{early:?}");
    Migrator::embedded()
        .grant(world.db.dsn(), "in_app_daemon")
        .await
        .unwrap();
    for user in [ADA, BEN] {
        assert_eq!(
            inbox.put(item(Uuid::new_v4(), user), AMPLE).await,
            Put::Done
        );
    }

    let ada = user(&world, "in_app_reader", ADA).await;
    assert_eq!(table(&ada, "string_agg(user_id::text, ' ')").await, ADA);
    let read = "update punctual_api.in_app_messages set read_at = now()";
    assert_eq!(ada.execute(read, &[]).await.unwrap(), 1);
    let all = "array_agg((user_id, read_at is null) order by user_id)";
    assert_eq!(
        table(&world.unseen, all).await,
        format!("{{\"({ADA},f)\",\"({BEN},t)\"}}")
    );
    for sql in [
        "update punctual_api.in_app_messages set body = 'x'",
        "delete from punctual_api.in_app_messages",
        "insert into punctual_api.in_app_messages (user_id, message_id, part, body) values (gen_random_uuid(), gen_random_uuid(), 1, 'x')",
        "select punctual.put_in_app(gen_random_uuid(), 1, gen_random_uuid(), null, null, 'x')",
    ] {
        let error = ada.batch_execute(sql).await.expect_err(sql);
        assert!(said(&error).contains("42501"), "{}", said(&error));
    }
    run(&ada, "set request.jwt.claims = ''").await;
    assert_eq!(table(&ada, "count(*)").await, "0", "without a login");
}

#[tokio::test]
async fn a_user_is_forgotten_and_nobody_else() {
    let world = World::new().await;
    let inbox = InAppMessages::of(world.db.dsn());
    let sent = async |status: &str, user: &str| {
        let id = world.row(status).await;
        let to = format!(
            "update scheduled_messages set channel = 'in_app', to_number = '{user}', from_number = null where id = '{id}'"
        );
        run(&world.unseen, &to).await;
        assert_eq!(inbox.put(item(id, user), AMPLE).await, Put::Done);
        id
    };
    let erased = sent("sent", ADA).await;
    let (kept, other) = (sent("unconfirmed", ADA).await, sent("sent", BEN).await);
    let deleted = sent("sent", ADA).await;
    run(
        &world.unseen,
        &format!("delete from scheduled_messages where id = '{deleted}'"),
    )
    .await;
    let ids = "array_agg(message_id order by message_id)";
    let of = |mut ids: Vec<Uuid>| {
        ids.sort_unstable();
        let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        format!("{{{}}}", ids.join(","))
    };
    // Its digits are those of no other user.
    assert_eq!(
        forget(&world.user, &ADA.replace('-', ""), false)
            .await
            .unwrap()
            .erased,
        0
    );
    run(&world.user, &format!("select punctual.erase('{erased}')")).await;
    assert_eq!(
        table(&world.unseen, ids).await,
        of(vec![kept, other, deleted])
    );
    let forgotten = forget(&world.user, &ADA.to_uppercase(), false)
        .await
        .unwrap();
    assert_eq!(forgotten.kept, [MessageId(kept)]);
    assert_eq!(table(&world.unseen, ids).await, of(vec![kept, other]));
}

#[tokio::test]
async fn what_is_older_than_the_retention_is_deleted_unless_it_may_be_sent_again() {
    let world = World::new().await;
    let inbox = InAppMessages::of(world.db.dsn());
    let mut ids = Vec::new();
    for status in ["sent", "unconfirmed", "sent"] {
        let id = world.row(status).await;
        assert_eq!(inbox.put(item(id, ADA), AMPLE).await, Put::Done);
        ids.push(id);
    }
    run(
        &world.unseen,
        &format!(
            "update punctual_api.in_app_messages set created_at = now() - interval '91 days' where message_id <> '{}'",
            ids[2]
        ),
    )
    .await;
    let days = |days: u64| Some(Duration::from_secs(days * 24 * 3600));
    // A text goes with the texts, if these are kept for less.
    for (messages, texts, left) in [
        (days(100), None, 3),
        (days(90), None, 2),
        (None, days(92), 2),
    ] {
        let keep = punctual::message::Retention { messages, texts };
        let mut next = Some(punctual::store::retention::Walk::default());
        while let Some(at) = next {
            next = store(&world).retain(&at, keep, 1_000).await.unwrap().next;
        }
        let there: Vec<Uuid> = one(
            &world.unseen,
            "select array_agg(message_id order by created_at) from punctual_api.in_app_messages",
        )
        .await;
        assert_eq!(there, ids[3 - left..], "{keep:?}");
    }
    let later = "update punctual_api.in_app_messages set created_at = now() - interval '2 days'";
    run(&world.unseen, later).await;
    let day = punctual::message::Retention {
        messages: None,
        texts: days(1),
    };
    let mut next = Some(punctual::store::retention::Walk::default());
    while let Some(at) = next {
        next = store(&world).retain(&at, day, 1_000).await.unwrap().next;
    }
    // The one whose message is not over.
    let ids_left = table(&world.unseen, "string_agg(message_id::text, ' ')").await;
    assert_eq!(ids_left, ids[1].to_string());
}
