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
//! - `dir`: the directory and its lock. `writer`: the file that is being written.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::message::{AttemptToken, DatabaseId, InstanceId, Moment, Outcome};
use crate::proof::recovery::{Answered, Begun};

mod dir;
pub mod past;
pub mod record;
#[cfg(test)]
mod tests;
mod writer;

pub use dir::{JournalError, PastFile, StateDir, boot};
pub use past::Past;

use record::{Opened, Record};
use writer::{Inner, Open, Segment, State, head};

/// A request must not be made: it could not be written down, and neither could that.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be written, and cannot be marked as broken either")]
pub struct Unwritable;

/// The journal of this instance. Cheap to write: one `write` a line.
#[derive(Debug)]
pub struct Journal {
    inner: Mutex<Inner>,
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
    pub fn recover(&self) -> bool {
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
            tracing::warn!(%error, "a journal could not be marked as settled; the next start will read it again");
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
