//! The directory: one daemon's at a time, with the files of those before it.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::past::Past;
use super::record::{Record, decode, encode};
use crate::message::InstanceId;

/// Held for as long as the daemon lives. The kernel lets go of it when the process ends, however
/// it ends, so whoever gets it knows that the one before is dead.
const LOCK: &str = "lock";

/// How often a lock is tried for, and how long after one try comes the next. A process that starts
/// another one shares its lock with it for a moment, until that one runs its own program; a
/// daemon that lives has its lock for longer than all of these.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

const ENDING: &str = ".journal";

/// What is kept of the past, in bytes: some 200,000 messages. It is what a restored database is
/// held against; what is older than that only the provider's list knows.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// And in files, for a daemon that is started again and again.
const KEPT_FILES: usize = 256;

/// Instances of the past that are looked into. One that is started again and again does not get
/// to settle what it finds; what is older than this, others have called unknown by then.
const PAST_MAX: usize = 32;

/// The longest file that is read. A writer stops long before.
pub(super) const FILE_MAX: u64 = 256 * 1024 * 1024;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error(
        "PUNCTUAL_STATE_DIR {} is in use by another process: each daemon needs a directory of \
         its own", path.display()
    )]
    Busy {
        /// The directory, or the file in it.
        path: PathBuf,
    },
    /// It cannot be used.
    #[error("PUNCTUAL_STATE_DIR is not usable: cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

impl JournalError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The directory, ours alone.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// See [`LOCK`].
    _lock: File,
    /// Files that tell what does not stand in the database yet.
    needed: HashSet<PathBuf>,
}

/// What the latest file of a dead instance tells.
#[derive(Debug)]
pub struct PastFile {
    /// What it tells.
    pub past: Past,
    path: PathBuf,
    file: File,
}

impl PastFile {
    /// Notes that all of it stands in the database.
    pub fn settle(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        encode(&Record::Settled, &mut line);
        self.file.write_all(&line)?;
        self.past.settled = true;
        Ok(())
    }
}

impl StateDir {
    /// Makes the directory this process's own, and makes sure that it can be written to.
    pub fn lock(path: &Path) -> Result<Self, JournalError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(JournalError::io("make the directory", path))?;
        let lock_path = path.join(LOCK);
        let lock = private()
            .open(&lock_path)
            .map_err(JournalError::io("open", &lock_path))?;
        claim(&lock, &lock_path, path)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            needed: HashSet::new(),
        })
    }

    /// What the instances before this one left, the latest last. Files that are none of ours are
    /// left alone.
    pub fn past(&mut self) -> Result<Vec<PastFile>, JournalError> {
        let mut latest: BTreeMap<InstanceId, PastFile> = BTreeMap::new();
        for (path, _) in self.files()? {
            let Some(file) = self.read(path)? else {
                continue;
            };
            // In order of their names, and so of their segments: the last one that came to be
            // one is the latest.
            latest.insert(file.past.opened.instance, file);
        }
        let many = latest.len().saturating_sub(PAST_MAX);
        let files: Vec<_> = latest.into_values().skip(many).collect();
        let unsettled = files.iter().filter(|f| !f.past.settled);
        self.needed.extend(unsettled.map(|f| f.path.clone()));
        Ok(files)
    }

    /// Every answer that any file in here tells, file by file, the oldest first.
    pub fn history(&self) -> Result<Vec<PathBuf>, JournalError> {
        Ok(self.files()?.into_iter().map(|(path, _)| path).collect())
    }

    fn read(&self, path: PathBuf) -> Result<Option<PastFile>, JournalError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&path)
            .map_err(JournalError::io("open", &path))?;
        claim(&file, &path, &self.path)?;
        let past = read(&file)
            .map_err(JournalError::io("read", &path))?
            .as_deref()
            .and_then(decode)
            .and_then(Past::of);
        Ok(past.map(|past| PastFile { past, path, file }))
    }

    /// A past file is not needed any more.
    pub(super) fn done_with(&mut self, file: &PastFile) {
        self.needed.remove(&file.path);
    }

    /// Ours, with their lengths, in order of name.
    fn files(&self) -> Result<Vec<(PathBuf, u64)>, JournalError> {
        let at = JournalError::io("read the directory", &self.path);
        let list = || -> io::Result<Vec<(PathBuf, u64)>> {
            let mut files = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                let name = entry.file_name();
                if name.to_str().is_some_and(|n| n.ends_with(ENDING)) {
                    files.push((entry.path(), entry.metadata()?.len()));
                }
            }
            files.sort();
            Ok(files)
        };
        list().map_err(at)
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
                // It never came to be one; if it stays, whoever reads it sees that too.
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// Removes the oldest files that nobody needs, down to what is kept. `current` stays.
    pub(super) fn prune(&self, current: &Path) -> Result<(), JournalError> {
        let files = self.files()?;
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

/// For its owner only: it tells who was texted when, if only by ids.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}

fn claim(file: &File, path: &Path, dir: &Path) -> Result<(), JournalError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(JournalError::io("lock", path)(source)),
        }
    }
    Err(JournalError::Busy {
        path: dir.to_owned(),
    })
}

/// Reads all of it; `None`: nobody writes files that long.
pub(super) fn read(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = file.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok((u64::try_from(read).is_ok_and(|n| n < FILE_MAX)).then_some(bytes))
}

/// Which run of the machine this is, where it tells.
pub fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}
