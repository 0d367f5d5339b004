//! A server that is promoted, and one whose files are put back: the same database by its name and
//! address, on another history or at an earlier place of it.

use std::path::Path;
use std::process::Command;

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::store::Migrator;
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::harness::{dsn, session};
use crate::proxy::Proxy;
use crate::standin::StandIn;
use crate::world::{TO, arrived_once, environment, insert, row};

/// Brings the server down, so that its files can be touched; `restart` brings it up again.
pub(crate) fn halt(server: &PrivatePostgres) {
    let pid = server.pid().expect("it runs");
    let process = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(process, Signal::INT).unwrap();
    // Ended, and not yet waited for.
    let ended = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, s)| s.starts_with('Z'))
        })
    };
    let has_ended = until("the server stops", async || ended().then_some(()));
    Handle::current().block_on(has_ended);
}

/// With owners, modes and times.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_and_files_that_are_put_back_are_noticed_and_nothing_goes_twice() {
    let start = || PrivatePostgres::start(Options::default()).unwrap();
    let mut server = tokio::task::spawn_blocking(start).await.unwrap();
    let place = dsn(&server, "postgres");
    Migrator::embedded().run(&place).await.unwrap();
    let phone = StandIn::start([]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut env = environment(&server.url("postgres"), &phone.url());
    let state = dir.path().to_str().unwrap();
    set(&mut env, "PUNCTUAL_STATE_DIR", state);
    let data = server.data_dir();
    let backup = data.with_file_name("backup");

    // It is promoted: as a standby that had everything when it took over.
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    let app = session(&place).await;
    let first = insert(&app, "before the promotion", 300).await;
    arrived_once(&app, &phone, first).await;
    block_in_place(|| {
        halt(&server);
        copy(&data.join("PG_VERSION"), &data.join("recovery.signal"));
        let settings = data.join("postgresql.auto.conf");
        let there = std::fs::read_to_string(&settings).unwrap();
        std::fs::write(&settings, there + "\nrestore_command = 'false'\n").unwrap();
        server.restart(Shutdown::Fast).unwrap();
    });
    daemon.says("timeline 2").await;
    daemon.says("quarantine ended").await;
    daemon.ready().await;
    daemon.stop().await;

    // A backup of the files, and what happens after it.
    let app = session(&place).await;
    let second = insert(&app, "after the backup", 3_000).await;
    block_in_place(|| {
        halt(&server);
        copy(&data, &backup);
        server.restart(Shutdown::Fast).unwrap();
    });
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    let app = session(&place).await;
    arrived_once(&app, &phone, second).await;
    // More than a start and a session write: a log that has come as far again is not distinguished from it.
    app.batch_execute("create table more as select generate_series(1, 20000) n")
        .await
        .unwrap();
    daemon.stop().await;
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    // By its heartbeat it finds that the database lacks something. The first is known to it once there is a second.
    until("it has had two heartbeats", async || {
        let sql = "select coalesce(max(beats), 0) from punctual.instances where stopped_at is null";
        let beats: i64 = app.query_one(sql, &[]).await.unwrap().get(0);
        (beats >= 2).then_some(())
    })
    .await;
    block_in_place(|| {
        halt(&server);
        std::fs::rename(&data, data.with_file_name("lost")).unwrap();
        std::fs::rename(&backup, &data).unwrap();
        server.restart(Shutdown::Fast).unwrap();
    });
    daemon.says("the database was restored or replaced").await;
    daemon.says("quarantine ended").await;
    let app = session(&place).await;
    arrived_once(&app, &phone, second).await;
    let later = insert(&app, "after all of it", 300).await;
    arrived_once(&app, &phone, later).await;
    assert!(row(&app, first).await.is_some());
    daemon.stop().await;
    assert_eq!(phone.creates().len(), 3);
}

/// A promotion that the old primary is not notified of: it takes what its sessions bring for as long as
/// there are any. They are left, so that no message is claimed here and there.
#[tokio::test(flavor = "multi_thread")]
async fn no_session_stays_with_a_primary_that_another_took_over_from() {
    // The daemon's, oldest first: the listener and one of the pool; all of the pool but one.
    let listener_first = "order by query ilike 'listen%' desc, backend_start desc limit 2";
    let pool_only = "and not query ilike 'listen%' order by backend_start limit 3";
    tokio::join!(promoted(listener_first), promoted(pool_only));
}

async fn promoted(ended: &str) {
    let start = || PrivatePostgres::start(Options::default()).unwrap();
    let start = async || tokio::task::spawn_blocking(start).await.unwrap();
    let (old, new) = tokio::join!(start(), start());
    let mut apps = Vec::new();
    for server in [&old, &new] {
        let place = dsn(server, "postgres");
        Migrator::embedded().run(&place).await.unwrap();
        apps.push(session(&place).await);
    }
    let proxy = Proxy::to(format!("127.0.0.1:{}", old.port())).await;
    let phone = StandIn::start([]).await;
    let dir = tempfile::tempdir().unwrap();
    let url = old.url("postgres");
    let (_, password) = url.split_once("//postgres:").unwrap();
    let password = password.split('@').next().unwrap();
    let same = format!("alter role postgres password '{password}'");
    apps[1].batch_execute(&same).await.unwrap();
    let url = url.replace(&format!(":{}/", old.port()), &format!(":{}/", proxy.port()));
    let mut env = environment(&url, &phone.url());
    let state = dir.path().to_str().unwrap();
    set(&mut env, "PUNCTUAL_STATE_DIR", state);
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;

    proxy.lead_to(format!("127.0.0.1:{}", new.port()));
    let end = format!(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity
          where pid <> pg_backend_pid() and backend_type = 'client backend' {ended}"
    );
    apps[0].batch_execute(&end).await.unwrap();
    // It has work enough for more sessions than it has left.
    for n in 0..30 {
        insert(&apps[0], "in the old one only", n * 20).await;
    }
    daemon.says("the database was restored or replaced").await;
    daemon.says("quarantine ended").await;
    // Both have them, as the standby had followed so far.
    let ids: Vec<Uuid> = (0..20).map(|_| Uuid::new_v4()).collect();
    for app in &apps {
        for (id, n) in ids.iter().zip(0..) {
            let sql = "insert into scheduled_messages (id, to_number, body, scheduled_at)
                       values ($1, $2, $3, clock_timestamp() + $4 * interval '50 ms')";
            let body = format!("number {n}");
            let due = f64::from(10 + n);
            app.execute(sql, &[id, &TO, &body, &due]).await.unwrap();
        }
    }
    for id in &ids {
        arrived_once(&apps[1], &phone, *id).await;
    }
    daemon.stop().await;
    let mut sent = phone.creates();
    sent.retain(|seen| seen.field("Body") != Some("in the old one only"));
    assert_eq!(sent.len(), ids.len());
    let untouched =
        "select count(*) from scheduled_messages where status = 'pending' and body like 'number %'";
    let untouched: i64 = apps[0].query_one(untouched, &[]).await.unwrap().get(0);
    assert_eq!(untouched, 20, "in the old one");
}
