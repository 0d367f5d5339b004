//! A file of the requests that this instance makes, which survives its process.
//!
//! A claim means that a message *may* be sent by this instance; only the instance knows whether the
//! request began, and if it dies that is lost. So one line is appended to a file before the first byte
//! of a request, and another soon after the response arrived. The next daemon distinguishes three kinds of
//! open claims by it: never begun (pending again at once), begun (unconfirmed), with a response
//! (recorded as that daemon would have recorded it).
//!
//! A proof that something did *not* happen needs more than a proof that it did: see
//! [`Past::may_deny`]. A line is written to the page cache, not to the disk: that survives the
//! process, and a restart of the machine is recognised by its boot id.
//!
//! - `record`: the format, pure. `past`: what a file proves, pure.
//! - `state_dir`: the directories of databases and their slots, one for each instance. `dir`: one slot.
//! - `writer`: the file being written.

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
mod state_dir;
#[cfg(test)]
mod tests;
mod writer;

pub use dir::{JournalError, PastFile, Slot, boot};
pub use past::Past;
pub use state_dir::{Candidate, StateDir};

use record::{JournalLine, Opened, encode};
use writer::{Inner, Open, Segment, State, head};

/// A request must not start: it could not be written, and it is recorded nowhere yet that the file is incomplete.
#[derive(Debug, thiserror::Error)]
#[error("the journal can be neither written nor marked as incomplete")]
pub struct Unwritable;

/// Whether the journal can prove what began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Yes.
    Complete,
    /// It cannot be written, and is marked as incomplete. Messages are sent as without a journal.
    Incomplete(String),
    /// It can neither be written nor marked as incomplete: nothing is sent until the database has noted that.
    Blocking(String),
}

/// The journal of this instance. Cheap to write: one `write` a request, and one for the responses that came together.
#[derive(Debug)]
pub struct Journal {
    inner: Mutex<Inner>,
}

