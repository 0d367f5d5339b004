//! Subscriptions to push messages: who may do what with them, and when they are over.

use std::time::Duration;

use punctual::message::Retention;
use punctual::provider::webpush::{Found, Subscriptions as _};
use punctual::store::forget::forget;
use punctual::store::retention::Walk;
use punctual::store::{Migrator, PushSubscriptions};
use tokio_postgres::Client;

use crate::live_app::{dsn_as, role, session_as};
use crate::ours::store;
use crate::rows::{World, one, run, said};

const AMPLE: Duration = Duration::from_secs(60);

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BEN: &str = "22222222-2222-4222-8222-222222222222";

fn insert(user: &str, endpoint: &str) -> String {
    let (p256dh, auth) = ("B".repeat(87), "A".repeat(22));
    format!(
        "insert into punctual_api.push_subscriptions (user_id, endpoint, p256dh, auth)
         values ('{user}', '{endpoint}', '{p256dh}', '{auth}')"
    )
}

async fn endpoints(client: &Client) -> String {
    let sql = "select coalesce(string_agg(endpoint || coalesce(' ' || reason, ''), ', ' order by endpoint), '-')
                 from punctual_api.push_subscriptions";
    one(client, sql).await
}

async fn keys(of: &PushSubscriptions, endpoint: &str) -> Option<(String, String)> {
    match of.find(endpoint, None, AMPLE).await {
        Found::Live { p256dh, auth } => Some((p256dh, auth)),
        Found::None => None,
        Found::Refused(why) | Found::Unknown(why) => panic!("{why}"),
    }
}

/// A session of a user in a role that may do what the docs grant.
async fn session(world: &World, user: &str) -> Client {
    let name = "push_app";
    role(&world.db, name, "").await;
    let docs = include_str!("../../docs/web-push.md");
    let (_, grants) = docs.split_once("```sql\n").unwrap();
    let (grants, _) = grants.split_once("```").unwrap();
    run(&world.unseen, &grants.replace("my_app", name)).await;
    let client = world.db.client().await;
    let become_it = format!("set role {name}; set request.jwt.claims = '{{\"sub\": \"{user}\"}}'");
    run(&client, &become_it).await;
    client
}

#[tokio::test]
async fn a_user_has_their_own_subscriptions_and_the_daemon_the_keys_of_one() {
    let world = World::new().await;
    let (ada, ben) = (session(&world, ADA).await, session(&world, BEN).await);
    run(&ada, &insert(ADA, "https://a.example/1")).await;
    run(&ben, &insert(BEN, "https://b.example/1")).await;
    assert_eq!(endpoints(&ada).await, "https://a.example/1");
    for (sql, why) in [
        (insert(BEN, "https://a.example/2"), "row-level security"),
        (insert(ADA, "https://b.example/1"), "23505"),
        (insert(ADA, "http://a.example/2"), "23514"),
        (
            insert(ADA, "https://a.example/2").replace("AAA", ""),
            "23514",
        ),
        (
            "update punctual_api.push_subscriptions set ended_at = now()".into(),
            "42501",
        ),
        (
            "select punctual.end_push('https://a.example/1', 'x')".into(),
            "42501",
        ),
    ] {
        let error = ada.batch_execute(&sql).await.expect_err(&sql);
        assert!(said(&error).contains(why), "{sql}: {}", said(&error));
    }

    role(&world.db, "push_daemon", "").await;
    let daemon = PushSubscriptions::of(&dsn_as(&world.db, "push_daemon").await);
    let before = daemon.find("https://a.example/1", None, AMPLE).await;
    assert!(matches!(before, Found::Refused(_)), "it has no right yet");
    Migrator::embedded()
        .grant(world.db.dsn(), "push_daemon")
        .await
        .unwrap();
    let of_ada = Some(("B".repeat(87), "A".repeat(22)));
    assert_eq!(keys(&daemon, "https://a.example/1").await, of_ada);
    assert_eq!(keys(&daemon, "https://a.example/0").await, None);
    // Whoever has the browser now: a message for somebody else is not shown to them.
    for (user, is_theirs) in [(ADA, true), (BEN, false)] {
        let user = Some(user.parse().unwrap());
        let found = daemon.find("https://a.example/1", user, AMPLE).await;
        assert_eq!(matches!(found, Found::Live { .. }), is_theirs, "{user:?}");
    }
    daemon.end("https://a.example/1", "HTTP 410", AMPLE).await;
    daemon.end("https://a.example/1", "HTTP 404", AMPLE).await;
    assert_eq!(keys(&daemon, "https://a.example/1").await, None);
    assert_eq!(endpoints(&ada).await, "https://a.example/1 HTTP 410");
    let session = session_as(&world.db, "push_daemon").await;
    let all = "select from punctual_api.push_subscriptions";
    let error = session.batch_execute(all).await.expect_err(all);
    assert!(said(&error).contains("42501"), "{}", said(&error));
    run(&ada, "delete from punctual_api.push_subscriptions").await;
    assert_eq!(endpoints(&world.unseen).await, "https://b.example/1");
}

