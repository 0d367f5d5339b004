//! The state directory: the journals of all databases and instances that use it.
//!
//! ```text
//! <state directory>/journal/<system identifier>-<database name>/<slot>/<instance>-<number>.journal
//! ```
//!
//! A server that does not show its system identifier has `unknown-` and a digest of its address in its place: two
//! servers may have databases of one name.
//!
//! Each running instance has a slot and keeps its `lock`. One that starts takes the first free slot, and
//! moves the files of all other free slots there: they were written by dead instances. Versions before
//! slots wrote into the state directory itself; those files are moved as well.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::dir::{JournalError, LOCK, Slot, files, is_same_file, private, try_lock};
use super::past::Past;
use super::past_in;
use crate::message::{AttemptToken, DatabaseId};
use crate::proof::recovery::LastSeen;

const JOURNALS: &str = "journal";

/// Locked while an instance takes its slot, so that no two move the same files.
const STARTING: &str = "starting.lock";

/// How long another instance may need to take its slot. It moves files, and copies none.
const STARTING_TRIES: u32 = 50;
const STARTING_PAUSE: Duration = Duration::from_millis(100);

/// The most slots: more than the instances that one host ever runs for one database.
const SLOTS_MAX: u32 = 256;

/// Files of another directory that are compared with the ledger, and attempts of each.
const COMPARED_FILES: usize = 16;
const COMPARED_ATTEMPTS: usize = 64;

/// The directory of all journals of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    path: PathBuf,
    /// Directories of the same data under another system identifier or name.
    earlier: Vec<PathBuf>,
}

/// A directory of journals that may belong to the same data: the ledger decides.
#[derive(Debug)]
pub struct Candidate {
    /// Attempts in its files.
    pub tokens: Vec<AttemptToken>,
    dir: PathBuf,
    last_seen: Option<LastSeen>,
}

impl StateDir {
    /// Creates the directory, and makes sure that it is writable.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let journals = path.join(JOURNALS);
        make(&journals)?;
        let probe = journals.join(format!("probe-{}", std::process::id()));
        fs::write(&probe, b"probe")
            .and_then(|()| fs::remove_file(&probe))
            .map_err(JournalError::io("write", &probe))?;
        Ok(Self {
            path: path.to_owned(),
            earlier: Vec::new(),
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn of_key(&self, key: &str) -> PathBuf {
        self.path.join(JOURNALS).join(key)
    }

    /// Takes the first free slot of this database, with the files of all free ones. `server`: its address.
    pub fn take_slot(
        &self,
        database: Option<DatabaseId>,
        server: &str,
        name: &str,
    ) -> Result<Slot, JournalError> {
        let key = key(database, server, name);
        let dir = self.of_key(&key);
        make(&dir)?;
        let _starting = starting(&dir)?;
        let (mut own, mut others) = (None, Vec::new());
        for number in 0..SLOTS_MAX {
            let path = dir.join(number.to_string());
            if own.is_some() && !path.exists() {
                continue;
            }
            if let Some(lock) = lock_slot(&path)? {
                match own {
                    None => own = Some((path, lock)),
                    Some(_) => others.push((path, lock)),
                }
            }
        }
        let Some((path, lock)) = own else {
            return Err(JournalError::Busy { path: dir });
        };
        for (other, _lock) in &others {
            for (file, _) in files(other)? {
                take(&file, &path)?;
            }
        }
        self.take_unslotted(&path, database)?;
        Ok(Slot::new(path, lock, self.clone(), key))
    }

    /// Moves the files of versions before slots, unless one of those still runs. If this directory has
    /// journals of several databases by now, only those of this one.
    fn take_unslotted(
        &self,
        slot: &Path,
        database: Option<DatabaseId>,
    ) -> Result<(), JournalError> {
        let old = files(&self.path)?;
        if old.is_empty() {
            return Ok(());
        }
        let lock_path = self.path.join(LOCK);
        let lock = private()
            .open(&lock_path)
            .map_err(JournalError::io("open", &lock_path))?;
        if !try_lock(&lock, &lock_path)? {
            return Ok(());
        }
        let is_only = self.keys()?.len() == 1;
        for (file, _) in old {
            let of = || past(&file).and_then(|past| past.opened.database);
            if is_only || database.is_some() && of().map(lineless) == database.map(lineless) {
                take(&file, slot)?;
            }
        }
        Ok(())
    }

    /// The directories of all databases.
    fn keys(&self) -> Result<Vec<PathBuf>, JournalError> {
        subdirectories(&self.path.join(JOURNALS))
    }

    /// The directories of other databases, with some of their attempts. A restore may have given the same
    /// data another system identifier or name.
    pub fn candidates(&self, slot: &Slot) -> Result<Vec<Candidate>, JournalError> {
        let own = self.of_key(&slot.key);
        let mut candidates = Vec::new();
        for dir in self.keys()? {
            if dir == own {
                continue;
            }
            let mut all = files_of_slots(&dir)?;
            // The latest ones, and the first ones: a backup may be older than all of the latest.
            let latest = all.split_off(all.len().saturating_sub(COMPARED_FILES));
            all.truncate(COMPARED_FILES);
            let pasts: Vec<Past> = all.iter().chain(&latest).filter_map(|f| past(f)).collect();
            let tokens = pasts
                .iter()
                .flat_map(|p| p.tokens().take(COMPARED_ATTEMPTS));
            candidates.push(Candidate {
                tokens: tokens.collect(),
                dir,
                last_seen: pasts.last().map(Past::last_seen),
            });
        }
        Ok(candidates)
    }

    /// The files of a database, living instances' included, and of its earlier directories. The oldest
    /// instance first.
    pub(super) fn history(&self, key: &str) -> Result<Vec<PathBuf>, JournalError> {
        let mut all = Vec::new();
        for dir in self.earlier.iter().chain([&self.of_key(key)]) {
            all.extend(files_of_slots(dir)?);
        }
        all.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        Ok(all)
    }
}

impl Slot {
    /// Includes the files of this directory in the history of the database.
    pub fn include(&mut self, earlier: Candidate) -> Option<LastSeen> {
        self.state_dir.earlier.push(earlier.dir);
        earlier.last_seen
    }

    /// Other directories whose journals may be about the same data.
    pub fn candidates(&self) -> Result<Vec<Candidate>, JournalError> {
        self.state_dir.candidates(self)
    }

    /// Takes a slot again, after its directory or lock was removed or replaced.
    pub(super) fn retake(&mut self) -> Result<(), JournalError> {
        let dir = self.state_dir.of_key(&self.key);
        make(&dir)?;
        let _starting = starting(&dir)?;
        for number in 0..SLOTS_MAX {
            let path = dir.join(number.to_string());
            if let Some(lock) = lock_slot(&path)? {
                self.move_to(path, lock);
                return Ok(());
            }
        }
        Err(JournalError::Busy { path: dir })
    }
}

/// The name of a database's directory. Names of databases may contain anything.
fn key(database: Option<DatabaseId>, server: &str, name: &str) -> String {
    let system = database.map_or_else(
        || {
            let digest = Sha256::digest(server.as_bytes());
            let digest = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
            format!("unknown-{}", digest.collect::<String>())
        },
        |database| format!("{:016x}", database.system),
    );
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let name: String = name
        .bytes()
        .map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            other => format!("%{other:02x}"),
        })
        .collect();
    format!("{system}-{name}")
}

