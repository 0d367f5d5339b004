//! A database that comes back older than it was.

use tempfile::TempDir;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::harness::{cluster, dsn, session};
use crate::world::{World, admin, insert};

async fn journaling() -> (World, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    let world = World::new([]).await;
    (world.with(&[("PUNCTUAL_STATE_DIR", state)]), dir)
}

/// A backup of a world's database, until it is put in its place.
pub(crate) struct Backup {
    name: String,
    copy: String,
}

impl Backup {
    /// Everybody's sessions end by it.
    pub(crate) async fn of(world: &mut World) -> Self {
        let name = world.app.query_one("select current_database()", &[]).await;
        let name: String = name.unwrap().get(0);
        let copy = format!("{name}_backup");
        let admin = admin().await;
        leave(&admin, &name).await;
        for sql in [
            format!("create database {copy} template {name}"),
            format!("alter database {name} allow_connections true"),
        ] {
            admin.batch_execute(&sql).await.unwrap();
        }
        world.app = world.db.client().await;
        Self { name, copy }
    }

    /// Inserts a row that only the backup has.
    async fn insert(&self, body: &str, in_ms: i32) -> Uuid {
        insert(&session(&dsn(cluster(), &self.copy)).await, body, in_ms).await
    }

    /// Another instance ran when it was made, of which nobody hears again.
    async fn with_another_instance(&self) {
        let copy = session(&dsn(cluster(), &self.copy)).await;
        let sql = "insert into punctual.instances (id, version, beats) values (gen_random_uuid(), 'x', 1)";
        copy.batch_execute(sql).await.unwrap();
    }

    pub(crate) async fn restore(self, world: &mut World) {
        let Self { name, copy } = self;
        let admin = admin().await;
        leave(&admin, &name).await;
        leave(&admin, &copy).await;
        for sql in [
            format!("drop database {name}"),
            format!("alter database {copy} rename to {name}"),
            format!("alter database {name} allow_connections true"),
        ] {
            admin.batch_execute(&sql).await.unwrap();
        }
        world.app = world.db.client().await;
    }
}

/// Has all sessions in this database end, and lets nobody in.
async fn leave(admin: &tokio_postgres::Client, name: &str) {
    // One after the other: whoever is sent away must not come back meanwhile.
    for sql in [
        format!("alter database {name} allow_connections false"),
        format!(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{name}'"
        ),
    ] {
        admin.batch_execute(&sql).await.unwrap();
    }
}

pub(crate) async fn holds(daemon: &Daemon) -> bool {
    let told = daemon.timers("limit=1").await;
    !told["restore"]["held_before"].is_null()
}

async fn pending(world: &World, id: Uuid) {
    assert_eq!(world.row(id).await.unwrap().status, "pending");
}

#[tokio::test]
async fn what_is_overdue_in_an_older_database_is_held_and_what_was_sent_stays_sent() {
    let (mut world, _dir) = journaling().await;
    let mut daemon = world.daemon().await;
    let known = world.insert("the journal knows it", 2_500).await;
    let backup = Backup::of(&mut world).await;
    world.arrived_once(known).await;
    assert!(!holds(&daemon).await);

    let unknown = backup.insert("nobody knows of it", -60_000).await;
    backup.with_another_instance().await;
    backup.restore(&mut world).await;
    daemon.says("the database was restored or replaced").await;
    // Pending once more, and not sent once more.
    world.arrived_once(known).await;
    daemon.ready().await;
    let later = world.insert("due after that", 700).await;
    world.arrived_once(later).await;
    pending(&world, unknown).await;
    assert!(holds(&daemon).await);
    daemon.stop().await;

    // The hold outlives the daemon; a person ends it.
    let daemon = world.daemon().await;
    assert!(holds(&daemon).await);
    let later = world.insert("due after another start", 700).await;
    world.arrived_once(later).await;
    pending(&world, unknown).await;
    daemon.stop().await;
    let daemon = Daemon::start_with(&["run", "--accept-restore"], &world.env);
    world.arrived_once(unknown).await;
    assert!(!holds(&daemon).await);
    daemon.stop().await;
    let daemon = world.daemon().await;
    assert!(!holds(&daemon).await);
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 4);
}

#[tokio::test]
async fn a_restore_while_nobody_looked_is_found_at_the_next_start() {
    let (mut world, _dir) = journaling().await;
    let daemon = world.daemon().await;
    let known = world.insert("sent before the restore", 2_000).await;
    let backup = Backup::of(&mut world).await;
    world.arrived_once(known).await;
    daemon.stop().await;
    backup.restore(&mut world).await;
    pending(&world, known).await;

    let mut daemon = Daemon::start(&world.env);
    daemon.says("the database was restored or replaced").await;
    world.arrived_once(known).await;
    daemon.ready().await;
    // There was no more than that.
    until("nothing is held", async || {
        (!holds(&daemon).await).then_some(())
    })
    .await;
    daemon.stop().await;
    let daemon = world.daemon().await;
    assert!(!holds(&daemon).await);
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 1);
}

/// A person says that nothing can be missing. What the journal knows all the same is not sent again,
/// though its row cannot be had at first.
#[tokio::test]
async fn what_a_journal_knows_is_not_sent_again_by_accepting_a_restore() {
    let (mut world, _dir) = journaling().await;
    let daemon = world.daemon().await;
    let known = world.insert("the journal knows it", 2_000).await;
    let backup = Backup::of(&mut world).await;
    world.arrived_once(known).await;
    daemon.stop().await;
    let unknown = backup.insert("nobody knows of it", -60_000).await;
    backup.restore(&mut world).await;
    pending(&world, known).await;

    let hold = format!("begin; select from scheduled_messages where id = '{known}' for update");
    world.app.batch_execute(&hold).await.unwrap();
    let mut daemon = Daemon::start_with(&["run", "--accept-restore"], &world.env);
    // Sweeps, claims and the journal's proofs have all met the row by then, and come back for it.
    daemon.ready().await;
    world.app.batch_execute("rollback").await.unwrap();
    world.arrived_once(unknown).await;
    world.arrived_once(known).await;
    until("nothing is held", async || {
        (!holds(&daemon).await).then_some(())
    })
    .await;
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 2);
    let daemon = world.daemon().await;
    assert!(!holds(&daemon).await, "accepted once and for all");
    daemon.stop().await;
}
