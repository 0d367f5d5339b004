//! Hints by the change feed: a replication slot in place of NOTIFY, and NOTIFY whenever there is none.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::store::{Dsn, Migrator};
use rustix::process::Signal;
use tokio_postgres::{AsyncMessage, Client};
use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::harness::{dsn, session};
use crate::standin::StandIn;
use crate::world::{World, arrived_once, called, environment, insert, requests};

const ROLE: &str = "feeding";
const FED: &str = "changes come by the change feed";

/// A server with a feed, and an app's session in it.
struct Fed {
    server: PrivatePostgres,
    place: Dsn,
    app: Client,
    phone: StandIn,
    env: Vec<(String, String)>,
}

impl Fed {
    /// With the schema, and a role that may not replicate yet.
    async fn new() -> Self {
        let settings = [
            ("wal_level", "logical"),
            ("synchronous_commit", "on"),
            ("max_replication_slots", "2"),
        ];
        let options = Options {
            fsync: false,
            settings: settings.map(|(k, v)| (k.into(), v.into())).to_vec(),
            ..Options::default()
        };
        let start = || PrivatePostgres::start(options).unwrap();
        let server = tokio::task::spawn_blocking(start).await.unwrap();
        let place = dsn(&server, "postgres");
        Migrator::embedded().run(&place).await.unwrap();
        let app = session(&place).await;
        let role = format!("create role {ROLE} login password '{ROLE}'");
        app.batch_execute(&role).await.unwrap();
        Migrator::embedded().grant(&place, ROLE).await.unwrap();
        let phone = StandIn::start([]).await;
        let url = server.url("postgres");
        let (_, at) = url.split_once('@').unwrap();
        let url = format!("postgres://{ROLE}:{ROLE}@{at}");
        let mut env = environment(&url, &phone.url());
        set(&mut env, "PUNCTUAL_CHANGES", "feed");
        Self {
            server,
            place,
            app,
            phone,
            env,
        }
    }

    async fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::start(&self.env);
        daemon.ready().await;
        daemon
    }

    async fn refuses(&self, why: &str) {
        let (code, _, stderr) = called(&["run"], &self.env).await;
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
    }

    async fn run(&self, sql: &str) {
        self.app.batch_execute(sql).await.unwrap();
    }

    /// The same settings, for a daemon that needs notifications.
    async fn notified(&self) -> Daemon {
        let mut env = self.env.clone();
        set(&mut env, "PUNCTUAL_CHANGES", "notify");
        let mut daemon = Daemon::start(&env);
        daemon.ready().await;
        daemon
    }

    async fn server_is_set(&self, to: &str) {
        self.run(&format!("alter system {to}")).await;
        self.run("select pg_reload_conf()").await;
    }

    async fn becomes_slots(&self, many: i64) {
        let sql = "select count(*) from pg_replication_slots where slot_name ^@ 'punctual_feed_'";
        until(&format!("{many} slots"), async || {
            let n: i64 = self.app.query_one(sql, &[]).await.unwrap().get(0);
            (n == many).then_some(())
        })
        .await;
    }

    async fn arrives(&self, body: &str, in_ms: i32) {
        let id = insert(&self.app, body, in_ms).await;
        arrived_once(&self.app, &self.phone, id).await;
    }
}

async fn becomes(daemon: &Daemon, words: &str) {
    until(words, async || {
        let ready = daemon.get("/readyz").await?.1;
        ready.contains(words).then_some(())
    })
    .await;
}

/// What waits for a sweep is found within 10 s, so two of three within this only by chance.
const SOON: Duration = Duration::from_secs(2);

