//! Journals without a setting: several daemons of one user, their databases, and what happens to the
//! directory meanwhile.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;
use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::standin::Act;
use crate::world::{World, asked, heartbeats};

/// A world whose daemons find a state directory by themselves, and make one request at a time.
async fn of_user(home: &TempDir, script: impl IntoIterator<Item = Act>) -> World {
    World::new(script).await.with(&[
        ("XDG_STATE_HOME", home.path().to_str().unwrap()),
        ("PUNCTUAL_MAX_IN_FLIGHT", "1"),
    ])
}

async fn journal_of(daemon: &Daemon) -> serde_json::Value {
    daemon.timers("limit=1").await["journal"].clone()
}

async fn slot_of(daemon: &Daemon) -> PathBuf {
    journal_of(daemon).await["path"].as_str().unwrap().into()
}

/// Inserts two messages; one request gets no response, and the other waits for it.
async fn begun_and_waiting(world: &World, requests: usize) -> (Uuid, Uuid) {
    let begun = world.insert("begun", 200).await;
    asked(&world.phone, requests).await;
    let waits = world.insert("waits", 1).await;
    world.becomes(waits, "sending").await;
    (begun, waits)
}

async fn kill(mut daemon: Daemon) {
    daemon.signal(Signal::KILL);
    daemon.ended().await;
}

/// The journal settles both; without one, the reaper would call both unconfirmed.
async fn settled(world: &World, (begun, waits): (Uuid, Uuid)) {
    world.becomes(waits, "sent").await;
    let row = world.becomes(begun, "unconfirmed").await;
    assert!(row.error.unwrap().contains("died before the answer came"));
}

#[tokio::test]
async fn one_daemon_takes_over_from_a_dead_one_beside_a_living_one() {
    let home = tempfile::tempdir().unwrap();
    let world = of_user(&home, [Act::Silence]).await;
    let first = world.daemon().await;
    let of_first = slot_of(&first).await;
    assert!(of_first.starts_with(home.path().join("punctual/journal")));
    assert!(of_first.ends_with("0"), "{of_first:?}");
    let open = begun_and_waiting(&world, 1).await;
    let second = world.daemon().await;
    assert!(slot_of(&second).await.ends_with("1"));
    kill(first).await;
    let third = world.daemon().await;
    assert_eq!(slot_of(&third).await, of_first);
    settled(&world, open).await;

    // A rolling restart: no slot more, and the past is kept.
    third.stop().await;
    let fourth = world.daemon().await;
    assert_eq!(slot_of(&fourth).await, of_first);
    second.stop().await;
    let fifth = world.daemon().await;
    assert!(slot_of(&fifth).await.ends_with("1"));
    let files = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
    assert_eq!(
        files(&of_first),
        1 + 3,
        "the lock, and the journals of three"
    );
    fourth.stop().await;
    fifth.stop().await;
    assert_eq!(
        world.requests("begun").len() + world.requests("waits").len(),
        2
    );
}

