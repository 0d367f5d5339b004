//! A database that comes back older than it was.

use tempfile::TempDir;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::harness::{cluster, dsn, session};
use crate::world::{World, admin, heartbeats, insert};

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

    /// Changes what is restored later.
    async fn run(&self, sql: &str) {
        let copy = session(&dsn(cluster(), &self.copy)).await;
        copy.batch_execute(sql).await.unwrap();
    }

    /// Another instance ran when it was made, of which nobody hears again.
    async fn with_another_instance(&self) {
        let sql = "insert into punctual.instances (id, version, beats) values (gen_random_uuid(), 'x', 1)";
        self.run(sql).await;
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
    let shut = format!("alter database {name} allow_connections false");
    admin.batch_execute(&shut).await.unwrap();
    // Again and again, because a session that was just being opened is not seen at first.
    until("all sessions have ended", async || {
        let end =
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1";
        let ended = admin.query(end, &[&name]).await.unwrap();
        ended.is_empty().then_some(())
    })
    .await;
}

pub(crate) async fn holds(daemon: &Daemon) -> bool {
    let report = daemon.timers("limit=1").await;
    !report["restore"]["held_before"].is_null()
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

    let unknown = backup.insert("not in the ledger", -60_000).await;
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

/// What the journal knows of several messages is recorded in one statement, and the app's trigger refuses one of them.
#[tokio::test]
async fn a_row_that_the_app_refuses_delays_no_other_after_a_restore() {
    let (mut world, _dir) = journaling().await;
    let daemon = world.daemon().await;
    let refused = world.insert("refused", 2_000).await;
    let known = world.insert("the journal knows it", 2_000).await;
    let backup = Backup::of(&mut world).await;
    for id in [refused, known] {
        world.arrived_once(id).await;
    }
    daemon.stop().await;
    let refuse = "create function refuse() returns trigger language plpgsql as
                    $$ begin raise exception 'no'; end $$;
                  create trigger refuse before update on scheduled_messages
                    for each row when (new.body = 'refused') execute function refuse()";
    backup.run(refuse).await;
    backup.restore(&mut world).await;

    let daemon = world.daemon().await;
    world.arrived_once(known).await;
    pending(&world, refused).await;
    assert!(holds(&daemon).await);
    let allow = "drop trigger refuse on scheduled_messages";
    world.app.batch_execute(allow).await.unwrap();
    world.arrived_once(refused).await;
    until("nothing is held", async || {
        (!holds(&daemon).await).then_some(())
    })
    .await;
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 2);
}

/// Another instance put it there, and this one has no journal.
#[tokio::test]
async fn missed_event_changes_wait_for_the_end_of_a_quarantine() {
    let world = World::new([]).await;
    // The quarantine lasts while it has a message that is not decided.
    let waits = world
        .insert("another instance may have sent it", -1_000)
        .await;
    let plant = "insert into punctual.quarantine (due_before, noticed_by, unaccounted)
                 values (clock_timestamp(), gen_random_uuid(), array[gen_random_uuid()]);
                 insert into punctual.missed_event_changes (message_id, calendar_event_id, user_id)
                 values (gen_random_uuid(), 'e', gen_random_uuid())";
    world.app.batch_execute(plant).await.unwrap();
    let missed = "select count(*) from punctual.missed_event_changes";
    let missed = async || -> i64 { world.app.query_one(missed, &[]).await.unwrap().get(0) };
    let daemon = world.daemon().await;
    assert!(holds(&daemon).await);
    // Chores are due as often as heartbeats.
    heartbeats(&world.app, 2).await;
    assert_eq!(missed().await, 1);
    let end = "update punctual.quarantine set ended_at = clock_timestamp()";
    world.app.batch_execute(end).await.unwrap();
    until("it is applied", async || {
        (missed().await == 0).then_some(())
    })
    .await;
    world.arrived_once(waits).await;
    daemon.stop().await;
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
    let unknown = backup.insert("not in the ledger", -60_000).await;
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
