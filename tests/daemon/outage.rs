//! The server ends our sessions, or itself.

use std::time::{Duration, Instant};

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::store::Migrator;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::harness::{dsn, session};
use crate::standin::{Act, StandIn};
use crate::world::{World, arrived_once, called, environment};

/// Ends the daemon's sessions in this database: the one that listens, or all.
async fn terminate(world: &World, which: &str) -> i64 {
    let sql = format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and application_name = 'punctual'
           and pid <> pg_backend_pid() and backend_start > $1 and {which}"
    );
    // The test's own sessions have the same name, but are older than the daemon's.
    let own = "select backend_start from pg_stat_activity where pid = pg_backend_pid()";
    let own = world.app.query_one(own, &[]).await.unwrap();
    let own: chrono::DateTime<chrono::Utc> = own.get(0);
    let row = world.app.query_one(&sql, &[&own]).await;
    row.unwrap().get(0)
}

async fn check(which: &str, at_least: i64) {
    let world = World::new([]).await;
    let mut daemon = world.daemon().await;
    let mut ids = Vec::new();
    for n in 0..20 {
        let body = format!("through it {n}");
        ids.push(world.insert(&body, 500 + 50 * n).await);
    }
    world
        .app
        .execute("select pg_sleep(0.7)", &[])
        .await
        .unwrap();
    assert!(terminate(&world, which).await >= at_least);
    let began = Instant::now();
    daemon.says("the notification channel is down").await;
    daemon.ready().await;
    println!("figure: {which}: ready again after {:.1?}", began.elapsed());
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    ids.push(world.insert("after it", 300).await);
    for id in ids {
        world.arrived_once(id).await;
    }
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 21);
}

#[tokio::test]
async fn a_listener_that_is_ended_comes_back() {
    check("query = 'listen punctual'", 1).await;
}

#[tokio::test]
async fn all_sessions_that_are_ended_come_back() {
    check("true", 2).await;
}

/// A server of its own, for it is brought down.
struct Own {
    server: PrivatePostgres,
    app: Client,
    phone: StandIn,
    env: Vec<(String, String)>,
    daemon: Daemon,
}

impl Own {
    /// `prepare` runs before the daemon starts.
    async fn new(script: impl IntoIterator<Item = Act>, prepare: &str) -> Self {
        Self::with(script, prepare, &[]).await
    }

    /// The same with settings of its own.
    async fn with(
        script: impl IntoIterator<Item = Act>,
        prepare: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let start = || PrivatePostgres::start(Options::default()).unwrap();
        let server = tokio::task::spawn_blocking(start).await.unwrap();
        let dsn = dsn(&server, "postgres");
        Migrator::embedded().run(&dsn).await.unwrap();
        let app = session(&dsn).await;
        app.batch_execute(prepare).await.unwrap();
        let phone = StandIn::start(script).await;
        let mut env = environment(&server.url("postgres"), &phone.url());
        for (name, value) in settings {
            set(&mut env, name, value);
        }
        let mut daemon = Daemon::start(&env);
        daemon.ready().await;
        Self {
            server,
            app,
            phone,
            env,
            daemon,
        }
    }

