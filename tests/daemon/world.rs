//! A database, a stand-in for Twilio, and daemons between them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use punctual::store::Migrator;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::daemon::{Daemon, punctual, set, until};
use crate::harness::{TestDb, dsn, is_fed, session};
use crate::standin::{Act, Seen, StandIn};

pub(crate) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(crate) const AUTH_TOKEN: &str = "feedfacefeedfacefeedfacefeedface";
/// The role of the daemons.
pub(crate) const ROLE: &str = "daemon_of_the_tests";
pub(crate) const FROM: &str = "+15005550006";
pub(crate) const TO: &str = "+13105551234";

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) app: Client,
    pub(crate) phone: StandIn,
    pub(crate) env: Vec<(String, String)>,
}

impl World {
    /// With the whole schema; the first requests are answered as the script has it, the rest
    /// are accepted. The daemon has a role of its own, with the rights that `migrate --role` grants.
    pub(crate) async fn new(script: impl IntoIterator<Item = Act>) -> Self {
        let world = Self::over(TestDb::new().await, script).await;
        let create = format!(
            "do $$ begin create role {ROLE} login password '{ROLE}';
             exception when duplicate_object or unique_violation then null; end $$"
        );
        world.app.batch_execute(&create).await.unwrap();
        if is_fed() {
            let may = format!("alter role {ROLE} replication");
            world.app.batch_execute(&may).await.unwrap();
        }
        Migrator::embedded()
            .grant(world.db.dsn(), ROLE)
            .await
            .unwrap();
        let url = least(&url(&world.app).await);
        world.with(&[("DATABASE_URL", &url)])
    }

    pub(crate) async fn over(db: TestDb, script: impl IntoIterator<Item = Act>) -> Self {
        let phone = StandIn::start(script).await;
        let app = db.client().await;
        let env = environment(&url(&app).await, &phone.url());
        Self {
            db,
            app,
            phone,
            env,
        }
    }

    /// The same with settings of its own.
    pub(crate) fn with(mut self, settings: &[(&str, &str)]) -> Self {
        for (name, value) in settings {
            set(&mut self.env, name, value);
        }
        self
    }

    pub(crate) async fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::start(&self.env);
        daemon.ready().await;
        daemon
    }

    /// What a command that ends by itself says: code, stdout, stderr.
    pub(crate) async fn call(&self, args: &[&str]) -> (Option<i32>, String, String) {
        called(args, &self.env).await
    }

    /// Schedules a text for so many milliseconds from now, on the database's clock.
    pub(crate) async fn insert(&self, body: &str, in_ms: i32) -> Uuid {
        insert(&self.app, body, in_ms).await
    }

    pub(crate) async fn row(&self, id: Uuid) -> Option<Row> {
        row(&self.app, id).await
    }

    /// Waits until the row stands so.
    pub(crate) async fn becomes(&self, id: Uuid, status: &str) -> Row {
        becomes(&self.app, id, status).await
    }

    /// Requests with this text.
    pub(crate) fn requests(&self, body: &str) -> Vec<Seen> {
        requests(&self.phone, body)
    }

    /// It was sent: recorded, proven, accepted exactly once, and not before its time.
    pub(crate) async fn arrived_once(&self, id: Uuid) {
        arrived_once(&self.app, &self.phone, id).await;
    }
}

pub(crate) fn environment(url: &str, provider: &str) -> Vec<(String, String)> {
    [
        ("DATABASE_URL", url),
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("TWILIO_API_BASE_URL", provider),
        ("TWILIO_SMS_FROM_NUMBER", FROM),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .to_vec()
}

/// The same address as the daemon's own role.
pub(crate) fn least(url: &str) -> String {
    let (_, place) = url.split_once('@').unwrap();
    format!("postgres://{ROLE}:{ROLE}@{place}")
}

/// The cluster's address with the database this client is in.
pub(crate) async fn url(client: &Client) -> String {
    let name = client.query_one("select current_database()", &[]).await;
    crate::harness::cluster().url(name.unwrap().get(0))
}

pub(crate) async fn called(
    args: &[&str],
    env: &[(String, String)],
) -> (Option<i32>, String, String) {
    let mut env = env.to_vec();
    if !env.iter().any(|(name, _)| name == "PUNCTUAL_DEBUG_TOKEN") {
        set(&mut env, "PUNCTUAL_DEBUG_TOKEN", crate::daemon::TOKEN);
    }
    if args.first() == Some(&"run") && !env.iter().any(|(name, _)| name == "PUNCTUAL_HTTP_ADDR") {
        set(
            &mut env,
            "PUNCTUAL_HTTP_ADDR",
            &crate::daemon::own_address(),
        );
    }
    let output = punctual(args, &env).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .expect("the command ends")
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// A row as its users see it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) status: String,
    pub(crate) error: Option<String>,
    pub(crate) code: Option<i32>,
    pub(crate) cancel_reason: Option<String>,
    pub(crate) sid: Option<String>,
    pub(crate) body: String,
    pub(crate) version: i64,
    /// When it is due, since the epoch.
    pub(crate) due: Duration,
}

pub(crate) async fn insert(app: &Client, body: &str, in_ms: i32) -> Uuid {
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at)
               values ($1, $2, clock_timestamp() + $3 * interval '1 ms') returning id";
    let row = app.query_one(sql, &[&TO, &body, &f64::from(in_ms)]).await;
    row.unwrap().get(0)
}

