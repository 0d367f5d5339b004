//! The format: what stands in a file, as bytes and back. Pure.
//!
//! A magic line, then one record a line: a checksum, a space, JSON. A process may die in the
//! middle of a line, so the last one may be torn; whatever else is not as it was written makes
//! the file one that may not say what did *not* happen.

use serde::{Deserialize, Serialize};

use crate::message::{DatabaseId, InstanceId};
use crate::proof::recovery::{Answered, Begun};

/// The first line. A number, so that another format is told from this one.
pub(super) const MAGIC: &[u8] = b"punctual-journal 1\n";

/// Written over the first line by whoever could not write a record any more: of the same
/// length, in place, for it must work on a full disk.
pub(super) const BROKEN: &[u8] = b"punctual-journal !\n";

/// A checksum in hexadecimal, and the space after it.
const SUM: usize = 9;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Record {
    /// The first record of every file.
    Opened(Opened),
    /// What was open in the file before stands above: from here on this file knows all.
    Ready,
    /// A request is about to be made.
    Began(Begun),
    /// What came of it.
    Answered(Answered),
    /// Another file goes on from here: this one does not know what began since.
    Continued,
    /// All that this file tells of open attempts stands in the database.
    Settled,
    /// How far the database's log had come.
    Reached {
        /// In bytes.
        bytes: i64,
    },
    /// What is due before this moment is held, in microseconds: the database is an older one.
    Held {
        /// On the database's clock.
        before_us: i64,
    },
    /// And no longer is.
    Released,
}

/// Whose file it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The daemon that writes it.
    pub instance: InstanceId,
    /// Files of one instance, from 0.
    pub segment: u32,
    /// Which run of the machine; `None` where it does not tell.
    pub boot: Option<String>,
    /// Which database its claims are in; `None` where that does not tell.
    pub database: Option<DatabaseId>,
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Every line is as it was written, but for a torn last one.
    pub whole: bool,
    /// The records that can be read.
    pub records: Vec<Record>,
}

/// Appends a record to `line`.
///
/// # Panics
///
/// Never: there is nothing in a record that JSON does not have.
pub fn encode(record: &Record, line: &mut Vec<u8>) {
    let start = line.len();
    line.extend_from_slice(b"00000000 ");
    serde_json::to_writer(&mut *line, record).expect("texts and numbers are JSON");
    let sum = crc32fast::hash(&line[start + SUM..]);
    line[start..start + SUM - 1].copy_from_slice(format!("{sum:08x}").as_bytes());
    line.push(b'\n');
}

/// Reads a file. `None`: it is none of ours.
pub fn decode(bytes: &[u8]) -> Option<Contents> {
    let mut whole = true;
    let rest = if let Some(rest) = bytes.strip_prefix(MAGIC) {
        rest
    } else if let Some(rest) = bytes.strip_prefix(BROKEN) {
        whole = false;
        rest
    } else if MAGIC.starts_with(bytes) {
        // Whoever began it did not get beyond that, and claimed nothing.
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
            // Torn: the process died in the middle of it.
            (None, None) => {}
            (Some(_), None) => whole = false,
        }
    }
    whole &= matches!(records.first(), Some(Record::Opened(_)));
    Some(Contents { whole, records })
}

/// One line; `None`: it is not as it was written, or of a kind that this version does not know.
fn record(line: &[u8]) -> Option<Record> {
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