impl Journal {
    /// Opens the file of an instance, before its first claim; it is on the disk when this returns.
    pub fn begin(
        dir: Slot,
        instance: InstanceId,
        at: Option<(DatabaseId, i64)>,
        quarantined_before: Option<Moment>,
    ) -> Result<Self, JournalError> {
        let opened = Opened {
            instance,
            segment: 0,
            boot: boot(),
            database: at.map(|(database, _)| database),
        };
        let reached = at.map_or(i64::MIN, |(_, reached)| reached);
        let path = dir.path_of(instance, 0);
        let head = head(&opened, quarantined_before, reached, &HashMap::new());
        let file = dir
            .create(&path, &head, true)
            .map_err(JournalError::io("write", &path))?;
        dir.prune(&path)?;
        Ok(Self {
            inner: Mutex::new(Inner {
                dir,
                opened,
                quarantined_before,
                reached,
                position_written: true,
                changed: false,
                open: HashMap::new(),
                state: State::Writing(Segment::new(file, path, head.len())),
                checked: 0,
                waiting: Vec::with_capacity(4096),
            }),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // It is consistent after every statement, so a panic elsewhere does no harm.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes that a request is about to start. If that fails, the file is marked as incomplete, and
    /// the request may start nevertheless.
    pub fn began(&self, begun: Begun) -> Result<(), Unwritable> {
        // Encoded before the lock is taken, because a herd's requests take it at the same time.
        let line = line_of(&JournalLine::Began(begun));
        let mut inner = self.inner();
        inner.open.insert(
            begun.token,
            Open {
                begun,
                answered: None,
            },
        );
        inner.waiting.extend_from_slice(&line);
        let written = inner.write_waiting();
        if written.is_err() {
            // It will not start.
            inner.open.remove(&begun.token);
        }
        written
    }

    /// Adds the outcome of a request. The next write has it, at the latest [`write_answers`](Self::write_answers): so
    /// the responses of a herd do not cost a write each. If the process dies before, the request counts as one without
    /// a response.
    pub fn answered(&self, begun: Begun, outcome: &Outcome, at: Moment) {
        let answer = Answered {
            to: begun,
            outcome: outcome.clone(),
            at_us: at.as_micros(),
        };
        let record = JournalLine::Answered(answer);
        let line = line_of(&record);
        let JournalLine::Answered(answer) = record else {
            return;
        };
        let mut inner = self.inner();
        let Some(open) = inner.open.get_mut(&begun.token) else {
            return;
        };
        // If it cannot be written, it is still known here and will be written to the next file.
        open.answered = Some(answer);
        inner.waiting.extend_from_slice(&line);
    }

    /// Writes the outcomes that no other write has taken along. To be called whenever some were added.
    pub fn write_answers(&self) {
        let _ = self.inner().write_waiting();
    }

    /// Marks these as recorded in the database: the next file does not repeat them.
    pub fn recorded(&self, tokens: impl IntoIterator<Item = AttemptToken>) {
        let mut inner = self.inner();
        for token in tokens {
            inner.open.remove(&token);
        }
    }

    /// Whether a request of this attempt began and is not recorded in the database.
    pub fn is_open(&self, token: AttemptToken) -> bool {
        self.inner().open.contains_key(&token)
    }

    /// Whether an attempt that is neither open nor recorded certainly never began. Not after the
    /// database was replaced: what was recorded in the previous one may be missing in this one.
    pub fn may_deny(&self) -> bool {
        let inner = self.inner();
        !inner.changed && inner.opened.database.is_some()
    }

    /// Writes that the database was replaced or restored, and that messages due before `before` are in
    /// quarantine, for later daemons. The next file belongs to the database as it is now.
    pub fn begin_quarantine(&self, before: Moment, at: Option<(DatabaseId, i64)>) {
        let mut inner = self.inner();
        inner.changed = true;
        inner.quarantined_before = Some(before);
        inner.opened.database = at.map(|(database, _)| database);
        inner.reached = at.map_or(i64::MIN, |(_, reached)| reached);
        let before_us = before.as_micros();
        // In case there is no next file.
        let _ = inner.append(&JournalLine::Held { before_us });
        inner.next_segment();
    }

    /// Writes that nothing is in quarantine any more.
    pub fn end_quarantine(&self) {
        let mut inner = self.inner();
        if inner.quarantined_before.take().is_some() {
            let _ = inner.append(&JournalLine::Released);
        }
    }

    /// Writes the log position of the database, if any other line was written since the last one.
    pub fn reached(&self, bytes: i64) {
        let mut inner = self.inner();
        if bytes > inner.reached {
            inner.reached = bytes;
            if !inner.position_written && inner.append(&JournalLine::Reached { bytes }).is_ok() {
                inner.position_written = true;
            }
        }
    }

    /// The database it belongs to.
    pub fn database(&self) -> Option<DatabaseId> {
        self.inner().opened.database
    }

    /// Makes sure that the file can be written and is where the next daemon looks; if not, tries another
    /// one. To be called every few seconds.
    pub fn check(&self) -> Condition {
        let mut inner = self.inner();
        inner.check();
        inner.condition()
    }

    /// The database has noted that the file is incomplete, though it cannot be marked: requests may start.
    pub fn noted_as_incomplete(&self) {
        if let State::Broken { marked, .. } = &mut self.inner().state {
            *marked = true;
        }
    }

    /// The directory of its files.
    pub fn path(&self) -> PathBuf {
        self.inner().dir.path().to_owned()
    }

    /// The last known condition, without a check.
    pub fn condition(&self) -> Condition {
        self.inner().condition()
    }

    /// Syncs responses that the database has not recorded yet: they may have to outlast the machine.
    /// Blocks for as long as the disk takes; appends do not wait for it.
    pub fn sync(&self) -> io::Result<()> {
        let file = {
            let mut inner = self.inner();
            let _ = inner.write_waiting();
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

    /// Marks a past file as settled: all that it proves is recorded in the database.
    pub fn done_with(&self, file: &mut PastFile) {
        if let Err(error) = file.settle() {
            tracing::warn!(%error, "a journal could not be marked as settled; the next start will read it again");
        }
        self.inner().dir.done_with(file);
    }

    /// Writes that all of it is recorded in the database: the next start has nothing to do.
    pub fn close(&self) {
        let mut inner = self.inner();
        let _ = inner.write_waiting();
        if inner.open.is_empty() {
            let _ = inner.append(&JournalLine::Settled);
        }
    }

    /// All files, this one's included, the oldest first.
    pub fn history(&self) -> Result<Vec<PathBuf>, JournalError> {
        self.inner().dir.history()
    }
}

fn line_of(record: &JournalLine) -> Vec<u8> {
    let mut line = Vec::with_capacity(512);
    encode(record, &mut line);
    line
}

/// The content of a file of a journal; `None`: it is not a journal, or nothing began by it.
pub fn past_in(path: &std::path::Path) -> io::Result<Option<Past>> {
    let bytes = dir::read(&File::open(path)?)?;
    let contents = bytes.as_deref().and_then(record::decode);
    Ok(contents.and_then(Past::of))
}