#[tokio::test]
async fn a_user_with_two_databases_has_two_journals() {
    let home = tempfile::tempdir().unwrap();
    let worlds = [
        of_user(&home, [Act::Silence]).await,
        of_user(&home, [Act::Silence]).await,
    ];
    let mut open = Vec::new();
    for world in &worlds {
        let daemon = world.daemon().await;
        open.push(begun_and_waiting(world, 1).await);
        assert!(slot_of(&daemon).await.ends_with("0"));
        kill(daemon).await;
    }
    for (world, open) in worlds.iter().zip(open) {
        let daemon = world.daemon().await;
        settled(world, open).await;
        assert!(!crate::restore::holds(&daemon).await);
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_journal_of_a_version_before_slots_is_found() {
    let home = tempfile::tempdir().unwrap();
    let mut world = of_user(&home, [Act::Silence]).await;
    let state = home.path().join("state");
    set(
        &mut world.env,
        "PUNCTUAL_STATE_DIR",
        state.to_str().unwrap(),
    );
    let daemon = world.daemon().await;
    let slot = slot_of(&daemon).await;
    assert!(slot.starts_with(&state));
    let open = begun_and_waiting(&world, 1).await;
    kill(daemon).await;
    for entry in std::fs::read_dir(&slot).unwrap() {
        let entry = entry.unwrap();
        std::fs::rename(entry.path(), state.join(entry.file_name())).unwrap();
    }
    std::fs::remove_dir_all(state.join("journal")).unwrap();
    let daemon = world.daemon().await;
    settled(&world, open).await;
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_directory_the_start_and_doctor_say_so_and_messages_are_sent() {
    let world = World::new([]).await;
    let mut daemon = world.daemon().await;
    daemon.says("no journal: if this process dies").await;
    assert!(journal_of(&daemon).await.is_null());
    let (_, metrics) = daemon.get("/metrics").await.unwrap();
    assert!(!metrics.contains("punctual_journal_writable"), "{metrics}");
    let id = world.insert("without a journal", 100).await;
    world.arrived_once(id).await;
    daemon.stop().await;
    let (_, said, _) = world.call(&["doctor"]).await;
    assert!(
        said.contains("no journal: PUNCTUAL_STATE_DIR, STATE_DIRECTORY"),
        "{said}"
    );

    // One that is found but cannot be used is no reason not to send; one that is set is.
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let mut found = world.env.clone();
    set(&mut found, "STATE_DIRECTORY", path);
    let mut daemon = Daemon::start(&found);
    daemon.ready().await;
    let said = daemon.said();
    assert_eq!(
        said.matches("no journal: if this process dies").count(),
        1,
        "{said}"
    );
    daemon.stop().await;
    let world = world.with(&[("PUNCTUAL_STATE_DIR", path)]);
    let (code, _, said) = world.call(&["run"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("PUNCTUAL_STATE_DIR is not usable"), "{said}");
}

/// Files that nobody can change or remove, not even by a descriptor that is open.
struct Immutable(PathBuf);

impl Immutable {
    /// `None`: no right, or a file system that cannot do it.
    fn new(path: PathBuf) -> Option<Self> {
        Self::chattr("+i", &path).then_some(Self(path))
    }

    fn chattr(change: &str, path: &Path) -> bool {
        let mut chattr = std::process::Command::new("chattr");
        chattr.args(["-R", change]).arg(path);
        chattr.stderr(std::process::Stdio::null());
        chattr.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        Self::chattr("-i", &self.0);
    }
}

#[tokio::test]
async fn a_journal_that_cannot_be_marked_is_noted_in_the_database_and_proves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let world = of_user(&home, [Act::Silence]).await;
    let mut daemon = world.daemon().await;
    let Some(immutable) = Immutable::new(slot_of(&daemon).await) else {
        println!("SKIPPED: chattr +i needs root and a file system that has it");
        daemon.stop().await;
        return;
    };
    daemon.says("neither written nor removed").await;
    until("the database has noted it", async || {
        let sql = "select coalesce(bool_or(journal_incomplete), false) from punctual.instances";
        let noted: bool = world.app.query_one(sql, &[]).await.unwrap().get(0);
        noted.then_some(())
    })
    .await;
    let ready = daemon.readyz(200).await;
    assert!(ready.contains("the journal cannot be written"), "{ready}");
    // By the file neither of them began.
    let (begun, waits) = begun_and_waiting(&world, 1).await;
    kill(daemon).await;
    drop(immutable);
    let daemon = world.daemon().await;
    for id in [begun, waits] {
        world.becomes(id, "unconfirmed").await;
    }
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 1);
}

/// Waits until a metric without labels has this value.
async fn metric(daemon: &Daemon, name: &str, value: f64) {
    until(name, async || {
        let (_, metrics) = daemon.get("/metrics").await?;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let is = line.parse::<f64>().unwrap();
        (is.to_bits() == value.to_bits()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_journal_that_is_deleted_or_cannot_be_written_is_noticed_and_begun_again() {
    let home = tempfile::tempdir().unwrap();
    let world = of_user(&home, [Act::Silence]).await;
    let mut daemon = world.daemon().await;
    metric(&daemon, "punctual_journal_writable", 1.0).await;
    let journals = home.path().join("punctual/journal");
    std::fs::remove_dir_all(&journals).unwrap();
    daemon.says("removed or replaced").await;
    daemon.says("the journal can be written again").await;

    // Nothing can be made there.
    std::fs::remove_dir_all(&journals).unwrap();
    std::fs::write(&journals, "no directory").unwrap();
    metric(&daemon, "punctual_journal_writable", 0.0).await;
    let journal = journal_of(&daemon).await;
    assert_eq!(journal["writable"], false, "{journal}");
    assert!(
        journal["reason"].as_str().unwrap().contains("removed"),
        "{journal}"
    );
    let ready = daemon.readyz(200).await;
    assert!(ready.contains("the journal cannot be written"), "{ready}");
    let (_, found, _) = {
        let mut env = world.env.clone();
        set(&mut env, "PUNCTUAL_HTTP_ADDR", daemon.addr());
        crate::world::called(&["doctor"], &env).await
    };
    assert!(found.contains("the journal cannot be written"), "{found}");
    // It goes on as without one.
    let open = begun_and_waiting(&world, 1).await;
    // The journal is checked five times as often.
    heartbeats(&world.app, 1).await;
    let said = daemon.said();
    assert_eq!(
        said.matches("the journal cannot be written").count(),
        2,
        "once each:\n{said}"
    );

    std::fs::remove_file(&journals).unwrap();
    metric(&daemon, "punctual_journal_writable", 1.0).await;
    assert!(!daemon.readyz(200).await.contains("journal"));
    // What is open was written again.
    let _ = open;
    kill(daemon).await;
    let daemon = world.daemon().await;
    world.becomes(open.1, "sent").await;
    daemon.stop().await;
}