/// Without the timeline, which changes with every failover.
const fn lineless(database: DatabaseId) -> (i64, u32) {
    (database.system, database.database)
}

fn make(dir: &Path) -> Result<(), JournalError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(JournalError::io("make the directory", dir))
}

/// Locks the directory, so that one instance at a time takes a slot.
fn starting(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join(STARTING);
    let lock = private()
        .open(&path)
        .map_err(JournalError::io("open", &path))?;
    for _ in 0..STARTING_TRIES {
        if try_lock(&lock, &path)? {
            return Ok(lock);
        }
        thread::sleep(STARTING_PAUSE);
    }
    Err(JournalError::Busy { path })
}

/// Creates a slot and locks it; `None`: an instance has it.
fn lock_slot(path: &Path) -> Result<Option<File>, JournalError> {
    make(path)?;
    let lock_path = path.join(LOCK);
    let lock = private()
        .open(&lock_path)
        .map_err(JournalError::io("open", &lock_path))?;
    if !try_lock(&lock, &lock_path)? || !is_same_file(&lock, &lock_path) {
        return Ok(None);
    }
    // The lock file of a living instance may have been removed, but its journal is locked as well.
    for (file, _) in files(path)? {
        let open = File::open(&file).map_err(JournalError::io("open", &file))?;
        if !try_lock(&open, &file)? {
            return Ok(None);
        }
    }
    Ok(Some(lock))
}

/// Moves a file to a slot, by its name, which has the instance in it.
fn take(file: &Path, slot: &Path) -> Result<(), JournalError> {
    let Some(name) = file.file_name() else {
        return Ok(());
    };
    match fs::rename(file, slot.join(name)) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved.map_err(JournalError::io("move", file)),
    }
}

fn subdirectories(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut dirs = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            }
        }
        dirs.sort();
        Ok(dirs)
    };
    match list() {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(JournalError::io("read the directory", dir)),
    }
}

/// The files in all slots of a database's directory, the oldest instance first.
fn files_of_slots(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut all = Vec::new();
    for slot in subdirectories(dir)? {
        all.extend(files(&slot)?.into_iter().map(|(path, _)| path));
    }
    all.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(all)
}

/// What a file proves, if it can be read.
fn past(path: &Path) -> Option<Past> {
    past_in(path).ok().flatten()
}
