//! What keeps a daemon from starting, and how it says so.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::journal::{Journal, StateDir};
use punctual::message::{DatabaseId, InstanceId};
use punctual::store::Migrator;

use crate::daemon::{Daemon, set, until};
use crate::harness::{TestDb, dsn, session};
use crate::proxy::Proxy;
use crate::standin::StandIn;
use crate::world::{World, admin, arrived_once, called, environment, insert};

/// Ends with this code, says this and nothing on stdout.
async fn check(env: &[(String, String)], code: i32, says: &[&str]) {
    let (seen, stdout, stderr) = called(&["run"], env).await;
    assert_eq!(seen, Some(code), "{stderr}");
    assert_eq!(stdout, "");
    for says in says {
        assert!(stderr.contains(says), "no {says} in {stderr}");
    }
}

fn with(env: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut env = env.to_vec();
    set(&mut env, name, value);
    env
}

#[tokio::test]
async fn a_database_without_the_schema_is_refused() {
    let world = World::over(TestDb::empty().await, []).await;
    check(&world.env, 1, &["run `punctual migrate` first"]).await;
}

#[tokio::test]
async fn an_older_schema_is_refused() {
    let world = World::new([]).await;
    world
        .app
        .batch_execute(
            "delete from punctual.migrations
             where version = (select max(version) from punctual.migrations)",
        )
        .await
        .unwrap();
    check(
        &world.env,
        1,
        &[
            "the database lacks migrations/",
            "run `punctual migrate` first",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_the_settings_is_64_and_with_the_world_is_1() {
    let world = World::new([]).await;
    let env = &world.env;
    for (name, value) in [
        ("DATABASE_URL", "mysql://somewhere"),
        (
            "DATABASE_URL",
            "postgres://user:hush@somewhere/db?sslmod=require",
        ),
        ("PUNCTUAL_LEASE", "5s"),
        ("PUNCTUAL_HORIZON", "never"),
        ("PUNCTUAL_HORZON", "1h"),
        ("TWILIO_ACCOUNT_SID", "SM123"),
    ] {
        check(&with(env, name, value), 64, &[name]).await;
    }
    let mut none = env.clone();
    none.retain(|(name, _)| name != "DATABASE_URL");
    check(&none, 64, &["DATABASE_URL"]).await;

    let port = crate::harness::cluster().port();
    let stranger = format!("postgres://postgres:hush@127.0.0.1:{port}/postgres");
    check(
        &with(env, "DATABASE_URL", &stranger),
        1,
        &["check user and password"],
    )
    .await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_setting() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let taken = with(&world.env, "PUNCTUAL_HTTP_ADDR", daemon.addr());
    check(
        &taken,
        1,
        &[daemon.addr(), "PUNCTUAL_HTTP_ADDR", "choose another port"],
    )
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_database_must_show_a_certificate_that_is_trusted() {
    let start = || {
        PrivatePostgres::start(Options {
            fsync: false,
            ..Options::default()
        })
    };
    let mut server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let data = server.data_dir();
    let owner = std::fs::metadata(&data).unwrap();
    for (name, text) in [
        ("server.crt", issued.cert.pem()),
        ("server.key", issued.signing_key.serialize_pem()),
    ] {
        let path = data.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let client = session(&dsn(&server, "postgres")).await;
    let on = client.batch_execute("alter system set ssl = on").await;
    on.unwrap();
    server.restart(Shutdown::Fast).unwrap();

    let url = server.url("postgres").replace("127.0.0.1", "localhost");
    let env = |query: &str| environment(&format!("{url}?{query}"), "http://127.0.0.1:1");
    let root = data.join("server.crt").display().to_string();
    check(
        &env("sslmode=verify-full"),
        1,
        &["no TLS with localhost", "not signed by a root trusted here"],
    )
    .await;
    let trusted = format!("sslmode=verify-full&sslrootcert={root}");
    check(&env(&trusted), 1, &["run `punctual migrate` first"]).await;
}

/// Its time-outs, and what its sessions are by default, are the role's; ours have their own.
#[tokio::test]
async fn the_time_outs_of_the_role_are_lived_with() {
    let world = World::new([]).await;
    let name: String = {
        let row = world.app.query_one("select current_database()", &[]).await;
        row.unwrap().get(0)
    };
    let (admin, role) = (admin().await, format!("hasty_{name}"));
    let made = format!(
        "create role {role} superuser login password 'w0rd';
         alter role {role} set idle_session_timeout = '1s';
         alter role {role} set idle_in_transaction_session_timeout = '1s';
         alter role {role} set statement_timeout = '2s';
         alter role {role} set default_transaction_read_only = on;
         alter role {role} set default_transaction_isolation = 'serializable'"
    );
    admin.batch_execute(&made).await.unwrap();
    let port = crate::harness::cluster().port();
    let url = format!("postgres://{role}:w0rd@127.0.0.1:{port}/{name}");
    // A journal, as a daemon without one warns of that.
    let state = tempfile::tempdir().unwrap();
    let env = with(&world.env, "DATABASE_URL", &url);
    let env = with(&env, "PUNCTUAL_STATE_DIR", state.path().to_str().unwrap());
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    // Longer than any of these.
    world.app.execute("select pg_sleep(3)", &[]).await.unwrap();
    let id = world.insert("as ever", 100).await;
    world.arrived_once(id).await;
    let said = daemon.stop().await;
    assert!(!said.contains(" WARN "), "{said}");
    admin
        .batch_execute(&format!("drop role {role}"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_at_the_start_is_waited_for() {
    let start = || PrivatePostgres::start(Options::default()).unwrap();
    let server = tokio::task::spawn_blocking(start).await.unwrap();
    let place = dsn(&server, "postgres");
    Migrator::embedded().run(&place).await.unwrap();
    let app = session(&place).await;
    let proxy = Proxy::to("127.0.0.1:1".into()).await;
    let url = server.url("postgres").replace(
        &format!(":{}/", server.port()),
        &format!(":{}/", proxy.port()),
    );
    let phone = StandIn::start([]).await;
    let mut daemon = Daemon::start(&environment(&url, &phone.url()));
    daemon
        .says("the database is not available; waiting for it")
        .await;
    // Supervisors ask meanwhile.
    assert_eq!(daemon.get("/healthz").await.unwrap().0, 200);
    let reason = daemon.readyz(503).await;
    assert!(reason.contains("not connected to the database"), "{reason}");
    let id = insert(&app, "came meanwhile", 0).await;
    proxy.lead_to(format!("127.0.0.1:{}", server.port()));
    daemon.ready().await;
    arrived_once(&app, &phone, id).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_start_that_waits_can_be_stopped() {
    let nobody = "postgres://user:hush@127.0.0.1:1/db";
    let mut daemon = Daemon::start(&environment(nobody, "http://127.0.0.1:1"));
    daemon.says("cannot reach 127.0.0.1:1/db").await;
    let said = daemon.stop().await;
    assert!(!said.contains("hush"), "{said}");
}

/// A server that takes the connection and says nothing more.
#[tokio::test]
async fn a_start_that_hangs_can_be_stopped() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("postgres://user:hush@{}/db", silent.local_addr().unwrap());
    let daemon = Daemon::start(&environment(&url, "http://127.0.0.1:1"));
    let _held = silent.accept().await.unwrap();
    daemon.stop().await;
}

/// The last step before it starts: it reads the ledger for the attempts of another directory's journals.
#[tokio::test]
async fn a_database_that_goes_away_while_journals_are_compared_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    let world = World::new([]).await.with(&[("PUNCTUAL_STATE_DIR", state)]);
    let other = DatabaseId {
        system: 1,
        timeline: 1,
        database: 1,
    };
    let slot = StateDir::open(dir.path())
        .and_then(|dir| dir.take_slot(Some(other), "localhost:5432", "other"))
        .unwrap();
    drop(Journal::begin(slot, InstanceId::fresh(), None, None).unwrap());

    // The step before is held until the ledger is locked.
    let (days, ledger) = (world.db.client().await, world.db.client().await);
    let lock = |table: &str| format!("begin; lock table {table} in access exclusive mode");
    days.batch_execute(&lock("punctual.days")).await.unwrap();
    let mut daemon = Daemon::start(&world.env);
    let waiting = async |query: &str| -> i32 {
        let sql = "select pid from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'
                      and strpos(query, $1) > 0";
        until("a statement waits", async || {
            let row = world.app.query_opt(sql, &[&query]).await.unwrap();
            row.map(|row| row.get(0))
        })
        .await
    };
    waiting("insert into punctual.days").await;
    ledger
        .batch_execute(&lock("punctual.attempts"))
        .await
        .unwrap();
    days.batch_execute("rollback").await.unwrap();
    let pid = waiting("a.token = any").await;
    let terminated = world
        .app
        .query_one("select pg_terminate_backend($1)", &[&pid])
        .await
        .unwrap();
    assert!(terminated.get::<_, bool>(0));
    ledger.batch_execute("rollback").await.unwrap();
    daemon
        .says("the database is not available; waiting for it")
        .await;
    daemon.ready().await;
    daemon.stop().await;
}
