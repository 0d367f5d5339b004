//! What goes on beside the event loop: chores that hold up nobody, and tasks that may not be missing
//! unnoticed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};
use punctual::daemon::{Parts, RunError, TaskError};
use punctual::http::{Endpoint, Tokens};
use punctual::message::{Capabilities, Outcome, ProviderSid};
use punctual::policy::{Cleared, Rules};
use punctual::provider::{Fetched, Provider, Providers};
use punctual::reactor::Settings;
use punctual::schedule::LeadSetting;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::daemon::until;
use crate::harness::TestDb;
use crate::world::{FROM, World, insert};

/// Writes that are refused, each only after a while.
const FULL_OUTBOX: &str = "
    create function slow() returns trigger language plpgsql as
      $$ begin perform pg_sleep(0.1); return new; end $$;
    create trigger slow before update on punctual.outbox for each row execute function slow();
    insert into punctual.outbox (message_id, write, last_error)
      select gen_random_uuid(), '{}', 'planted' from generate_series(1, 400)";

#[tokio::test]
async fn a_full_outbox_holds_up_neither_heartbeat_nor_chores() {
    let world = World::new([]).await;
    world.app.batch_execute(FULL_OUTBOX).await.unwrap();
    let daemon = world.daemon().await;
    let get = async |sql: &str| -> i64 { world.app.query_one(sql, &[]).await.unwrap().get(0) };
    let untried = "select count(*) from punctual.outbox where attempts = 0";
    until("the outbox is being tried", async || {
        (get(untried).await < 400).then_some(())
    })
    .await;
    let late = insert(&world.app, "too late", -7_200_000).await;
    let beat =
        "select (extract(epoch from max(heartbeat_at)) * 1000)::bigint from punctual.instances";
    let mut beats = std::collections::BTreeSet::new();
    until("three beats and an expiry beside it", async || {
        beats.insert(get(beat).await);
        assert!(
            get(untried).await > 0,
            "not before it was through: {beats:?}"
        );
        let status = world.row(late).await.unwrap().status;
        (beats.len() > 3 && status == "cancelled").then_some(())
    })
    .await;
    daemon.stop().await;
}

/// Takes messages, and is a bug when it is asked about them.
struct Planted;

impl Provider for Planted {
    fn send<'a>(&'a self, message: &'a Cleared, _: Duration) -> BoxFuture<'a, Outcome> {
        let sid = ProviderSid(format!("SM{}", message.token().0.simple()));
        ready(Outcome::Accepted { sid }).boxed()
    }

    fn prewarm(&self, _: usize) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: true,
            ..Capabilities::SENDS_ONLY
        }
    }

    fn fetch<'a>(&'a self, _: &'a ProviderSid) -> BoxFuture<'a, Fetched> {
        panic!("planted")
    }
}

#[tokio::test]
async fn a_task_that_panics_ends_the_daemon_in_good_order_and_by_name() {
    let db = TestDb::new().await;
    let app = db.client().await;
    let second = Duration::from_secs(1);
    let parts = Parts {
        dsn: db.dsn().clone(),
        providers: Providers::texts(Arc::new(Planted)),
        rules: Rules {
            default_sender: FROM.parse().ok(),
            ..Rules::default()
        },
        settings: Settings {
            horizon: 3600 * second,
            lead: LeadSetting::Auto,
            max_in_flight: 10,
            lease: 60 * second,
            send_timeout: 5 * second,
            limits: Arc::default(),
        },
        http: Endpoint {
            tcp: TcpListener::bind(("127.0.0.1", 0)).await.unwrap(),
            socket: None,
            tokens: Tokens::fresh(),
        },
        callbacks: None,
        state_dir: None,
        sources: Vec::new(),
        app_tables: None,
        writer: None,
        planning: None,
        accept_restore: false,
        accept_clock: false,
    };
    let running = tokio::spawn(punctual::daemon::run(parts, CancellationToken::new()));
    let id = insert(&app, "asked about", 0).await;
    crate::world::becomes(&app, id, "sent").await;
    // Now, and not when it would be worth asking.
    let ask = "update punctual.attempts set next_lookup_at = clock_timestamp()";
    app.batch_execute(ask).await.unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert!(
        matches!(error, RunError::Task(TaskError::Panicked("look-ups"))),
        "{error}"
    );
    let signed_off = "select stopped_at is not null from punctual.instances";
    let signed_off: bool = app.query_one(signed_off, &[]).await.unwrap().get(0);
    assert!(signed_off, "nothing was left open");
}
