//! One private Postgres for the process, one migrated template in it, one clone a test.
//!
//! Nothing here is ever dropped on purpose: a `static` has no end, and the cluster's guardian
//! sees the end of the process. Under `cargo test` all tests share a cluster, under nextest,
//! which gives each a process, each has its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use punctual::demo::postgres::{Options, PrivatePostgres};
use punctual::store::{Dsn, Migrator};
use tokio_postgres::Client;

const TEMPLATE: &str = "punctual_template";

/// Whether daemons of any test have a change feed.
pub(crate) fn is_fed() -> bool {
    std::env::var("PUNCTUAL_TESTED_CHANGES").is_ok_and(|changes| changes == "feed")
}

/// What a server of a test is set to for that, before others.
pub(crate) fn settings_for_feeds() -> Vec<(String, String)> {
    let settings = [
        ("wal_level", "logical"),
        ("max_replication_slots", "100"),
        ("max_wal_senders", "100"),
        // Otherwise notices wait until the log is written, every 200 ms.
        ("synchronous_commit", "on"),
    ];
    let all = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    all.into_iter().filter(|_| is_fed()).collect()
}

/// The same for a database.
pub(crate) async fn prepare_for_feeds(dsn: &Dsn) {
    if is_fed() {
        Migrator::embedded().make_feed(dsn).await.unwrap();
    }
}

/// The cluster, running; its template has the schema.
pub(crate) fn cluster() -> &'static PrivatePostgres {
    static CLUSTER: OnceLock<PrivatePostgres> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let server = PrivatePostgres::start(Options {
            fsync: false,
            // Tests run at once, and each may hold several connections.
            settings: [
                settings_for_feeds(),
                vec![("max_connections".into(), "200".into())],
            ]
            .concat(),
            ..Options::default()
        })
        .expect("a private Postgres");
        let admin = dsn(&server, "postgres");
        let template = dsn(&server, TEMPLATE);
        block_on(async move {
            execute(&admin, &format!("create database {TEMPLATE}")).await;
            Migrator::embedded()
                .run(&template)
                .await
                .expect("the schema applies to an empty database");
            prepare_for_feeds(&template).await;
        });
        server
    })
}

/// A database of one test; dropped with this.
pub(crate) struct TestDb {
    name: String,
    dsn: Dsn,
}

impl TestDb {
    /// With the whole schema.
    pub(crate) async fn new() -> Self {
        Self::cloned_from(TEMPLATE).await
    }

    /// With nothing in it.
    pub(crate) async fn empty() -> Self {
        Self::cloned_from("template1").await
    }

    /// With the whole schema, in a language in which the small letter of `I` is not `i`, and where a date begins with
    /// its day.
    pub(crate) async fn turkish() -> Self {
        let icu = "template0 locale_provider icu icu_locale 'tr-TR' locale 'C'";
        let db = Self::cloned_from(icu).await;
        Migrator::embedded()
            .run(db.dsn())
            .await
            .expect("the schema applies in any language");
        let dates = format!("alter database {} set datestyle = 'SQL, DMY'", db.name);
        execute(&db.dsn, &dates).await;
        db
    }

    async fn cloned_from(template: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = tokio::task::spawn_blocking(cluster)
            .await
            .expect("the cluster starts");
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = dsn(server, "postgres");
        execute(
            &admin,
            &format!("create database {name} template {template}"),
        )
        .await;
        let dsn = dsn(server, &name);
        Self { name, dsn }
    }

    pub(crate) fn dsn(&self) -> &Dsn {
        &self.dsn
    }

    /// A plain session, as the app has it.
    pub(crate) async fn client(&self) -> Client {
        session(&self.dsn).await
    }
}

impl Drop for TestDb {
    /// So that a run's databases do not pile up on the disk. Not waited for: the server answers
    /// only when every session has taken note, one that is just being opened too, and that one
    /// may wait for this very thread. (It would until `authentication_timeout`, a minute.)
    fn drop(&mut self) {
        let admin = dsn(cluster(), "postgres");
        let sql = format!("drop database {} with (force)", self.name);
        std::thread::spawn(move || alone(async move { execute(&admin, &sql).await }));
    }
}

pub(crate) fn dsn(server: &PrivatePostgres, database: &str) -> Dsn {
    Dsn::parse(&server.url(database)).expect("its own URL")
}

/// A session whose connection a task of the test's runtime drives.
pub(crate) async fn session(dsn: &Dsn) -> Client {
    let (client, connection) = dsn.connect().await.expect("a session");
    tokio::spawn(connection);
    client
}

async fn execute(dsn: &Dsn, sql: &str) {
    let (client, connection) = dsn.connect().await.expect("a session");
    tokio::select! {
        done = client.batch_execute(sql) => done.expect("an administrator's statement"),
        lost = connection => panic!("{sql}: {lost:?}"),
    }
}

/// On a thread of its own: the caller's may be inside a runtime already.
fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| scope.spawn(|| alone(future)).join().expect("the thread"))
}

fn alone<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}
