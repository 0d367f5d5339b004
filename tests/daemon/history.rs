//! A database that lost what was sent: a standby that takes over behind its primary, and a dump restored in place.
//! Nothing goes twice, with a journal and without.
//!
//! `PUNCTUAL_HISTORY_ROWS` messages (60): `PUNCTUAL_HISTORY_ROWS=1200 cargo test --test daemon history::`. How many a
//! restore in place doubles where two instances run: `… history::how_many -- --ignored --nocapture`.

use std::path::Path;
use std::process::Command;

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::store::Migrator;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::task::block_in_place;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::harness::{cluster, dsn, session};
use crate::proxy::Proxy;
use crate::restore::holds;
use crate::standin::StandIn;
use crate::timeline::{copy, halt};
use crate::world::{TO, World, arrived_once, becomes, environment, heartbeats};

/// Between two messages.
const EVERY_MS: f64 = 50.0;

fn rows() -> usize {
    let asked = std::env::var("PUNCTUAL_HISTORY_ROWS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(60)
}

/// A primary, a standby that has what a base backup had, and a proxy that leads to one of them.
struct Pair {
    old: PrivatePostgres,
    new: PrivatePostgres,
    proxy: Proxy,
    url: String,
    app: Client,
    phone: StandIn,
    /// Journals.
    dirs: Vec<TempDir>,
}

impl Pair {
    async fn new() -> Self {
        let start = || PrivatePostgres::start(Options::default()).unwrap();
        let start = async || tokio::task::spawn_blocking(start).await.unwrap();
        let (old, new) = tokio::join!(start(), start());
        let place = dsn(&old, "postgres");
        Migrator::embedded().run(&place).await.unwrap();
        let proxy = Proxy::to(format!("127.0.0.1:{}", old.port())).await;
        let url = old.url("postgres");
        let url = url.replace(&format!(":{}/", old.port()), &format!(":{}/", proxy.port()));
        Self {
            app: session(&place).await,
            phone: StandIn::start([]).await,
            old,
            new,
            proxy,
            url,
            dirs: Vec::new(),
        }
    }

    async fn daemon(&mut self, journal: bool) -> Daemon {
        let mut env = environment(&self.url, &self.phone.url());
        if journal {
            let dir = tempfile::tempdir().unwrap();
            set(&mut env, "PUNCTUAL_STATE_DIR", dir.path().to_str().unwrap());
            self.dirs.push(dir);
        }
        let mut daemon = Daemon::start(&env);
        daemon.ready().await;
        daemon
    }

    /// The standby has everything up to here, and nothing that follows.
    fn last_contact(&self) {
        let data = self.new.data_dir();
        block_in_place(|| {
            halt(&self.new);
            let backup = data.with_file_name("base");
            let url = self.old.url("postgres");
            let taken = Command::new(self.old.bin_dir().join("pg_basebackup"))
                .args(["-c", "fast", "-X", "stream", "-d", &url, "-D"])
                .arg(&backup)
                .output()
                .unwrap();
            assert!(
                taken.status.success(),
                "{}",
                String::from_utf8_lossy(&taken.stderr)
            );
            copy(&data.join("PG_VERSION"), &backup.join("recovery.signal"));
            let settings = backup.join("postgresql.auto.conf");
            let there = std::fs::read_to_string(&settings).unwrap();
            std::fs::write(&settings, there + "\nrestore_command = 'false'\n").unwrap();
            owned_like(&data, &backup);
            std::fs::rename(&data, data.with_file_name("before")).unwrap();
            std::fs::rename(&backup, &data).unwrap();
        });
    }

    /// It takes over. `old_ends`: so does the primary; else it goes on answering the sessions that it has.
    async fn failover(&mut self, old_ends: bool) {
        block_in_place(|| {
            self.new.restart(Shutdown::Fast).unwrap();
        });
        self.proxy.lead_to(format!("127.0.0.1:{}", self.new.port()));
        if old_ends {
            block_in_place(|| halt(&self.old));
        }
        // The standby's own password came with the copy.
        let place = self.url.parse().unwrap();
        self.app = session(&place).await;
    }

    /// Each of these was sent once, and the database that is left shows it.
    async fn all_once(&self, ids: &[Uuid]) {
        for id in ids {
            arrived_once(&self.app, &self.phone, *id).await;
        }
        assert_eq!(self.phone.accepted().len(), ids.len());
    }
}

fn owned_like(like: &Path, dir: &Path) {
    let reference = format!("--reference={}", like.display());
    let owned = Command::new("chown")
        .arg("-R")
        .arg(reference)
        .arg(dir)
        .status();
    assert!(owned.unwrap().success());
    let mode = Command::new("chmod").arg("700").arg(dir).status();
    assert!(mode.unwrap().success());
}

/// Messages that are due one after the other from now on.
async fn insert_all(app: &Client) -> Vec<Uuid> {
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at)
               select $1, 'number ' || n, clock_timestamp() + n * $3::float8 * interval '1 ms'
                 from generate_series(1, $2::int) n returning id";
    let n = i32::try_from(rows()).unwrap();
    let inserted = app.query(sql, &[&TO, &n, &EVERY_MS]).await.unwrap();
    inserted.iter().map(|row| row.get(0)).collect()
}