/// A commit that waits for a standby is in the log, and its row is seen later.
async fn commits_that_wait(fed: &Fed) {
    let waits = session(&fed.place).await;
    let waiting = "select 1 from pg_stat_activity where wait_event = 'SyncRep' and query like 'insert into scheduled%'";
    let mut took = Vec::new();
    while took.len() < 3 {
        fed.server_is_set("set synchronous_standby_names = 'nobody'")
            .await;
        let (body, is_done, has_waited) = (Uuid::new_v4(), Cell::new(false), Cell::new(false));
        let commit = async {
            let id = insert(&waits, &body.to_string(), 0).await;
            is_done.set(true);
            id
        };
        let release = async {
            // The server may take a moment to know of the setting.
            until("its commit waits, or has not", async || {
                has_waited.set(fed.app.query_opt(waiting, &[]).await.unwrap().is_some());
                (is_done.get() || has_waited.get()).then_some(())
            })
            .await;
            // By then the daemon has heard of it.
            fed.run("select pg_sleep(0.1)").await;
            fed.server_is_set("reset synchronous_standby_names").await;
        };
        let (id, ()) = tokio::join!(commit, release);
        let seen = Instant::now();
        arrived_once(&fed.app, &fed.phone, id).await;
        if has_waited.get() {
            took.push(seen.elapsed());
        }
    }
    println!("figure: sent after its row was seen, which was later than its notice: {took:.1?}");
    took.sort_unstable();
    assert!(took[1] < SOON, "{took:?}");
}

