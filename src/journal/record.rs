//! The format of a file: records to bytes and back. Pure.
//!
//! A magic line, then one record a line: a checksum, a space, JSON. A process may die in the
//! middle of a line, so the last one may be truncated; any other damage makes the file incomplete:
//! it cannot prove what did *not* happen.

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::message::{DatabaseId, InstanceId};
use crate::proof::recovery::{Answered, Begun};

/// The first line, with the number of the format.
pub(super) const MAGIC: &[u8] = b"punctual-journal 1\n";

/// Replaces the first line when a record could not be written: of the same length, in place, because
/// it must work on a full disk.
pub(super) const BROKEN: &[u8] = b"punctual-journal !\n";

/// A checksum in hexadecimal, and the space after it.
const SUM: usize = 9;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum JournalLine {
    /// The first record of every file.
    Opened(Opened),
    /// The head is complete: it contains what was open in the file before.
    Ready,
    /// A request is about to start.
    Began(Begun),
    /// Its response.
    Answered(Answered),
    /// Another file continues from here.
    Continued,
    /// All open attempts of this file are recorded in the database.
    Settled,
    /// The log position of the database.
    Reached {
        /// In bytes.
        bytes: i64,
    },
    /// The database was restored: messages due before this moment are in quarantine.
    Held {
        /// On the database's clock, in microseconds.
        before_us: i64,
    },
    /// The quarantine ended.
    Released,
}

/// Which daemon, machine and database a file belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The daemon that writes it.
    pub instance: InstanceId,
    /// The number of the file, from 0.
    pub segment: u32,
    /// The machine's boot id; `None`: unknown.
    pub boot: Option<String>,
    /// The database that has its claims; `None`: unknown.
    pub database: Option<DatabaseId>,
}

/// What a file contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// No line is damaged, except a truncated last one.
    pub whole: bool,
    /// The records that can be read.
    pub records: Vec<JournalLine>,
}

/// Appends a record to `line`.
///
/// # Panics
///
/// Never: every record can be written as JSON.
pub fn encode(record: &JournalLine, line: &mut Vec<u8>) {
    let start = line.len();
    line.extend_from_slice(b"00000000 ");
    serde_json::to_writer(&mut *line, record).expect("texts and numbers are JSON");
    let sum = crc32fast::hash(&line[start + SUM..]);
    // Into the eight bytes that are there, so it fits.
    let _ = write!(&mut line[start..start + SUM - 1], "{sum:08x}");
    line.push(b'\n');
}

/// Reads a file. `None`: it is not a journal.
pub fn decode(bytes: &[u8]) -> Option<Contents> {
    let mut whole = true;
    let rest = if let Some(rest) = bytes.strip_prefix(MAGIC) {
        rest
    } else if let Some(rest) = bytes.strip_prefix(BROKEN) {
        whole = false;
        rest
    } else if MAGIC.starts_with(bytes) {
        // Its writer died here, before its first claim.
        return Some(Contents {
            whole: false,
            records: Vec::new(),
        });
    } else {
        return None;
    };
    let mut records = Vec::new();
    for line in rest.split_inclusive(|b| *b == b'\n') {
        match (line.strip_suffix(b"\n"), record(line)) {
            (_, Some(record)) => records.push(record),
            // Truncated: the process died while it wrote this line.
            (None, None) => {}
            (Some(_), None) => whole = false,
        }
    }
    whole &= matches!(records.first(), Some(JournalLine::Opened(_)));
    Some(Contents { whole, records })
}

/// One line; `None`: it is damaged, or of a kind that this version does not know.
fn record(line: &[u8]) -> Option<JournalLine> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (sum, json) = line.split_at_checked(SUM)?;
    let (sum, b" ") = sum.split_at(SUM - 1) else {
        return None;
    };
    if format!("{:08x}", crc32fast::hash(json)).as_bytes() != sum {
        return None;
    }
    serde_json::from_slice(json).ok()
}
