//! A daemon with no more rights than it needs, under row level security.

use std::sync::Arc;
use std::time::Duration;

use punctual::daemon::{self, Parts, RunError};
use punctual::http::{Endpoint, Tokens};
use punctual::message::Sender;
use punctual::policy::Rules;
use punctual::provider::console::Console;
use punctual::reactor::Settings;
use punctual::schedule::LeadSetting;
use punctual::store::{Dsn, MigrateError, Migrator};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::TestDb;
use crate::live_app::{app_with, dsn_as, role, session_as};

async fn parts(dsn: Dsn) -> Parts {
    Parts {
        sources: Vec::new(),
        app_tables: None,
        writer: None,
        planning: None,
        dsn,
        providers: Console::on(std::io::sink()),
        rules: Rules {
            default_sender: Some("+15550001111".parse::<Sender>().unwrap()),
            ..Rules::default()
        },
        settings: Settings {
            horizon: Duration::from_secs(3600),
            lead: LeadSetting::Auto,
            max_in_flight: 4,
            lease: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            limits: Arc::default(),
        },
        http: Endpoint {
            tcp: tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
            socket: None,
            tokens: Tokens::fresh(),
        },
        callbacks: None,
        state_dir: None,
        accept_restore: false,
        accept_clock: false,
    }
}

/// An app with a role of the test's own that has been made the daemon's.
async fn app_and_role(name: &str) -> TestDb {
    let db = app_with(4).await;
    role(&db, name, "").await;
    let migrator = Migrator::embedded();
    migrator.run(db.dsn()).await.unwrap();
    assert!(!migrator.grant(db.dsn(), name).await.unwrap().is_empty());
    db
}

