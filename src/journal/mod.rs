//! What had begun before a crash.
//!
//! A claim says that a message *may* be sent by this instance; whether its request began, only
//! the instance knows, and it takes that with it when it dies. So before the first byte of a
//! request one line is appended to a file, and another when the answer comes. Whoever finds the
//! file afterwards can tell three kinds of open claims apart: never begun (sent again at once),
//! begun (in doubt), answered (recorded as if nothing had happened).
//!
//! To say that something did *not* happen takes more than to say that it did; [`Past::may_deny`]
//! has the conditions. A line is written to the page cache and not to the disk: that survives the
//! process, and a machine that has been started anew is told by its boot id.
//!
//! - `record`: the format, pure. `past`: what a file tells, pure.
//! - `dir`: the directory and its lock. This module: the file that is being written.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::message::{AttemptToken, DatabaseId, InstanceId, Moment, Outcome};

mod dir;
pub mod past;
pub mod record;
#[cfg(test)]
mod tests;

pub use dir::{JournalError, PastFile, StateDir, boot};
pub use past::{Known, Past};
pub use record::{Answered, Begun};

use record::{BROKEN, MAGIC, Opened, Record, encode};

/// A file is followed by the next one after this many bytes, beyond what was carried into it:
/// the past is given up a file at a time.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// If there can be no next file, the one there is goes on to here, and no further.
const SEGMENT_MAX: u64 = 16 * SEGMENT_BYTES;

/// A request must not be made: it could not be written down, and neither could that.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be written, and cannot be marked as broken either")]
pub struct Unwritable;

/// The journal of this instance. Cheap to write: one `write` a line.
#[derive(Debug)]
pub struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: StateDir,
    opened: Opened,
    held_before: Option<Moment>,
    /// How far the database's log has come, and whether that stands in the file.
    reached: i64,
    said: bool,
    /// The database has become another one since this began.
    changed: bool,
    /// What began and is not recorded in the database. Bounded by what the reactor has in
    /// flight and unrecorded.
    open: HashMap<AttemptToken, Open>,
    state: State,
    /// Reused from line to line.
    line: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    begun: Begun,
    answered: Option<Answered>,
}

#[derive(Debug)]
enum State {
    Writing(Segment),
    /// Nothing is written. Whether the file of this path says so of itself.
    Broken {
        path: PathBuf,
        marked: bool,
    },
}

#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    written: u64,
    /// Beyond which the next one is due.
    until: u64,
    /// Something was written since it was last synced.
    unsynced: bool,
}