/// A third of them is sent and recorded.
async fn some_sent(app: &Client) {
    let sql = "select count(*) from scheduled_messages where status = 'sent'";
    until("a third is sent", async || {
        let sent: i64 = app.query_one(sql, &[]).await.unwrap().get(0);
        (usize::try_from(sent).unwrap() >= rows() / 3).then_some(())
    })
    .await;
}

async fn quarantine_ended(daemon: &mut Daemon) {
    daemon.says("quarantine ended").await;
    until("nothing is in quarantine", async || {
        (!holds(daemon).await).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_behind_sends_nothing_twice() {
    tokio::join!(behind(false, true), behind(true, true));
}

/// The primary before goes on answering for as long as it has sessions.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_lives_on_beside_its_standby_doubles_nothing() {
    behind(false, false).await;
}

async fn behind(journal: bool, old_ends: bool) {
    let mut pair = Pair::new().await;
    let mut daemon = pair.daemon(journal).await;
    // It sleeps, so that all of its work comes after the last contact.
    daemon.signal(Signal::STOP);
    let ids = insert_all(&pair.app).await;
    pair.last_contact();
    daemon.signal(Signal::CONT);
    some_sent(&pair.app).await;
    pair.failover(old_ends).await;
    if !old_ends {
        // One session of the daemon's after the other is lost, as by chance.
        let app = session(&dsn(&pair.old, "postgres")).await;
        let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity
                    where pid <> pg_backend_pid() and backend_type = 'client backend'
                    order by query ilike 'listen%' desc, backend_start desc limit 2";
        app.batch_execute(end).await.unwrap();
    }
    daemon.says("lacks what was committed").await;
    quarantine_ended(&mut daemon).await;
    pair.all_once(&ids).await;
    daemon.stop().await;
}

/// One of two instances has sent within less than a heartbeat what the standby does not have; the other one has lost
/// nothing, and finds these messages pending and overdue.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_lost_nothing_waits_for_the_others() {
    let mut pair = Pair::new().await;
    let mut sender = pair.daemon(false).await;
    let mut other = pair.daemon(false).await;
    for daemon in [&sender, &other] {
        daemon.signal(Signal::STOP);
    }
    let ids = insert_all(&pair.app).await;
    pair.last_contact();
    sender.signal(Signal::CONT);
    some_sent(&pair.app).await;
    sender.signal(Signal::STOP);
    let sent = pair.phone.accepted().len();
    pair.failover(true).await;
    other.signal(Signal::CONT);
    other
        .says("has everything that this instance committed")
        .await;
    other.says("compared with the provider's list").await;
    assert!(holds(&other).await);
    // What is due later goes on.
    let later = crate::world::insert(&pair.app, "due later", 300).await;
    becomes(&pair.app, later, "sent").await;
    let overdue = "select count(*) from scheduled_messages
                    where status = 'pending' and scheduled_at < clock_timestamp()";
    let overdue: i64 = pair.app.query_one(overdue, &[]).await.unwrap().get(0);
    assert!(
        usize::try_from(overdue).unwrap() >= sent,
        "{overdue} of {sent}"
    );
    // The one that sent them says so.
    sender.signal(Signal::CONT);
    sender.says("lacks what was committed").await;
    quarantine_ended(&mut sender).await;
    quarantine_ended(&mut other).await;
    let all: Vec<Uuid> = ids.into_iter().chain([later]).collect();
    pair.all_once(&all).await;
    other.stop().await;
    sender.stop().await;
}

/// One of Postgres's own tools on a database of the cluster.
fn tool(world: &World, name: &str, args: &[&str], file: &Path) {
    // The superuser's: a daemon's role may not read all tables.
    let url = world.env.iter().find(|(name, _)| name == "DATABASE_URL");
    let (_, database) = url.unwrap().1.rsplit_once('/').unwrap();
    let url = cluster().url(database);
    let done = Command::new(cluster().bin_dir().join(name))
        .args(args)
        .args(["-d", &url])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

/// A dump that is restored into the same database, under sessions that go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_in_place_sends_nothing_twice() {
    let whole = &["--clean", "--if-exists", "--single-transaction"];
    tokio::join!(in_place(false, whole), in_place(true, &whole[..2]));
}

async fn in_place(journal: bool, how: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new([]).await;
    if journal {
        let state = dir.path().join("state");
        set(
            &mut world.env,
            "PUNCTUAL_STATE_DIR",
            state.to_str().unwrap(),
        );
    }
    let mut daemon = world.daemon().await;
    daemon.signal(Signal::STOP);
    let ids = insert_all(&world.app).await;
    let dump = dir.path().join("dump");
    let to = format!("--file={}", dump.display());
    let all = Path::new("--no-owner");
    block_in_place(|| tool(&world, "pg_dump", &["-Fc", &to], all));
    daemon.signal(Signal::CONT);
    some_sent(&world.app).await;
    block_in_place(|| tool(&world, "pg_restore", how, &dump));
    daemon.says("lacks what was committed").await;
    quarantine_ended(&mut daemon).await;
    for id in &ids {
        world.arrived_once(*id).await;
    }
    assert_eq!(world.phone.accepted().len(), ids.len());
    daemon.stop().await;
}

/// One of two instances that lost nothing itself may claim what the other one sent, until that one's next claim or
/// heartbeat (`docs/restore.md`). Both run, and send while a dump of a moment before is restored.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn how_many_a_restore_in_place_doubles_beside_another_instance() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new([]).await;
    let (mut one, mut other) = (world.daemon().await, world.daemon().await);
    let ids = insert_all(&world.app).await;
    some_sent(&world.app).await;
    let dump = dir.path().join("dump");
    let to = format!("--file={}", dump.display());
    block_in_place(|| tool(&world, "pg_dump", &["-Fc", &to], Path::new("--no-owner")));
    let before = world.phone.accepted().len();
    let lost = rows() / 12;
    until("more is sent, which the dump does not have", async || {
        (world.phone.accepted().len() >= before + lost).then_some(())
    })
    .await;
    let how = &["--clean", "--if-exists", "--single-transaction"];
    block_in_place(|| tool(&world, "pg_restore", how, &dump));
    quarantine_ended(&mut one).await;
    quarantine_ended(&mut other).await;
    for id in &ids {
        world.becomes(*id, "sent").await;
    }
    let accepted = world.phone.accepted().len();
    println!(
        "figure: restored in place, two instances: {} of {} doubled, {} sent after the dump",
        accepted - ids.len(),
        ids.len(),
        lost
    );
    one.stop().await;
    other.stop().await;
}

