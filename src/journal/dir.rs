//! One slot of a state directory: the files of the instance that has it, and of earlier ones.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::past::Past;
use super::record::{JournalLine, decode, encode};
use super::state_dir::StateDir;
use crate::message::InstanceId;

/// Locked for as long as the daemon runs. The kernel releases it when the process ends for whatever
/// reason, so a process that gets the lock knows that the previous daemon is dead.
pub(super) const LOCK: &str = "lock";

/// How often a lock is tried, and the pause between two attempts. A process that starts another one
/// shares its locks with it for a moment, until that one executes its own program; a running daemon keeps its
/// lock for longer than all attempts take.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

const ENDING: &str = ".journal";

/// How much of the past is kept, in bytes: some 200,000 messages. A restored database is compared with
/// it; older messages are only on the provider's list.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// The same in files, for a daemon that is restarted very often.
const KEPT_FILES: usize = 256;

/// How many dead instances have their open attempts settled. Earlier ones have been reaped by then.
const PAST_MAX: usize = 32;

/// The longest file that is read. A writer stops long before.
pub(super) const FILE_MAX: u64 = 256 * 1024 * 1024;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process uses it.
    #[error("the state directory is in use: another process keeps {} locked", path.display())]
    Busy {
        /// The lock, or the file.
        path: PathBuf,
    },
    /// It cannot be used.
    #[error("the state directory is not usable: cannot {what} {}", path.display())]
    Io {
        /// The operation.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl JournalError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The directory of one instance, locked by it.
#[derive(Debug)]
pub struct Slot {
    path: PathBuf,
    /// See [`LOCK`].
    lock: File,
    /// The other slots of the same database, and other directories of its past.
    pub(super) state_dir: StateDir,
    /// The directory of the database.
    pub(super) key: String,
    /// Files that prove something that is not recorded in the database yet.
    needed: HashSet<PathBuf>,
}

/// The latest file of a dead instance.
#[derive(Debug)]
pub struct PastFile {
    /// What it proves.
    pub past: Past,
    path: PathBuf,
    file: File,
}

impl PastFile {
    /// Writes that all of it is recorded in the database.
    pub fn settle(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        encode(&JournalLine::Settled, &mut line);
        self.file.write_all(&line)?;
        self.past.settled = true;
        Ok(())
    }
}

impl Slot {
    pub(super) fn new(path: PathBuf, lock: File, state_dir: StateDir, key: String) -> Self {
        Self {
            path,
            lock,
            state_dir,
            key,
            needed: HashSet::new(),
        }
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn move_to(&mut self, path: PathBuf, lock: File) {
        self.path = path;
        self.lock = lock;
    }

    /// Whether its directory and lock are still those that were opened: somebody may have removed or
    /// replaced them.
    pub(super) fn is_in_place(&self) -> bool {
        is_same_file(&self.lock, &self.path.join(LOCK))
    }

    /// The latest files of the dead instances in it, the youngest instance last. Other files are
    /// ignored.
    pub fn past(&mut self) -> Result<Vec<PastFile>, JournalError> {
        let mut latest: BTreeMap<InstanceId, PastFile> = BTreeMap::new();
        for (path, _) in files(&self.path)? {
            let Some(file) = read_past(path)? else {
                continue;
            };
            // In the order of their names, and so of their numbers: the last one with a whole head is the
            // latest.
            latest.insert(file.past.opened.instance, file);
        }
        let many = latest.len().saturating_sub(PAST_MAX);
        let files: Vec<_> = latest.into_values().skip(many).collect();
        let unsettled = files.iter().filter(|f| !f.past.settled);
        self.needed.extend(unsettled.map(|f| f.path.clone()));
        Ok(files)
    }

    /// The files of all instances of this database, living ones included, the oldest first.
    pub(super) fn history(&self) -> Result<Vec<PathBuf>, JournalError> {
        self.state_dir.history(&self.key)
    }

    /// Marks a past file as not needed any more.
    pub(super) fn done_with(&mut self, file: &PastFile) {
        self.needed.remove(&file.path);
    }

    pub(super) fn path_of(&self, instance: InstanceId, segment: u32) -> PathBuf {
        self.path.join(format!("{instance}-{segment:08}{ENDING}"))
    }

    /// A new file with `head` in it, locked. `durable`: also after the machine has died.
    pub(super) fn create(&self, path: &Path, head: &[u8], durable: bool) -> io::Result<File> {
        let mut file = private().create_new(true).open(path)?;
        let write = || -> io::Result<()> {
            file.try_lock().map_err(io::Error::from)?;
            file.write_all(head)?;
            if durable {
                file.sync_all()?;
                File::open(&self.path)?.sync_all()?;
            }
            Ok(())
        };
        match { write }() {
            Ok(()) => Ok(file),
            Err(error) => {
                // Its head is incomplete; if it cannot be removed, readers see that as well.
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// Removes the oldest files that are not needed, down to the limits. `current` stays.
    pub(super) fn prune(&self, current: &Path) -> Result<(), JournalError> {
        let files = files(&self.path)?;
        let mut bytes: u64 = files.iter().map(|(_, len)| len).sum();
        let mut count = files.len();
        for (path, len) in files {
            if bytes <= KEPT_BYTES && count <= KEPT_FILES {
                break;
            }
            if path == current || self.needed.contains(&path) {
                continue;
            }
            fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
            bytes -= len;
            count -= 1;
        }
        Ok(())
    }
}

fn read_past(path: PathBuf) -> Result<Option<PastFile>, JournalError> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .open(&path)
        .map_err(JournalError::io("open", &path))?;
    lock_file(&file, &path)?;
    let past = read(&file)
        .map_err(JournalError::io("read", &path))?
        .as_deref()
        .and_then(decode)
        .and_then(Past::of);
    Ok(past.map(|past| PastFile { past, path, file }))
}

/// The journals in a directory with their lengths, in order of name.
pub(super) fn files(dir: &Path) -> Result<Vec<(PathBuf, u64)>, JournalError> {
    let list = || -> io::Result<Vec<(PathBuf, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|n| n.ends_with(ENDING)) {
                files.push((entry.path(), entry.metadata()?.len()));
            }
        }
        files.sort();
        Ok(files)
    };
    list().map_err(JournalError::io("read the directory", dir))
}

/// For its owner only: it shows who was texted when, though only by ids.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}

/// Locks a file that no other process should have locked.
pub(super) fn lock_file(file: &File, path: &Path) -> Result<(), JournalError> {
    if try_lock(file, path)? {
        return Ok(());
    }
    Err(JournalError::Busy {
        path: path.to_owned(),
    })
}

/// Whether the file could be locked.
pub(super) fn try_lock(file: &File, path: &Path) -> Result<bool, JournalError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(JournalError::io("lock", path)(source)),
        }
    }
    Ok(false)
}

/// Whether an open file is still the one at that path.
pub(super) fn is_same_file(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// Reads a whole file; `None`: it is longer than any journal.
pub(super) fn read(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = file.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok((u64::try_from(read).is_ok_and(|n| n < FILE_MAX)).then_some(bytes))
}

/// The machine's boot id, where it is known.
pub fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}