impl Journal {
    /// Opens the file of an instance; it is on the disk when this returns. Before its first
    /// claim.
    pub fn begin(
        dir: StateDir,
        instance: InstanceId,
        at: Option<(DatabaseId, i64)>,
        held_before: Option<Moment>,
    ) -> Result<Self, JournalError> {
        let opened = Opened {
            instance,
            segment: 0,
            boot: boot(),
            database: at.map(|(database, _)| database),
        };
        let reached = at.map_or(i64::MIN, |(_, reached)| reached);
        let path = dir.path_of(instance, 0);
        let head = head(&opened, held_before, reached, &HashMap::new());
        let file = dir
            .create(&path, &head, true)
            .map_err(JournalError::io("write", &path))?;
        dir.prune(&path)?;
        Ok(Self {
            inner: Mutex::new(Inner {
                dir,
                opened,
                held_before,
                reached,
                said: true,
                changed: false,
                open: HashMap::new(),
                state: State::Writing(Segment::new(file, path, head.len())),
                line: Vec::with_capacity(512),
            }),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves it in order: a panic elsewhere spoils nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request is about to be made. If that cannot be written, the file is marked
    /// as one that does not know everything, and the request may be made all the same.
    pub fn began(&self, begun: Begun) -> Result<(), Unwritable> {
        let mut inner = self.inner();
        inner.open.insert(
            begun.token,
            Open {
                begun,
                answered: None,
            },
        );
        let said = inner.append(&Record::Began(begun));
        if said.is_err() {
            // It will not be made.
            inner.open.remove(&begun.token);
        }
        said
    }

    /// Notes what came of it.
    pub fn answered(&self, token: AttemptToken, outcome: &Outcome, at: Moment) {
        let mut inner = self.inner();
        let Some(open) = inner.open.get_mut(&token) else {
            return;
        };
        let answer = Answered {
            to: open.begun,
            outcome: outcome.clone(),
            at_us: at.as_micros(),
        };
        open.answered = Some(answer.clone());
        // Unwritten it is still known here, and is carried into the next file there is.
        let _ = inner.append(&Record::Answered(answer));
    }

    /// The database has these: the next file need not carry them.
    pub fn recorded(&self, tokens: impl IntoIterator<Item = AttemptToken>) {
        let mut inner = self.inner();
        for token in tokens {
            inner.open.remove(&token);
        }
    }

    /// Whether a request of this attempt has begun and is not recorded in the database.
    pub fn is_open(&self, token: AttemptToken) -> bool {
        self.inner().open.contains_key(&token)
    }

    /// Whether what is neither open nor recorded never began. Not after the database has become
    /// another: what was recorded in the one before may not be in this one.
    pub fn may_deny(&self) -> bool {
        let inner = self.inner();
        !inner.changed && inner.opened.database.is_some()
    }

    /// The database has become another one, or an older one, and what is due before a moment is
    /// held: kept for those who come after. The next file is of the database as it is now; what
    /// never began in it, nobody may say of the one before.
    pub fn hold(&self, before: Moment, database: DatabaseId, reached: i64) {
        let mut inner = self.inner();
        inner.changed = true;
        inner.held_before = Some(before);
        inner.opened.database = Some(database);
        inner.reached = reached;
        let before_us = before.as_micros();
        // Should there be no next file, this one says it at least.
        let _ = inner.append(&Record::Held { before_us });
        inner.next_segment();
    }

    /// Nothing is held any more.
    pub fn release(&self) {
        let mut inner = self.inner();
        if inner.held_before.take().is_some() {
            let _ = inner.append(&Record::Released);
        }
    }

    /// Notes how far the database's log has come, if anything was noted since.
    pub fn reached(&self, bytes: i64) {
        let mut inner = self.inner();
        if bytes > inner.reached {
            inner.reached = bytes;
            if !inner.said && inner.append(&Record::Reached { bytes }).is_ok() {
                inner.said = true;
            }
        }
    }

    /// What came to be due before this is held.
    pub fn held_before(&self) -> Option<Moment> {
        self.inner().held_before
    }

    /// Which database it is of.
    pub fn database(&self) -> Option<DatabaseId> {
        self.inner().opened.database
    }

    /// Whether what is written down is all there is. If not, everything is tried to make it so.
    pub fn mend(&self) -> bool {
        let mut inner = self.inner();
        if matches!(inner.state, State::Broken { .. }) {
            inner.next_segment();
        }
        matches!(inner.state, State::Writing(_))
    }

    /// Brings answers that the database could not take onto the disk: they may have to wait for
    /// longer than the machine lives. Blocks for as long as the disk takes; appends do not wait.
    pub fn sync(&self) -> io::Result<()> {
        let file = {
            let mut inner = self.inner();
            let waiting = inner.open.values().any(|open| open.answered.is_some());
            let State::Writing(segment) = &mut inner.state else {
                return Ok(());
            };
            if !(waiting && segment.unsynced) {
                return Ok(());
            }
            segment.unsynced = false;
            segment.file.try_clone()?
        };
        file.sync_data()
    }

    /// A past file tells nothing any more that the database does not know.
    pub fn done_with(&self, file: &mut PastFile) {
        if let Err(error) = file.settle() {
            tracing::warn!(%error, "a journal could not be marked as settled; it is read again at the next start");
        }
        self.inner().dir.done_with(file);
    }

    /// Notes that everything it tells stands in the database: nothing to do at the next start.
    pub fn close(&self) {
        let mut inner = self.inner();
        if inner.open.is_empty() {
            let _ = inner.append(&Record::Settled);
        }
    }

    /// Reads the answers of all files, its own too, and hands them on file by file.
    pub fn history(&self) -> Result<Vec<PathBuf>, JournalError> {
        self.inner().dir.history()
    }
}

/// The answers that a file of a journal tells.
pub fn answers_in(path: &std::path::Path) -> io::Result<Vec<Answered>> {
    let bytes = dir::read(&File::open(path)?)?;
    let contents = bytes.as_deref().and_then(record::decode);
    let past = contents.and_then(Past::of);
    Ok(past.map_or_else(Vec::new, |past| past.answers().cloned().collect()))
}

impl Segment {
    fn new(file: File, path: PathBuf, head: usize) -> Self {
        let written = u64::try_from(head).unwrap_or(u64::MAX);
        Self {
            file,
            path,
            written,
            until: written.saturating_add(SEGMENT_BYTES),
            unsynced: true,
        }
    }
}

impl Inner {
    fn append(&mut self, record: &Record) -> Result<(), Unwritable> {
        let State::Writing(segment) = &mut self.state else {
            return self.mark();
        };
        self.line.clear();
        encode(record, &mut self.line);
        let written = if segment.written > SEGMENT_MAX {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            segment.file.write_all(&self.line)
        };
        if let Err(error) = written {
            return self.break_off(&error);
        }
        segment.unsynced = true;
        self.said = false;
        segment.written += u64::try_from(self.line.len()).unwrap_or(u64::MAX);
        if segment.written > segment.until {
            self.next_segment();
        }
        Ok(())
    }

    /// What began since the last line is not in the file: it must not say that nothing did.
    fn break_off(&mut self, error: &io::Error) -> Result<(), Unwritable> {
        let State::Writing(segment) = &self.state else {
            return self.mark();
        };
        let path = segment.path.clone();
        let marked = segment.file.write_all_at(BROKEN, 0).is_ok();
        tracing::error!(
            %error,
            path = %path.display(),
            "the journal cannot be written: until it can, what is being sent when this process \
             dies is in doubt"
        );
        self.state = State::Broken { path, marked };
        self.mark()
    }

    /// Makes sure that the file does not say more than it knows.
    fn mark(&mut self) -> Result<(), Unwritable> {
        if let State::Broken { path, marked } = &mut self.state
            && !*marked
        {
            match fs::remove_file(&*path) {
                Ok(()) => *marked = true,
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => *marked = true,
                Err(error) => {
                    tracing::error!(
                        %error,
                        path = %path.display(),
                        "the journal can be neither written nor removed: nothing is sent"
                    );
                    return Err(Unwritable);
                }
            }
        }
        Ok(())
    }

    /// Goes on in the next file, if there can be one; else where it was.
    fn next_segment(&mut self) {
        let mut opened = self.opened.clone();
        opened.segment = opened.segment.saturating_add(1);
        let path = self.dir.path_of(opened.instance, opened.segment);
        let head = head(&opened, self.held_before, self.reached, &self.open);
        match self.dir.create(&path, &head, false) {
            Ok(file) => {
                let next = State::Writing(Segment::new(file, path.clone(), head.len()));
                match std::mem::replace(&mut self.state, next) {
                    State::Writing(mut before) => {
                        self.line.clear();
                        encode(&Record::Continued, &mut self.line);
                        // It is not the latest any more, said or not.
                        let _ = before.file.write_all(&self.line);
                    }
                    State::Broken { .. } => tracing::info!("the journal can be written again"),
                }
                self.opened = opened;
                if let Err(error) = self.dir.prune(&path) {
                    tracing::warn!(%error, "old journals could not be removed");
                }
            }
            Err(error) => {
                if let State::Writing(segment) = &mut self.state {
                    segment.until = segment.written.saturating_add(SEGMENT_BYTES);
                    tracing::warn!(%error, "no next file for the journal; the one there is goes on");
                }
            }
        }
    }
}

/// The beginning of a file: whose it is, and all that is open.
fn head(
    opened: &Opened,
    held: Option<Moment>,
    reached: i64,
    open: &HashMap<AttemptToken, Open>,
) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    encode(&Record::Opened(opened.clone()), &mut bytes);
    encode(&Record::Reached { bytes: reached }, &mut bytes);
    if let Some(before) = held {
        let before_us = before.as_micros();
        encode(&Record::Held { before_us }, &mut bytes);
    }
    for open in open.values() {
        encode(&Record::Began(open.begun), &mut bytes);
        if let Some(answer) = &open.answered {
            encode(&Record::Answered(answer.clone()), &mut bytes);
        }
    }
    encode(&Record::Ready, &mut bytes);
    bytes
}
