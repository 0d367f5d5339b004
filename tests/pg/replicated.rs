//! The app's table fed by logical replication: the notice comes with the rows.

use std::time::Duration;

use punctual::demo::postgres::{Options, PrivatePostgres};
use punctual::store::{Dsn, Migrator};
use tokio_postgres::AsyncMessage;

use crate::harness::{dsn, session};
use crate::rows::{one, run};

/// What is heard until a mark that is notified now; commits are told in their order.
async fn heard(
    client: &tokio_postgres::Client,
    hears: &mut tokio::sync::mpsc::UnboundedReceiver<AsyncMessage>,
) -> Vec<String> {
    run(client, "notify punctual, 'mark'").await;
    let mut all = Vec::new();
    loop {
        let message = tokio::time::timeout(Duration::from_secs(60), hears.recv()).await;
        if let AsyncMessage::Notification(notice) = message.unwrap().unwrap() {
            if notice.payload() == "mark" {
                return all;
            }
            all.push(notice.payload().to_owned());
        }
    }
}

async fn listening(
    at: &Dsn,
) -> (
    tokio_postgres::Client,
    tokio::sync::mpsc::UnboundedReceiver<AsyncMessage>,
) {
    let (client, mut connection) = at.connect().await.unwrap();
    let (tell, hears) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if tell.send(message).is_err() {
                return;
            }
        }
    });
    run(&client, "listen punctual").await;
    (client, hears)
}

#[expect(
    clippy::too_many_lines,
    reason = "two servers, from the first row to the last"
)]
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_replicated_are_told_of_and_far_ones_are_not() {
    let server = tokio::task::spawn_blocking(|| {
        PrivatePostgres::start(Options {
            fsync: false,
            settings: vec![
                ("wal_level".into(), "logical".into()),
                ("max_prepared_transactions".into(), "2".into()),
            ],
            ..Options::default()
        })
    });
    let server = server.await.unwrap().unwrap();
    let admin = session(&dsn(&server, "postgres")).await;
    run(&admin, "create database source").await;
    run(&admin, "create database target").await;
    let source = session(&dsn(&server, "source")).await;
    run(
        &source,
        "create table scheduled_messages (id uuid primary key default gen_random_uuid(), to_number text not null,
           body text not null, scheduled_at timestamptz not null, status text not null default 'pending');
         create publication feed for table scheduled_messages",
    )
    .await;
    // The server is its own publisher, and would wait for itself to make the slot.
    run(
        &source,
        "select pg_create_logical_replication_slot('feed', 'pgoutput')",
    )
    .await;
    let at = dsn(&server, "target");
    Migrator::embedded().run(&at).await.unwrap();
    let (target, mut hears) = listening(&at).await;
    let subscribe = format!(
        "create subscription feed connection '{}' publication feed
           with (create_slot = false, slot_name = 'feed', copy_data = false)",
        server.url("source")
    );
    run(&target, &subscribe).await;

    let told = vec!["rescan".to_owned()];
    for (change, there, expected) in [
        (
            "insert into scheduled_messages (to_number, body, scheduled_at)
             select '+15550100001', 'x', now() + n * interval '1 minute' from generate_series(1, 3) n",
            "select count(*) = 3 from scheduled_messages",
            &told,
        ),
        (
            "update scheduled_messages set scheduled_at = now() + interval '1 day'",
            "select min(scheduled_at) > now() + interval '23 hours' from scheduled_messages",
            &told,
        ),
        (
            "update scheduled_messages set body = 'far'",
            "select min(body) = 'far' from scheduled_messages",
            &Vec::new(),
        ),
        (
            "update scheduled_messages set scheduled_at = now()",
            "select max(scheduled_at) <= now() from scheduled_messages",
            &told,
        ),
        (
            "delete from scheduled_messages",
            "select count(*) = 0 from scheduled_messages",
            &told,
        ),
    ] {
        run(&source, change).await;
        crate::rows::until(&target, &format!("({there})")).await;
        assert_eq!(&heard(&target, &mut hears).await, expected, "{change}");
    }
    // A transaction that is to be prepared may not notify, and need not.
    let soon = "begin; {} insert into scheduled_messages (to_number, body, scheduled_at)
                values ('+15550100001', 'x', now()); prepare transaction 'ours'";
    let refused = target.batch_execute(&soon.replace("{}", "")).await;
    assert!(refused.is_err(), "there is something to be left out");
    run(&target, "rollback").await;
    run(
        &target,
        &soon.replace("{}", "set local punctual.notify = 'off';"),
    )
    .await;
    run(&target, "commit prepared 'ours'").await;
    assert_eq!(heard(&target, &mut hears).await, Vec::<String>::new());
    let row = "select count(*) = 1 from scheduled_messages where status = 'pending'";
    assert!(one::<bool>(&target, row).await);

    // As it is kept in a catalog that doctor reads: not disabled, only for others.
    let findings =
        punctual::store::doctor::catalog(&target, &Migrator::embedded().triggers()).await;
    let triggers = findings.into_iter().find(|f| f.what == "triggers").unwrap();
    assert_eq!(triggers.found, "all in place");
    run(
        &target,
        "alter table scheduled_messages enable trigger punctual_notify_replicated",
    )
    .await;
    let findings =
        punctual::store::doctor::catalog(&target, &Migrator::embedded().triggers()).await;
    let triggers = findings.into_iter().find(|f| f.what == "triggers").unwrap();
    assert!(
        triggers
            .remedy
            .contains("enable replica trigger punctual_notify_replicated"),
        "{triggers:?}"
    );
    run(&target, "alter subscription feed disable; alter subscription feed set (slot_name = none); drop subscription feed").await;
    let gone: bool = one(&target, "select count(*) = 0 from pg_subscription").await;
    assert!(gone);
}