/// What a start says to this role after `change`.
async fn refused(db: &TestDb, name: &str, change: &str) -> String {
    db.client().await.batch_execute(change).await.unwrap();
    let dsn = dsn_as(db, name).await;
    let run = daemon::run(parts(dsn).await, CancellationToken::new());
    let error = Box::pin(run).await.expect_err(change);
    assert!(
        matches!(error, RunError::Schema(MigrateError::Role { .. })),
        "{change}: {error:?}"
    );
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_of_that_role_sends_records_and_writes_the_apps_rows() {
    let db = app_and_role("live_sender").await;
    let stop = CancellationToken::new();
    let dsn = dsn_as(&db, "live_sender").await;
    let daemon = tokio::spawn(daemon::run(parts(dsn).await, stop.clone()));

    let client = session_as(&db, "live_app").await;
    let insert = "insert into scheduled_messages (to_number, body, scheduled_at)
                  values ('+15552223333', 'due', now()) returning id";
    let id: Uuid = client.query_one(insert, &[]).await.unwrap().get(0);
    let fate = "select m.status, (select count(*) from messages w join conversations c on c.id = w.conversation_id
                                   where c.phone_number = m.to_number), pg_sleep(0.02)::text
                  from scheduled_messages m where id = $1";
    let wait = async {
        loop {
            let row = client.query_one(fate, &[&id]).await.unwrap();
            let (status, written): (String, i64) = (row.get(0), row.get(1));
            if status == "sent" {
                return written;
            }
            assert!(status == "pending" || status == "sending", "{status}");
            assert!(!daemon.is_finished(), "the daemon has ended");
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(60), wait).await;
    assert_eq!(
        written.expect("it is sent"),
        1,
        "the app's message is there too"
    );
    let kept: i64 = db
        .client()
        .await
        .query_one("select count(*) from punctual.outbox", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(kept, 0);
    stop.cancel();
    daemon.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_grant_finds_nothing_to_do_and_a_missing_role_is_named() {
    let db = app_and_role("live_twice").await;
    let migrator = Migrator::embedded();
    let again = migrator.grant(db.dsn(), "live_twice").await.unwrap();
    assert_eq!(again, Vec::<String>::new());
    let error = migrator.grant(db.dsn(), "live_nobody").await.unwrap_err();
    assert!(matches!(error, MigrateError::NoRole { .. }), "{error:?}");
    assert!(
        error.to_string().contains("create role live_nobody"),
        "{error}"
    );
}

#[tokio::test]
async fn it_has_no_more_than_it_needs() {
    let db = app_and_role("live_least").await;
    let client = session_as(&db, "live_least").await;
    for statement in [
        "delete from scheduled_messages",
        "truncate scheduled_messages",
        "delete from messages",
        "delete from conversations",
        "update contacts set name = ''",
        "select from profiles",
        "insert into punctual.migrations values (1, '', '')",
        "create table punctual.mine ()",
        "drop trigger zzz_punctual_guard_update on scheduled_messages",
    ] {
        let error = client.execute(statement, &[]).await.expect_err(statement);
        let code = error.code().unwrap().code();
        assert_eq!(code, "42501", "{statement}: {error}");
    }
}

#[tokio::test]
async fn a_role_that_cannot_see_or_write_is_refused_at_the_start_by_what_it_lacks() {
    let db = app_and_role("live_blind").await;
    let hint = "punctual migrate --role live_blind";
    let check = async |change: &str, lacks: &str| {
        let text = Box::pin(refused(&db, "live_blind", change)).await;
        assert!(
            text.contains(lacks) && text.contains(hint),
            "{change}: {text}"
        );
        let migrator = Migrator::embedded();
        // Boxed, because each case would hold one.
        let granted = Box::pin(migrator.grant(db.dsn(), "live_blind")).await;
        assert!(!granted.unwrap().is_empty(), "{change}");
        let dsn = dsn_as(&db, "live_blind").await;
        Box::pin(migrator.check(&dsn)).await.unwrap();
    };
    let policy = "drop policy \"punctual live_blind\" on scheduled_messages;";
    check(
        policy,
        "a policy of row level security for it on public.scheduled_messages",
    )
    .await;
    // One for everybody that shows each user their own is none for a daemon.
    let own = "create policy own on scheduled_messages using (created_by is not null);";
    check(&format!("{policy}{own}"), "public.scheduled_messages").await;
    check(
        "revoke insert, update on messages, conversations from live_blind",
        "INSERT, UPDATE (body, delivered_at, status, twilio_error_code, twilio_status, updated_at) on public.messages; \
         INSERT, UPDATE (last_message_at, updated_at) on public.conversations",
    )
    .await;
    check(
        "revoke all on schema punctual from live_blind",
        "USAGE on schema punctual",
    )
    .await;
    check(
        "revoke select on punctual.migrations from live_blind",
        "SELECT on punctual.migrations",
    )
    .await;
    check(
        "alter table punctual.attempts enable row level security",
        "punctual.attempts",
    )
    .await;
}

#[tokio::test]
async fn whom_row_level_security_spares_or_a_policy_names_is_accepted() {
    let db = app_with(4).await;
    let migrator = Migrator::embedded();
    migrator.run(db.dsn()).await.unwrap();
    let all = "grant usage on schema punctual to live_spared, live_named;
      grant all on all tables in schema public to live_spared, live_named;
      grant all on all tables in schema punctual to live_spared, live_named;
      grant execute on all functions in schema punctual to live_spared, live_named;";
    role(&db, "live_spared", "bypassrls").await;
    role(&db, "live_named", "").await;
    let client = db.client().await;
    client.batch_execute(all).await.unwrap();
    migrator
        .check(&dsn_as(&db, "live_spared").await)
        .await
        .unwrap();

    let named = dsn_as(&db, "live_named").await;
    let error = migrator.check(&named).await.unwrap_err();
    assert!(matches!(error, MigrateError::Role { .. }), "{error:?}");
    // What its owner wrote for this role is meant, whatever it lets the role see.
    client
        .batch_execute(
            "create policy mine on scheduled_messages to live_named using (to_number like '+1%');
             create policy mine on conversations to live_named using (true);
             create policy mine on messages to live_named using (true);",
        )
        .await
        .unwrap();
    migrator.check(&named).await.unwrap();
    // The owner itself is not spared if row level security is forced.
    client
        .batch_execute("alter table messages force row level security")
        .await
        .unwrap();
    migrator.check(db.dsn()).await.unwrap();
}
