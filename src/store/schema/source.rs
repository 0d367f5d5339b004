//! A table of the app's with names of its own, each row of which is followed by a message: a `[[source]]` of the
//! settings file, which `punctual.follow` (`triggers/source_setup.sql`) gets as JSON.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// The most characters of a name: Postgres keeps 63 bytes of the names that are made from it.
const NAME_MAX: usize = 30;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceTable {
    /// What people and the database call it.
    pub name: String,
    /// The preset that it is of; `None`: the settings have it.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(super) preset: Option<String>,
    /// The schema of the table; `None`: that of the app's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// Its rows are jobs, which `triggers/job_runs.sql` knows: only of a preset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    jobs: bool,
    /// The source whose records are in this table too: these are no messages of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unless_record_of: Option<String>,
    /// Another table, which has the numbers of users; `None`: its column has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_from: Option<NumberFrom>,
    /// Its columns.
    pub columns: SourceColumns,
    /// The words of its column for the status.
    pub words: SourceWords,
    /// Other tables, with a row for each of its rows, to which outcomes are written too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    record: Vec<SourceRecord>,
}

/// The table with the numbers of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberFrom {
    /// Its schema; `None`: that of the app's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    table: String,
    /// The column with the user.
    key: String,
    /// The column with the number.
    column: String,
}

/// The names of its columns: those that are read, and those that outcomes are written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceColumns {
    key: String,
    time: String,
    body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    send_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_attempts: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivered_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<String>,
}

/// Another table, with a row for each row of the source: that says whose it is, or is named by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceRecord {
    /// Its schema; `None`: that of the app's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    table: String,
    key: String,
    /// The column of the source with its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    named_by: Option<String>,
    /// Where it has the key of the row of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<Names>,
    /// Where it has the key of an earlier record of the row of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names_record: Option<Names>,
    /// Only these of its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only: Option<Only>,
    /// The names of its columns that are written.
    columns: RecordColumns,
    /// The words of its column for the status. Those of `pending` are overwritten.
    words: SourceWords,
}

/// A field in a column of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    column: String,
    field: String,
}

/// The value of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Only {
    column: String,
    value: String,
}

/// The names of the columns of a record that outcomes are written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordColumns {
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivered_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<String>,
}

/// The words of its column for the status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceWords {
    /// Of rows that are to be sent. The first is written when a message is set back to `pending`.
    pending: Vec<String>,
    /// By which a sender of the app's takes a row.
    #[serde(default)]
    claimed: Vec<String>,
    /// Others over which an outcome is written: a trigger of the table may have written them in place of an outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<String>,
    sent: String,
    /// If it is not given: that for `sent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivered: Option<String>,
    failed: String,
    cancelled: String,
    /// No sender of the app's may take a row with it. If it is not given: that for `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unconfirmed: Option<String>,
}

impl SourceTable {
    /// With the words that were not given. The error says what is wrong.
    pub fn complete(mut self) -> Result<Self, String> {
        self.words.complete()?;
        for (nth, record) in self.record.iter_mut().enumerate() {
            record.words.complete()?;
            if record.names.is_none() && record.named_by.is_none() && record.names_record.is_none()
            {
                return Err(
                    "a record needs names, named_by or names_record, by which it is found"
                        .to_owned(),
                );
            }
            if nth == 0 && record.names_record.is_some() {
                return Err("names_record needs another record before this one".to_owned());
            }
        }
        let is_inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let is_name = self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self.name.len() <= NAME_MAX
            && self.name.bytes().all(is_inside);
        if !is_name {
            return Err("name must be up to 30 of a-z, 0-9 and _, a letter first".to_owned());
        }
        if self.jobs && self.preset.is_none() {
            return Err("jobs are those of preset buildos: leave it out".to_owned());
        }
        if self.columns.number.is_some() == self.number_from.is_some() {
            return Err("it needs either columns.number or number_from".to_owned());
        }
        if self.number_from.is_some() && self.columns.user.is_none() {
            return Err("number_from needs columns.user, whose number it is".to_owned());
        }
        Ok(self)
    }

    /// How many records it has.
    pub(super) fn records(&self) -> usize {
        self.record.len()
    }

    /// Names that are used twice: each table and each name is for one source.
    pub(crate) fn twice(all: &[Self]) -> Option<&str> {
        let mut seen = HashSet::new();
        let twice = all.iter().find(|one| !seen.insert(one.name.as_str()));
        twice.map(|one| one.name.as_str())
    }
}

impl SourceWords {
    /// Adds those that were not given.
    fn complete(&mut self) -> Result<(), String> {
        self.delivered.get_or_insert_with(|| self.sent.clone());
        self.unconfirmed.get_or_insert_with(|| self.failed.clone());
        if self.pending.is_empty() {
            return Err("words.pending must have a word".to_owned());
        }
        Ok(())
    }
}