/// Each user chooses the hosts that are sent to, so nobody has any number of them.
#[tokio::test]
async fn a_user_has_at_most_twenty_that_are_live() {
    let world = World::new().await;
    let ada = session(&world, ADA).await;
    let nth = |n: usize| insert(ADA, &format!("https://a.example/{n}"));
    for n in 0..20 {
        run(&ada, &nth(n)).await;
    }
    let refused = ada.batch_execute(&nth(20)).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "PT422");
    assert!(
        said(&refused).contains("20 push subscriptions"),
        "{}",
        said(&refused)
    );
    // The same browser once more, and another user.
    let again = format!("{} on conflict (endpoint) do nothing", nth(3));
    run(&ada, &again).await;
    let ben = session(&world, BEN).await;
    run(&ben, &insert(BEN, "https://b.example/1")).await;
    // One that has ended, or is deleted, makes room.
    run(
        &world.unseen,
        "select punctual.end_push('https://a.example/0', 'gone')",
    )
    .await;
    run(&ada, &nth(20)).await;
    run(
        &ada,
        "delete from punctual_api.push_subscriptions where endpoint = 'https://a.example/1'",
    )
    .await;
    run(&ada, &nth(21)).await;
    assert!(ada.batch_execute(&nth(22)).await.is_err());
}

#[tokio::test]
async fn subscriptions_are_forgotten_with_their_user_and_after_their_end() {
    let world = World::new().await;
    for (user, endpoint) in [
        (ADA, "https://a.example/1"),
        (ADA, "https://a.example/2"),
        (BEN, "https://b.example/1"),
        (BEN, "https://b.example/2"),
        (BEN, "https://b.example/3"),
    ] {
        run(&world.unseen, &insert(user, endpoint)).await;
    }
    let id = world.row("sent").await;
    let to = format!(
        "update scheduled_messages set channel = 'push', to_number = 'https://a.example/2', from_number = null where id = '{id}'"
    );
    run(&world.unseen, &to).await;
    assert_eq!(forget(&world.user, ADA, false).await.unwrap().erased, 1);
    assert_eq!(world.get::<String>(id, "body").await, "");
    forget(&world.user, "https://b.example/3", false)
        .await
        .unwrap();
    let age = "update punctual_api.push_subscriptions set created_at = now() - interval '100 days',
                      ended_at = case endpoint when 'https://b.example/2' then now() - interval '91 days' end";
    assert_eq!(
        endpoints(&world.unseen).await,
        "https://b.example/1, https://b.example/2"
    );
    run(&world.unseen, age).await;
    let ninety = Retention {
        messages: Some(Duration::from_secs(90 * 24 * 3600)),
        texts: None,
    };
    let mut next = Some(Walk::default());
    while let Some(at) = next {
        next = store(&world).retain(&at, ninety, 1_000).await.unwrap().next;
    }
    assert_eq!(endpoints(&world.unseen).await, "https://b.example/1");
}