/// The server would wait for the transaction, and keep what it waits with.
async fn killed_before_it_has_a_slot(fed: &Fed) {
    let open = session(&fed.place).await;
    let begin = "begin; select pg_current_xact_id()";
    open.batch_execute(begin).await.unwrap();
    let mut late = Daemon::start(&fed.env);
    let waiting = async || {
        let sql = "select count(*) from pg_stat_activity where backend_type = 'walsender' and wait_event_type = 'Lock'";
        fed.app.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    until("a walsender waits for the transaction", async || {
        (waiting().await == 1).then_some(())
    })
    .await;
    late.signal(Signal::KILL);
    late.ended().await;
    until("it waits for nobody any more", async || {
        (waiting().await == 0).then_some(())
    })
    .await;
    open.batch_execute("rollback").await.unwrap();
    fed.becomes_slots(1).await;
}

/// The server is set so that commits wait for whoever replicates.
async fn commits_that_would_wait_for_it(fed: &Fed, one: &Daemon) {
    let local = session(&fed.place).await;
    let wakes = "set synchronous_commit = local; notify punctual, 'members'";
    fed.server_is_set("set synchronous_standby_names = '*'")
        .await;
    until("it gives its slot up", async || {
        local.batch_execute(wakes).await.unwrap();
        let ready = one.get("/readyz").await?.1;
        ready.contains("every commit would wait").then_some(())
    })
    .await;
    fed.becomes_slots(0).await;
    fed.server_is_set("reset synchronous_standby_names").await;
    until("it has one again", async || {
        local.batch_execute(wakes).await.unwrap();
        one.get("/readyz").await?.1.contains(FED).then_some(())
    })
    .await;
}

/// What is written for its slot reaches nobody, so one that needs notifications looks for changes every second.
async fn one_that_hangs(fed: &Fed, one: &Daemon) {
    const DEAFENED: &str = "the change feed of another instance is there";
    let (_listens, heard) = spy(&fed.place).await;
    let notified = || std::mem::take(&mut *heard.lock().unwrap()).len();
    one.signal(Signal::STOP);
    let another = fed.notified().await;
    becomes(&another, DEAFENED).await;
    fed.arrives("beside one that hangs", 0).await;
    assert_eq!(notified(), 0);
    one.signal(Signal::CONT);
    fed.becomes_slots(0).await;
    until("it hears what is notified", async || {
        let ready = another.get("/readyz").await?.1;
        (!ready.contains(DEAFENED)).then_some(())
    })
    .await;
    fed.arrives("notified again", 0).await;
    until("it was notified", async || (notified() > 0).then_some(())).await;
    another.stop().await;
    becomes(one, FED).await;
}

/// What is notified about rows from now on.
async fn spy(place: &Dsn) -> (Client, Arc<Mutex<Vec<String>>>) {
    let (client, mut connection) = place.connect().await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notice) = message
                && notice.payload().starts_with("ids ")
            {
                into.lock().unwrap().push(notice.payload().to_owned());
            }
        }
    });
    client.batch_execute("listen punctual").await.unwrap();
    // The session lives as long as its client.
    (client, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_come_by_the_log_and_by_notifications_whenever_there_is_no_slot() {
    let mut fed = Fed::new().await;
    // What it needs is said one by one.
    fed.refuses("run `punctual migrate` with PUNCTUAL_CHANGES=feed")
        .await;
    let mut owner = fed.env.clone();
    set(&mut owner, "DATABASE_URL", &fed.server.url("postgres"));
    let (code, _, stderr) = called(&["migrate"], &owner).await;
    assert_eq!(code, Some(0), "{stderr}");
    fed.refuses("alter role … replication").await;
    fed.run(&format!("alter role {ROLE} replication")).await;

    let (_listens, heard) = spy(&fed.place).await;
    let notified = || std::mem::take(&mut *heard.lock().unwrap()).len();
    let one = fed.daemon().await;
    becomes(&one, FED).await;
    let edited = insert(&fed.app, "before", 2_500).await;
    let cancelled = insert(&fed.app, "cancelled", 2_500).await;
    let deleted = insert(&fed.app, "deleted", 2_500).await;
    let moved = insert(&fed.app, "moved", 3_600_000).await;
    fed.run(&format!(
        "update scheduled_messages set body = 'after' where id = '{edited}';
         update scheduled_messages set status = 'cancelled' where id = '{cancelled}';
         delete from scheduled_messages where id = '{deleted}';
         update scheduled_messages set scheduled_at = clock_timestamp() where id = '{moved}'"
    ))
    .await;
    fed.arrives("now", 0).await;
    for id in [moved, edited] {
        arrived_once(&fed.app, &fed.phone, id).await;
    }
    assert_eq!(requests(&fed.phone, "after").len(), 1);
    for nothing in ["before", "cancelled", "deleted"] {
        assert!(requests(&fed.phone, nothing).is_empty(), "{nothing}");
    }
    assert_eq!(notified(), 0);
    let (_, metrics) = one.answer("/metrics").await;
    assert!(metrics.contains("\npunctual_feed_up 1"), "{metrics}");
    let (_, shown, _) = called(&["doctor", "--verbose"], &fed.env).await;
    assert!(shown.contains("1 slot, for which"), "{shown}");

    // One that needs notifications gets them; the feed comes back when it is gone.
    let another = fed.notified().await;
    becomes(&one, "another instance needs notifications").await;
    fed.becomes_slots(0).await;
    fed.arrives("notified", 200).await;
    until("it was notified", async || (notified() > 0).then_some(())).await;
    another.stop().await;
    becomes(&one, FED).await;

    // Two feeds; one dies, and the slot with it. The walsender of the other is ended.
    let mut two = fed.daemon().await;
    becomes(&two, FED).await;
    fed.becomes_slots(2).await;
    let (_, shown, _) = called(&["doctor"], &fed.env).await;
    assert!(shown.contains("there is room for no more"), "{shown}");
    fed.arrives("two", 200).await;
    two.signal(Signal::KILL);
    two.ended().await;
    fed.becomes_slots(1).await;
    killed_before_it_has_a_slot(&fed).await;
    let end = "select pg_terminate_backend(active_pid) from pg_replication_slots";
    fed.run(end).await;
    let mut ids = vec![insert(&fed.app, "at once", 0).await];
    ids.push(insert(&fed.app, "soon", 300).await);
    until("it is lost and back", async || {
        let said = one.said();
        (said.matches("no change feed").count() >= 2).then_some(())
    })
    .await;
    becomes(&one, FED).await;

    // The server restarts.
    ids.push(insert(&fed.app, "later", 2_000).await);
    tokio::task::block_in_place(|| fed.server.restart(Shutdown::Immediate)).unwrap();
    fed.app = session(&fed.place).await;
    fed.arrives("the server is back", 0).await;
    becomes(&one, FED).await;
    fed.arrives("fed again", 100).await;
    for id in ids {
        arrived_once(&fed.app, &fed.phone, id).await;
    }
    commits_that_wait(&fed).await;
    commits_that_would_wait_for_it(&fed, &one).await;
    one_that_hangs(&fed, &one).await;
    one.stop().await;
    fed.becomes_slots(0).await;
}

#[tokio::test]
async fn without_the_log_a_feed_is_refused() {
    let world = World::new([]).await.with(&[("PUNCTUAL_CHANGES", "feed")]);
    if crate::harness::is_fed() {
        return;
    }
    let id: Uuid = world.insert("pending", 3_600_000).await;
    let (code, _, stderr) = world.call(&["run"]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("wal_level = logical"), "{stderr}");
    assert_eq!(world.row(id).await.unwrap().status, "pending");
}
