//! Slots of a state directory: several instances and databases, and what is removed under them.

use std::fs;
use std::path::Path;

use super::*;

const OTHER: DatabaseId = DatabaseId {
    system: 7,
    timeline: 1,
    database: 6,
};

const SERVER: &str = "localhost:5432/app";

type Damage = fn(&Host, &Journal);

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn slot(&self, database: DatabaseId, name: &str) -> Slot {
        let dir = StateDir::open(self.0.path()).unwrap();
        dir.take_slot(Some(database), SERVER, name).unwrap()
    }

    /// A daemon of the database `app`, with one request in flight.
    fn daemon(&self, n: u128) -> Journal {
        let slot = self.slot(DATABASE, "app");
        let at = Some((DATABASE, 1));
        let journal = Journal::begin(slot, InstanceId::fresh(), at, None).unwrap();
        journal.began(begun(n)).unwrap();
        journal
    }

    /// Which of these requests the next daemon finds, and the slot it takes.
    fn found(&self, of: &[u128]) -> (Vec<u128>, String) {
        let mut slot = self.slot(DATABASE, "app");
        let past = slot.past().unwrap();
        let begun = |n: &u128| {
            let known = |file: &PastFile| file.past.of_attempt(token(*n), false);
            past.iter()
                .any(|file| known(file) == Known::Began(begun(*n)))
        };
        let found = of.iter().copied().filter(begun).collect();
        (found, slot_of(slot.path()))
    }

    /// Where versions before slots wrote.
    fn write_as_before_slots(&self, n: u128) -> fs::File {
        let instance = InstanceId::fresh();
        let opened = Opened {
            instance,
            ..super::opened()
        };
        let opened = JournalLine::Opened(opened);
        let bytes = super::file(&[opened, JournalLine::Began(begun(n)), JournalLine::Ready]);
        let name = format!("{instance}-00000000.journal");
        fs::write(self.0.path().join(name), bytes).unwrap();
        let lock = fs::File::create(self.0.path().join("lock")).unwrap();
        lock.try_lock().unwrap();
        lock
    }
}

fn slot_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn each_instance_has_a_slot_and_a_new_one_reads_those_of_the_dead() {
    let host = Host::new();
    let (first, second, third) = (host.daemon(1), host.daemon(2), host.daemon(3));
    let slots = [&first, &second, &third].map(|journal| slot_of(&journal.path()));
    assert_eq!(slots, ["0", "1", "2"]);
    assert_eq!(host.found(&[1, 2, 3]), (vec![], "3".into()));
    drop(second);
    assert_eq!(host.found(&[1, 2, 3]), (vec![2], "1".into()));
    // A rolling restart: the slots stay as many.
    drop(first);
    let (found, slot) = host.found(&[1, 2, 3]);
    assert_eq!((found, &*slot), (vec![1, 2], "0"));
    let again = host.daemon(4);
    assert_eq!(slot_of(&again.path()), "0");
    drop(third);
    assert_eq!(host.found(&[1, 2, 3, 4]), (vec![3], "1".into()));
    drop(again);
    assert_eq!(host.found(&[1, 2, 3, 4]), (vec![1, 2, 3, 4], "0".into()));
    // The proofs of living instances count as well, should the database be restored.
    let living = host.daemon(5);
    living.answered(begun(5), &accepted(), Moment::from_micros(6));
    living.write_answers();
    let slot = host.slot(DATABASE, "app");
    let answers = slot.history().unwrap();
    let answers = answers.iter().flat_map(|path| {
        past_in(path)
            .unwrap()
            .map_or_else(Vec::new, |past| past.answers().cloned().collect())
    });
    assert_eq!(answers.map(|a| a.to.token).collect::<Vec<_>>(), [token(5)]);
}

#[test]
fn two_databases_of_one_user_are_apart() {
    let host = Host::new();
    drop(host.daemon(1));
    for (database, name) in [
        (OTHER, "other"),
        // The same name on another server.
        (
            DatabaseId {
                system: -8,
                ..DATABASE
            },
            "app",
        ),
        (OTHER, "../app/%"),
    ] {
        let mut slot = host.slot(database, name);
        assert!(slot.past().unwrap().is_empty(), "{name}");
        assert!(slot.path().starts_with(host.0.path().join("journal")));
        let journal = Journal::begin(slot, InstanceId::fresh(), Some((database, 1)), None);
        journal.unwrap().began(begun(9)).unwrap();
    }
    assert_eq!(host.found(&[1, 9]), (vec![1], "0".into()));
    // The ledger decides whether they are about the same data.
    let mut slot = host.slot(OTHER, "restored");
    let candidates = slot.candidates().unwrap();
    assert_eq!(candidates.len(), 4);
    assert!(slot.history().unwrap().is_empty());
    let app = candidates.into_iter().find(|c| c.tokens == [token(1)]);
    let seen = slot.include(app.unwrap()).unwrap();
    assert_eq!(seen.database, Some(DATABASE));
    assert_eq!(slot.history().unwrap().len(), 1);
}