/// What a restore takes back of what users did, and nothing else: no claim is lost, so a heartbeat notices it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_lost_edits_and_cancels_is_noticed_and_sends_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new([]).await;
    let mut daemon = world.daemon().await;
    let sent = world.insert("sent before the dump", 0).await;
    world.becomes(sent, "sent").await;
    let edited = world.insert("as it was", 3_600_000).await;
    let cancelled = world.insert("cancelled since", 3_600_000).await;
    let dump = dir.path().join("dump");
    let to = format!("--file={}", dump.display());
    block_in_place(|| tool(&world, "pg_dump", &["-Fc", &to], Path::new("--no-owner")));
    let edit = "update scheduled_messages set body = 'as it is' where id = $1";
    world.app.execute(edit, &[&edited]).await.unwrap();
    let cancel = "update scheduled_messages set status = 'cancelled' where id = $1";
    world.app.execute(cancel, &[&cancelled]).await.unwrap();
    heartbeats(&world.app, 1).await;
    let how = &["--clean", "--if-exists", "--single-transaction"];
    block_in_place(|| tool(&world, "pg_restore", how, &dump));
    daemon.says("lacks what was committed").await;
    quarantine_ended(&mut daemon).await;
    daemon.ready().await;
    for id in [edited, cancelled] {
        assert_eq!(world.row(id).await.unwrap().status, "pending");
    }
    let later = world.insert("due later", 300).await;
    world.arrived_once(later).await;
    world.arrived_once(sent).await;
    assert_eq!(world.phone.accepted().len(), 2);
    daemon.stop().await;
}