pub(crate) async fn row(app: &Client, id: Uuid) -> Option<Row> {
    let sql = "select status, error_message, error_code, cancel_reason, twilio_sid, body, version,
                      (extract(epoch from least(greatest(scheduled_at, deferred_until, next_attempt_at), '9999-01-01'))
                       * 1000000)::bigint as due
               from scheduled_messages where id = $1";
    let row = app.query_opt(sql, &[&id]).await.unwrap()?;
    Some(Row {
        status: row.get(0),
        error: row.get(1),
        code: row.get(2),
        cancel_reason: row.get(3),
        sid: row.get(4),
        body: row.get(5),
        version: row.get(6),
        due: Duration::from_micros(row.get::<_, i64>(7).unsigned_abs()),
    })
}

pub(crate) async fn becomes(app: &Client, id: Uuid, status: &str) -> Row {
    let last = std::cell::RefCell::new(String::new());
    let what = format!("{id} becomes {status}");
    let found = until(&what, async || {
        let row = row(app, id).await.expect("the row is there");
        *last.borrow_mut() = format!("{row:?}");
        (row.status == status).then_some(row)
    });
    found.await
}

pub(crate) fn requests(phone: &StandIn, body: &str) -> Vec<Seen> {
    let mut seen = phone.creates();
    seen.retain(|seen| seen.field("Body") == Some(body));
    seen
}

pub(crate) async fn arrived_once(app: &Client, phone: &StandIn, id: Uuid) {
    let row = becomes(app, id, "sent").await;
    let held: Vec<_> = phone
        .accepted()
        .into_iter()
        .filter(|(_, seen)| seen.field("Body") == Some(&row.body))
        .collect();
    let [(sid, seen)] = held.as_slice() else {
        panic!("{id} arrived {} times", held.len());
    };
    assert_eq!(row.sid.as_deref(), Some(sid.as_str()), "{id}");
    not_early(&row, seen);
}

/// The stand-in, the database and this test are on one machine: one clock.
pub(crate) fn not_early(row: &Row, seen: &Seen) {
    let (instant, wall) = (Instant::now(), SystemTime::now());
    let now = wall.duration_since(UNIX_EPOCH).unwrap();
    let due_ago = now.saturating_sub(row.due);
    let seen_ago = instant.duration_since(seen.at);
    // Reading two clocks one after the other takes a moment.
    let slack = Duration::from_micros(200);
    assert!(
        seen_ago <= due_ago + slack,
        "early: {seen_ago:?} ago, due {due_ago:?} ago"
    );
}

/// Waits until the stand-in has been asked so often.
pub(crate) async fn asked(phone: &StandIn, times: usize) {
    let what = format!("{times} requests");
    until(&what, async || {
        (phone.creates().len() >= times).then_some(())
    })
    .await;
}

/// Waits for so many more heartbeats of the daemons of this database.
pub(crate) async fn heartbeats(app: &Client, many: i64) {
    let sql = "select coalesce(sum(beats), 0)::bigint from punctual.instances";
    let beats = async || -> i64 { app.query_one(sql, &[]).await.unwrap().get(0) };
    let before = beats().await;
    until("heartbeats", async || {
        (beats().await >= before + many).then_some(())
    })
    .await;
}

/// A session of the superuser in a server's own database.
pub(crate) async fn admin() -> Client {
    let cluster = tokio::task::spawn_blocking(crate::harness::cluster);
    session(&dsn(cluster.await.unwrap(), "postgres")).await
}