#[test]
fn a_journal_of_a_version_before_slots_is_read_once_its_daemon_is_dead() {
    let host = Host::new();
    let lock = host.write_as_before_slots(1);
    assert_eq!(host.found(&[1]), (vec![], "0".into()));
    drop(lock);
    assert_eq!(host.found(&[1]), (vec![1], "0".into()));
    // And it stays.
    drop(host.daemon(2));
    assert_eq!(host.found(&[1, 2]), (vec![1, 2], "0".into()));
    // Next to journals of several databases, only if its head has this one.
    drop(host.slot(OTHER, "other"));
    drop(host.write_as_before_slots(3));
    let mut other = host.slot(OTHER, "other");
    assert!(other.past().unwrap().is_empty());
    drop(other);
    assert_eq!(host.found(&[1, 2, 3]), (vec![1, 2, 3], "0".into()));
}

#[test]
fn what_is_removed_or_replaced_is_noticed_and_begun_again() {
    let host = Host::new();
    let damages: [Damage; 4] = [
        |host, _| fs::remove_dir_all(host.0.path().join("journal")).unwrap(),
        |_, journal| fs::remove_file(journal.history().unwrap().pop().unwrap()).unwrap(),
        |_, journal| {
            let path = journal.history().unwrap().pop().unwrap();
            let copy = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, copy).unwrap();
        },
        |_, journal| fs::remove_file(journal.path().join("lock")).unwrap(),
    ];
    for (n, damage) in damages.into_iter().enumerate() {
        let n = n as u128;
        let journal = host.daemon(10 * n);
        assert_eq!(journal.check(), Condition::Complete);
        damage(&host, &journal);
        // Not noticed yet: a copy that does not have this request must not deny it.
        journal.began(begun(10 * n + 1)).unwrap();
        assert_eq!(journal.check(), Condition::Complete, "{n}");
        journal.began(begun(10 * n + 2)).unwrap();
        let instance = journal.inner().opened.instance;
        drop(journal);
        let mut slot = host.slot(DATABASE, "app");
        let past = slot.past().unwrap();
        let file = past.iter().find(|f| f.past.opened.instance == instance);
        let past = &file.unwrap().past;
        assert!(past.may_deny(boot().as_deref(), Some(DATABASE)), "{n}");
        for begins in 0..3 {
            let begun = begun(10 * n + begins);
            assert_eq!(past.of_attempt(begun.token, true), Known::Began(begun));
        }
    }
}

#[test]
fn a_living_instance_keeps_its_files_though_its_lock_was_removed() {
    let host = Host::new();
    let journal = host.daemon(1);
    fs::remove_file(journal.path().join("lock")).unwrap();
    assert_eq!(host.found(&[1]), (vec![], "1".into()));
    assert_eq!(journal.check(), Condition::Complete);
}

#[test]
fn an_idle_journal_that_cannot_be_written_is_noticed() {
    let host = Host::new();
    let journal = host.daemon(1);
    let before = journal.history().unwrap();
    {
        let mut inner = journal.inner();
        let State::Writing(segment) = &mut inner.state else {
            panic!("it has only begun");
        };
        // As after a read-only remount: every write fails, and no request shows it.
        segment.file = fs::File::open(&segment.path).unwrap();
        let written = segment.written;
        inner.checked = written;
    }
    assert_eq!(journal.check(), Condition::Complete);
    let after = journal.history().unwrap();
    assert!(after.len() == 1 && after != before, "{after:?}");
    // While no file can be made, it stays incomplete.
    let slot = journal.path();
    fs::rename(&slot, slot.with_extension("gone")).unwrap();
    fs::write(&slot, "no directory").unwrap();
    assert!(matches!(journal.check(), Condition::Incomplete(_)));
    assert!(matches!(journal.check(), Condition::Incomplete(_)));
    journal.began(begun(2)).unwrap();
    fs::remove_file(&slot).unwrap();
    assert_eq!(journal.check(), Condition::Complete);
}

/// Neither shows its system identifier.
#[test]
fn two_servers_with_a_database_of_one_name_have_two_directories() {
    let host = Host::new();
    let dir = StateDir::open(host.0.path()).unwrap();
    let begin = |server: &str, n: u128| {
        let slot = dir.take_slot(None, server, "app").unwrap();
        let journal = Journal::begin(slot, InstanceId::fresh(), None, None).unwrap();
        journal.began(begun(n)).unwrap();
    };
    // As the version before named it, whatever the server.
    let former = host.0.path().join("journal/unknown-app/0");
    fs::create_dir_all(&former).unwrap();
    begin("one.example:5432/app", 1);
    let own = host.0.path().join("journal");
    let mut dirs = subdirectories_of(&own);
    dirs.retain(|name| name != "unknown-app");
    let [first] = &dirs[..] else {
        panic!("{dirs:?}");
    };
    let file = fs::read_dir(own.join(first).join("0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "journal"))
        .unwrap();
    fs::copy(&file, former.join(file.file_name().unwrap())).unwrap();
    // The other one takes none of these files; whether one is about its data, the ledger decides.
    let mut other = dir.take_slot(None, "two.example:5432/app", "app").unwrap();
    assert!(other.past().unwrap().is_empty());
    let candidates = other.candidates().unwrap();
    let known = |candidate: &Candidate| candidate.tokens == [token(1)];
    assert_eq!(candidates.iter().filter(|own| known(own)).count(), 2);
    let mut first = dir.take_slot(None, "one.example:5432/app", "app").unwrap();
    assert_eq!(first.past().unwrap().len(), 1);
}

fn subdirectories_of(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
