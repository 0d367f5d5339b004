//! The file being written: appends, the change to the next file, and the mark that it is incomplete
//! when it cannot be written.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::dir::is_same_file;
use super::record::{BROKEN, JournalLine, MAGIC, Opened, encode};
use super::{Answered, Begun, Condition, Slot, Unwritable};
use crate::message::{AttemptToken, Moment};

/// A file is followed by the next one after this many bytes beyond its head. Old ones are removed a
/// file at a time.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// If the next file cannot be created, the current one continues up to this length.
pub(super) const SEGMENT_MAX: u64 = 16 * SEGMENT_BYTES;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: Slot,
    pub(super) opened: Opened,
    pub(super) quarantined_before: Option<Moment>,
    /// The log position of the database, and whether it is in the file.
    pub(super) reached: i64,
    pub(super) position_written: bool,
    /// The database was replaced since this began.
    pub(super) changed: bool,
    /// Requests that began and are not recorded in the database. Bounded by the reactor: in flight
    /// and unrecorded.
    pub(super) open: HashMap<AttemptToken, Open>,
    pub(super) state: State,
    /// The length of the file at the last check.
    pub(super) checked: u64,
    /// Lines that the next write takes along.
    pub(super) waiting: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) begun: Begun,
    pub(super) answered: Option<Answered>,
}

#[derive(Debug)]
pub(super) enum State {
    Writing(Segment),
    /// Nothing is written. `marked`: the file at `path` is marked as incomplete, or gone, or the database has noted
    /// that it is incomplete.
    Broken {
        path: PathBuf,
        marked: bool,
        /// What failed.
        reason: String,
    },
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) written: u64,
    /// The length at which the next file begins.
    pub(super) until: u64,
    /// Something was written since it was last synced.
    pub(super) unsynced: bool,
}

impl Segment {
    pub(super) fn new(file: File, path: PathBuf, head: usize) -> Self {
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

impl Segment {
    /// Whether the file is still the one at its path.
    fn is_in_place(&self) -> bool {
        is_same_file(&self.file, &self.path)
    }
}

impl Inner {
    pub(super) fn append(&mut self, record: &JournalLine) -> Result<(), Unwritable> {
        encode(record, &mut self.waiting);
        self.write_waiting()
    }

    /// Writes the lines that wait.
    pub(super) fn write_waiting(&mut self) -> Result<(), Unwritable> {
        let State::Writing(segment) = &mut self.state else {
            self.waiting.clear();
            return self.mark();
        };
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = if segment.written > SEGMENT_MAX {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            segment.file.write_all(&self.waiting)
        };
        let length = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        self.waiting.clear();
        if let Err(error) = written {
            return self.break_off(error.to_string());
        }
        segment.unsynced = true;
        self.position_written = false;
        segment.written += length;
        if segment.written > segment.until {
            self.next_segment();
        }
        Ok(())
    }

    /// A request that begins now is not in the file, so it must not prove that none did.
    fn break_off(&mut self, reason: String) -> Result<(), Unwritable> {
        let State::Writing(segment) = &self.state else {
            return self.mark();
        };
        let path = segment.path.clone();
        // In a file that was replaced this has no effect; the file that is there now is removed below.
        let marked = segment.file.write_all_at(BROKEN, 0).is_ok() && segment.is_in_place();
        tracing::error!(
            error = reason,
            path = %path.display(),
            "the journal cannot be written: until it can, messages being sent when this process \
             dies become unconfirmed"
        );
        self.state = State::Broken {
            path,
            marked,
            reason,
        };
        let marked = self.mark();
        if marked.is_err() {
            tracing::error!(
                "the journal can be neither written nor removed: sending is paused until the database \
                 has noted that, because the file would prove that requests never began"
            );
        }
        marked
    }

    /// Makes sure that the file is marked as incomplete, or removed.
    fn mark(&mut self) -> Result<(), Unwritable> {
        if let State::Broken { path, marked, .. } = &mut self.state
            && !*marked
        {
            match fs::remove_file(&*path) {
                Ok(()) => *marked = true,
                Err(gone) if is_gone(&gone) => *marked = true,
                Err(_) => return Err(Unwritable),
            }
        }
        Ok(())
    }

    /// Makes sure that the file is still there and can be written; else begins another one, in another
    /// slot if this one is gone.
    pub(super) fn check(&mut self) {
        if let State::Writing(segment) = &self.state {
            let is_idle = segment.written == self.checked;
            if !(segment.is_in_place() && self.dir.is_in_place()) {
                let _ = self.break_off("the file or its directory was removed or replaced".into());
            } else if is_idle {
                // Only a write shows whether it can be written.
                let bytes = self.reached;
                let _ = self.append(&JournalLine::Reached { bytes });
            }
        }
        if let State::Writing(segment) = &self.state {
            self.checked = segment.written;
        }
        if !matches!(self.state, State::Broken { .. }) {
            return;
        }
        if !self.dir.is_in_place()
            && let Err(error) = self.dir.retake()
        {
            tracing::warn!(%error, "a new journal cannot be started yet; retrying");
            return;
        }
        self.next_segment();
    }

    pub(super) fn condition(&self) -> Condition {
        match &self.state {
            State::Writing(_) => Condition::Complete,
            State::Broken {
                marked: true,
                reason,
                ..
            } => Condition::Incomplete(reason.clone()),
            State::Broken { reason, .. } => Condition::Blocking(reason.clone()),
        }
    }

    /// Begins the next file. If that fails, the current one continues. Nothing waits by now, or it is of open
    /// requests, which the head of the next file repeats.
    pub(super) fn next_segment(&mut self) {
        let mut opened = self.opened.clone();
        opened.segment = opened.segment.saturating_add(1);
        let path = self.dir.path_of(opened.instance, opened.segment);
        let head = head(&opened, self.quarantined_before, self.reached, &self.open);
        match self.dir.create(&path, &head, false) {
            Ok(file) => {
                let next = State::Writing(Segment::new(file, path.clone(), head.len()));
                match std::mem::replace(&mut self.state, next) {
                    State::Writing(mut before) => {
                        let mut line = Vec::new();
                        encode(&JournalLine::Continued, &mut line);
                        // Without this line it is recognised as older by its number.
                        let _ = before.file.write_all(&line);
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
                    tracing::warn!(%error, "cannot start the next file of the journal; the current one continues");
                }
            }
        }
    }
}

/// Whether there is no such file, or no such directory for it.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The head of a file: the instance, boot and database, and all open requests.
pub(super) fn head(
    opened: &Opened,
    quarantined_before: Option<Moment>,
    reached: i64,
    open: &HashMap<AttemptToken, Open>,
) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    encode(&JournalLine::Opened(opened.clone()), &mut bytes);
    encode(&JournalLine::Reached { bytes: reached }, &mut bytes);
    if let Some(before) = quarantined_before {
        let before_us = before.as_micros();
        encode(&JournalLine::Held { before_us }, &mut bytes);
    }
    for open in open.values() {
        encode(&JournalLine::Began(open.begun), &mut bytes);
        if let Some(answer) = &open.answered {
            encode(&JournalLine::Answered(answer.clone()), &mut bytes);
        }
    }
    encode(&JournalLine::Ready, &mut bytes);
    bytes
}
