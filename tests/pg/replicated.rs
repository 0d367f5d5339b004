//! The app's tables fed by logical replication: the notice comes with the rows; what was sent is not sent again; events
//! and preferences count.

use std::time::Duration;

use punctual::demo::postgres::{Options, PrivatePostgres};
use punctual::message::{AttemptToken, ClaimResponse, InstanceId, MessageId};
use punctual::store::{Dsn, Migrator, Store};
use tokio_postgres::{AsyncMessage, Client};
use uuid::Uuid;

use crate::harness::{dsn, session};
use crate::rows::{one, run};

/// What is heard until a mark that is notified now; commits are heard in their order.
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
    let (sender, hears) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    run(&client, "listen punctual").await;
    (client, hears)
}

const MESSAGES: &str = "
    create table scheduled_messages (id uuid primary key default gen_random_uuid(), to_number text not null,
      body text not null, scheduled_at timestamptz not null, status text not null default 'pending',
      user_id uuid, calendar_event_id text, event_start timestamptz, parts_done int not null default 0)";

/// A server with the databases `source`, which publishes these tables, and `target`.
async fn publisher(settings: &[&str], tables: &str) -> (PrivatePostgres, Client) {
    let settings = settings.iter().map(|setting| {
        let (name, value) = setting.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    let logical = ("wal_level".to_owned(), "logical".to_owned());
    let settings: Vec<_> = settings.chain([logical]).collect();
    let server = tokio::task::spawn_blocking(|| {
        PrivatePostgres::start(Options {
            fsync: false,
            settings,
            ..Options::default()
        })
    });
    let server = server.await.unwrap().unwrap();
    let admin = session(&dsn(&server, "postgres")).await;
    run(&admin, "create database source").await;
    run(&admin, "create database target").await;
    let source = session(&dsn(&server, "source")).await;
    run(&source, tables).await;
    run(&source, "create publication feed for all tables").await;
    // The server is its own publisher, and would wait for itself to make the slot.
    let slot = "select pg_create_logical_replication_slot('feed', 'pgoutput')";
    run(&source, slot).await;
    (server, source)
}

async fn subscribe(server: &PrivatePostgres, target: &Client) {
    let subscribe = format!(
        "create subscription feed connection '{}' publication feed
           with (create_slot = false, slot_name = 'feed', copy_data = false)",
        server.url("source")
    );
    run(target, &subscribe).await;
}

async fn unsubscribe(target: &Client) {
    let drop = "alter subscription feed disable; alter subscription feed set (slot_name = none); drop subscription feed";
    run(target, drop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_replicated_are_notified_and_far_ones_are_not() {
    let (server, source) = publisher(&["max_prepared_transactions=2"], MESSAGES).await;
    let at = dsn(&server, "target");
    Migrator::embedded().run(&at).await.unwrap();
    let (target, mut hears) = listening(&at).await;
    subscribe(&server, &target).await;

    let rescan = vec!["rescan".to_owned()];
    for (change, there, expected) in [
        (
            "insert into scheduled_messages (to_number, body, scheduled_at)
             select '+15550100001', 'x', now() + n * interval '1 minute' from generate_series(1, 3) n",
            "select count(*) = 3 from scheduled_messages",
            &rescan,
        ),
        (
            "update scheduled_messages set scheduled_at = now() + interval '1 day'",
            "select min(scheduled_at) > now() + interval '23 hours' from scheduled_messages",
            &rescan,
        ),
        (
            "update scheduled_messages set body = 'far'",
            "select min(body) = 'far' from scheduled_messages",
            &Vec::new(),
        ),
        (
            "update scheduled_messages set scheduled_at = now()",
            "select max(scheduled_at) <= now() from scheduled_messages",
            &rescan,
        ),
        (
            "delete from scheduled_messages",
            "select count(*) = 0 from scheduled_messages",
            &rescan,
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
    unsubscribe(&target).await;
}

const PEOPLE: &str = "
    create table task_calendar_events (id uuid primary key default gen_random_uuid(), calendar_event_id text,
      user_id uuid, event_start timestamptz, sync_status text);
    create table user_sms_preferences (id uuid primary key default gen_random_uuid(), user_id uuid unique,
      phone_verified boolean default true, opted_out boolean default false)";

/// A target that is fed, and what feeds it.
struct Fed {
    source: Client,
    target: Client,
    store: Store,
}

impl Fed {
    /// Changes the source, and waits until the target has that and all before it.
    async fn change(&self, sql: &str) {
        let mark = Uuid::new_v4();
        run(
            &self.source,
            &format!(
                "{sql}; insert into scheduled_messages (id, to_number, body, scheduled_at)
                        values ('{mark}', '+15550100001', 'mark', 'infinity')"
            ),
        )
        .await;
        let there = format!("exists (select from scheduled_messages where id = '{mark}')");
        crate::rows::until(&self.target, &there).await;
    }

    async fn state(&self, id: Uuid) -> String {
        let sql = format!(
            "select concat_ws(' ', status, cancel_reason, round(extract(epoch from scheduled_at - now()) / 3600))
               from scheduled_messages where id = '{id}'"
        );
        one(&self.target, &sql).await
    }

    /// Whether a claim takes it now.
    async fn is_claimed(&self, id: Uuid) -> bool {
        let asked = [(MessageId(id), AttemptToken::fresh(), None)];
        let claimed = self.store.claim(&asked, Duration::from_secs(30)).await;
        matches!(claimed.unwrap().answers[0].1, ClaimResponse::Won(_))
    }

    /// How many messages the daemon has to change, and changes.
    async fn follow(&self) -> u64 {
        self.store.follow_missed(25).await.unwrap()
    }
}

const USER: &str = "11111111-1111-1111-1111-111111111111";

#[tokio::test(flavor = "multi_thread")]
async fn events_and_preferences_that_are_replicated_count() {
    let (server, source) = publisher(&[], &format!("{MESSAGES}; {PEOPLE}")).await;
    let at = dsn(&server, "target");
    Migrator::embedded().run(&at).await.unwrap();
    let (target, mut hears) = listening(&at).await;
    let admin = session(&at).await;
    subscribe(&server, &admin).await;
    let fed = Fed {
        source,
        target: session(&at).await,
        store: Store::new(at.pool(2), InstanceId::fresh()),
    };
    let ids: Vec<Uuid> = (0..6).map(|_| Uuid::new_v4()).collect();
    let reminder = |n: usize, event: &str| {
        format!(
            "insert into scheduled_messages (id, to_number, body, scheduled_at, user_id, calendar_event_id)
             values ('{}', '+15550100001', 'x', now(), '{USER}', '{event}')",
            ids[n]
        )
    };
    fed.change(&format!(
        "insert into user_sms_preferences (user_id) values ('{USER}');
         insert into task_calendar_events (calendar_event_id, user_id, event_start)
         select e, '{USER}', now() + interval '1 hour' from unnest(array['moved', 'gone', 'cancelled', 'left']) e;
         {}; {}; {}; {}; {}",
        reminder(0, "moved"),
        reminder(1, "gone"),
        reminder(2, "cancelled"),
        reminder(3, "left"),
        reminder(4, "none"),
    ))
    .await;
    assert_eq!(fed.follow().await, 0, "nothing has changed");
    heard(&target, &mut hears).await;
    fed.change(
        "update task_calendar_events set event_start = event_start + interval '2 days' where calendar_event_id = 'moved';
         delete from task_calendar_events where calendar_event_id = 'gone';
         update task_calendar_events set sync_status = 'cancelled' where calendar_event_id = 'cancelled';
         update task_calendar_events set calendar_event_id = 'other' where calendar_event_id = 'left'",
    )
    .await;
    let notified = heard(&target, &mut hears).await;
    assert_eq!(notified, ["missed"], "once for the transaction");
    for id in &ids[..4] {
        assert!(!fed.is_claimed(*id).await, "none leaves at its old time");
    }
    assert_eq!(fed.follow().await, 4);
    assert_eq!(fed.state(ids[0]).await, "pending 48");
    for id in &ids[1..4] {
        assert_eq!(fed.state(*id).await, "cancelled Calendar event deleted 0");
    }
    // One comes back, later than it was.
    fed.change(&format!(
        "insert into task_calendar_events (calendar_event_id, user_id, event_start)
         values ('gone', '{USER}', now() + interval '25 hours')"
    ))
    .await;
    assert_eq!(fed.follow().await, 1);
    assert_eq!(fed.state(ids[1]).await, "pending 24");
    // The user opts out.
    heard(&target, &mut hears).await;
    fed.change("update user_sms_preferences set opted_out = true")
        .await;
    assert_eq!(heard(&target, &mut hears).await, ["missed"]);
    assert!(!fed.is_claimed(ids[4]).await);
    assert_eq!(fed.follow().await, 3);
    let all = [(0, 48), (1, 24), (4, 0)];
    for (n, hours) in all {
        let cancelled = format!("cancelled the recipient has opted out {hours}");
        assert_eq!(fed.state(ids[n]).await, cancelled);
    }
    assert_eq!(fed.follow().await, 0);
    // Where no reminder is concerned nothing is noted.
    heard(&target, &mut hears).await;
    let notes = "select count(*) from punctual.missed_event_changes";
    fed.change("update user_sms_preferences set opted_out = false; update task_calendar_events set user_id = user_id")
        .await;
    assert_eq!(one::<i64>(&fed.target, notes).await, 0);
    unsubscribe(&admin).await;
}

/// The publisher knows nothing of what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_not_sent_again_by_a_change_that_is_replicated() {
    let (server, source) = publisher(&[], MESSAGES).await;
    let at = dsn(&server, "target");
    Migrator::embedded().run(&at).await.unwrap();
    let target = session(&at).await;
    subscribe(&server, &target).await;
    let fed = Fed {
        source,
        target: session(&at).await,
        store: Store::new(at.pool(2), InstanceId::fresh()),
    };
    let replica = session(&at).await;
    run(&replica, "set session_replication_role = replica").await;
    // A role that sees no other role's sessions, as the owner of the functions is where it is no superuser.
    let owner = "create role keeper; grant usage on schema punctual, public to keeper;
                 grant select on punctual.attempts to keeper; grant create on schema punctual to keeper;
                 alter function punctual.guard_replicated() owner to keeper";
    run(&target, owner).await;
    for (status, then) in [
        ("pending", "pending changed"),
        ("sending", "sending x"),
        ("sent", "sent x"),
        ("delivered", "delivered x"),
        ("unconfirmed", "unconfirmed x"),
        // A person set it back, there as one could here.
        ("cancelled", "pending changed"),
        ("failed", "pending changed"),
        // The first of its parts was sent, which is not known there.
        ("failed parts_done = 1", "failed x"),
    ] {
        let id = Uuid::new_v4();
        fed.change(&format!(
            "insert into scheduled_messages (id, to_number, body, scheduled_at)
             values ('{id}', '+15550100001', 'x', now())"
        ))
        .await;
        // A session of a person's may set any state, also back.
        let (status, parts) = status.split_once(' ').unwrap_or((status, "parts_done = 0"));
        for to in [status, "pending", status] {
            run(
                &replica,
                &format!(
                    "update scheduled_messages set status = '{to}', parts_total = 2, {parts} where id = '{id}'"
                ),
            )
            .await;
        }
        fed.change(&format!(
            "update scheduled_messages set body = 'changed' where id = '{id}'"
        ))
        .await;
        let is = format!(
            "select concat_ws(' ', status, body) from scheduled_messages where id = '{id}'"
        );
        assert_eq!(one::<String>(&fed.target, &is).await, then, "{status}");
    }
    unsubscribe(&target).await;
}