    /// As by a power cut. The time from when the server takes sessions again until the daemon
    /// is ready; and readiness must have been true meanwhile.
    async fn crash(&mut self) -> Duration {
        tokio::task::block_in_place(|| self.server.restart(Shutdown::Immediate)).unwrap();
        let began = Instant::now();
        self.daemon.says("the notification channel is down").await;
        self.daemon.ready().await;
        let took = began.elapsed();
        self.app = session(&dsn(&self.server, "postgres")).await;
        took
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_of_a_burst_loses_and_doubles_nothing() {
    let slow = std::iter::repeat_n(Act::AcceptAfter(Duration::from_millis(300)), 600);
    let mut own = Own::new(slow, "select 1").await;
    let burst = "insert into scheduled_messages (to_number, body, scheduled_at)
                 select '+13105551234', 'burst ' || n,
                        clock_timestamp() + interval '1 s' + n * interval '4 ms'
                 from generate_series(1, 500) n returning id";
    let rows = own.app.query(burst, &[]).await.unwrap();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    until("the burst is on its way", async || {
        (own.phone.creates().len() > 100).then_some(())
    })
    .await;
    let took = own.crash().await;
    println!("figure: crash in a burst: ready {took:.1?} after the server was back");
    assert!(took < Duration::from_secs(10), "{took:?}");
    for id in ids {
        arrived_once(&own.app, &own.phone, id).await;
    }
    own.daemon.stop().await;
    assert_eq!(own.phone.creates().len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_window_is_loaded_again_soon() {
    const ROWS: &str = "insert into scheduled_messages (to_number, body, scheduled_at)
        select '+13105551234', 'far ' || n, clock_timestamp() + interval '20 min'
               + n * interval '10 ms'
        from generate_series(1, 100000) n";
    let mut own = Own::new([], ROWS).await;
    let report = own.daemon.timers("limit=1").await;
    assert_eq!(report["window"]["armed"], 100_000);
    let took = own.crash().await;
    println!("figure: 100,000 pending: ready {took:.1?} after the server was back");
    let report = own.daemon.timers("limit=1").await;
    assert_eq!(report["window"]["armed"], 100_000);
    own.daemon.stop().await;
}

const AWAY: &str = "update pg_database set datallowconn = false where datname = 'postgres';
    select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'punctual' and pid <> pg_backend_pid()";

const BACK: &str = "update pg_database set datallowconn = true";

/// The database is away for longer than the first tries take.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_true_while_the_database_is_away() {
    let mut own = Own::new([], "select 1").await;
    let id = crate::world::insert(&own.app, "due while it was away", 1_000).await;
    // No new sessions for ordinary users is as good as no database, and can be distinguished from
    // the moment of a restart.
    own.app.batch_execute(AWAY).await.unwrap();
    let reason = own.daemon.readyz(503).await;
    assert!(reason.contains("not connected to the database"), "{reason}");
    own.daemon.says("not currently accepting connections").await;
    assert_eq!(own.daemon.get("/healthz").await.unwrap().0, 200);
    own.app
        .batch_execute(&format!("select pg_sleep(2); {BACK}"))
        .await
        .unwrap();
    let began = Instant::now();
    own.daemon.ready().await;
    println!(
        "figure: after 3 s away: ready after {:.1?}",
        began.elapsed()
    );
    arrived_once(&own.app, &own.phone, id).await;
    own.daemon.stop().await;
    assert_eq!(own.phone.creates().len(), 1);
}

/// Only this process knows what became of its requests, so it waits for the database: of one that the provider
/// accepted, and of one that it never responded to. What was claimed and not begun is released.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_provider_hangs_waits_for_the_database_and_loses_nothing() {
    let script = [Act::AcceptAfter(Duration::from_secs(1)), Act::Silence];
    let settings = [
        ("PUNCTUAL_MAX_IN_FLIGHT", "2"),
        ("PUNCTUAL_SEND_TIMEOUT", "2s"),
    ];
    let mut own = Own::with(script, "select 1", &settings).await;
    for n in 0..6 {
        crate::world::insert(&own.app, &format!("at a stop {n}"), 300).await;
    }
    crate::world::asked(&own.phone, 2).await;
    until("others are claimed and wait", async || {
        let open = "select count(*) from punctual.attempts where outcome is null";
        let open: i64 = own.app.query_one(open, &[]).await.unwrap().get(0);
        (open > 2).then_some(())
    })
    .await;
    own.app.batch_execute(AWAY).await.unwrap();
    own.daemon.signal(rustix::process::Signal::TERM);
    own.daemon.says("outcomes could not be recorded yet").await;
    let daemon = &own.daemon;
    until("the request without a response is given up", async || {
        let (_, metrics) = daemon.get("/metrics").await?;
        metrics
            .lines()
            .any(|line| line == "punctual_in_flight 0")
            .then_some(())
    })
    .await;
    own.app.batch_execute(BACK).await.unwrap();
    let began = Instant::now();
    assert_eq!(own.daemon.ended().await.code(), Some(0));
    println!(
        "figure: a stop without a database: over {:.1?} after it was back",
        began.elapsed()
    );
    let (asked, accepted) = (own.phone.creates().len(), own.phone.accepted().len());
    assert!(accepted > 0 && asked > accepted, "{accepted} of {asked}");
    let rows = "select status, count(*) from scheduled_messages group by 1 order by 1";
    let rows = own.app.query(rows, &[]).await.unwrap();
    let rows: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        ("pending", 6 - asked),
        ("sent", accepted),
        ("unconfirmed", asked - accepted),
    ];
    let expected = expected.map(|(status, n)| (status.to_owned(), i64::try_from(n).unwrap()));
    assert_eq!(rows, expected);
    let open = "select count(*) from punctual.attempts where outcome is null";
    let open: i64 = own.app.query_one(open, &[]).await.unwrap().get(0);
    assert_eq!(open, 0, "claims that were not begun are released");
}

/// Commits that wait for a standby that is not there: claims are given up, and may still commit. It is
/// reported within seconds, and nothing is doubled or lost.
#[tokio::test(flavor = "multi_thread")]
async fn commits_that_hang_for_35_s_are_reported_and_double_nothing() {
    let mut own = Own::new([], "set synchronous_commit = local").await;
    let mut ids = Vec::new();
    for n in 0..40 {
        let body = format!("hanging {n}");
        ids.push(crate::world::insert(&own.app, &body, 500 + 1_000 * n).await);
    }
    let standby = async |name: &str| {
        let set = format!("alter system set synchronous_standby_names = '{name}'");
        own.app.execute(&set, &[]).await.unwrap();
        own.app
            .execute("select pg_reload_conf()", &[])
            .await
            .unwrap();
    };
    standby("nobody").await;
    let began = Instant::now();
    let daemon = &own.daemon;
    until("/readyz names it", async || {
        let (status, body) = daemon.get("/readyz").await?;
        (status == 503 && body.contains("commits wait for a standby")).then_some(())
    })
    .await;
    println!(
        "figure: hanging commits reported after {:.1?}",
        began.elapsed()
    );
    until("the gauge names it", async || {
        let (_, metrics) = daemon.get("/metrics").await?;
        let gauge = "punctual_due_waiting{cause=\"schema\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(gauge))?;
        (line.parse::<f64>().ok()? > 0.0).then_some(())
    })
    .await;
    let (_, found, _) = called(&["doctor"], &own.env).await;
    assert!(found.contains("commits wait for a standby"), "{found}");
    let left = Duration::from_secs(35).saturating_sub(began.elapsed());
    let sleep = format!("select pg_sleep({})", left.as_secs_f64());
    own.app.batch_execute(&sleep).await.unwrap();
    standby("").await;
    own.daemon.ready().await;
    for id in ids {
        arrived_once(&own.app, &own.phone, id).await;
    }
    let said = own.daemon.stop().await;
    let lines = said.lines().filter(|line| line.contains(" WARN "));
    let lines = lines.filter(|line| line.contains("commits wait for a standby"));
    assert_eq!(lines.count(), 1, "it is logged once: {said}");
    assert_eq!(own.phone.creates().len(), 40);
}

/// A disk that is busy for seconds, as at a checkpoint: every commit takes as long. Nobody takes
/// that for a dead way; nothing is asked for twice, and the channel stands.
#[tokio::test(flavor = "multi_thread")]
async fn commits_that_hang_for_seconds_are_waited_for() {
    let own = Own::new([], "select 1").await;
    let mut ids = Vec::new();
    for n in 0..40 {
        let body = format!("slowly {n}");
        ids.push(crate::world::insert(&own.app, &body, 500 + 250 * n).await);
    }
    // A standby that there is not, and whose word every commit waits for.
    let hang = |standby: &str| {
        [
            format!("alter system set synchronous_standby_names = '{standby}'"),
            "select pg_reload_conf()".into(),
        ]
    };
    own.app
        .batch_execute("set synchronous_commit = local")
        .await
        .unwrap();
    for sql in hang("nobody") {
        own.app.execute(&sql, &[]).await.unwrap();
    }
    let hanging = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
    until("commits hang", async || {
        let n: i64 = own.app.query_one(hanging, &[]).await.unwrap().get(0);
        (n > 0).then_some(())
    })
    .await;
    own.app.execute("select pg_sleep(11)", &[]).await.unwrap();
    // Whoever gives up leaves a session behind that hangs on.
    let sessions = "select count(*) from pg_stat_activity
                     where application_name = 'punctual' and pid <> pg_backend_pid()";
    let sessions: i64 = own.app.query_one(sessions, &[]).await.unwrap().get(0);
    println!("figure: commits hang for 11 s: {sessions} sessions");
    assert!(sessions <= 8, "{sessions}");
    for sql in hang("") {
        own.app.execute(&sql, &[]).await.unwrap();
    }
    for id in ids {
        arrived_once(&own.app, &own.phone, id).await;
    }
    let said = own.daemon.stop().await;
    // Once it may look so on a busy machine, where asking the server takes seconds too; it would be three times if
    // nobody asked.
    let again = said
        .lines()
        .find(|line| line.contains("again: the notification channel is down"));
    assert!(again.is_none_or(|line| line.contains("times=1 ")), "{said}");
    assert!(!said.contains("is dead"), "{said}");
    assert_eq!(own.phone.creates().len(), 40);
}
