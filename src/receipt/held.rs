//! What the provider's list tells of messages that are held after a restore, and what follows. Pure.
//!
//! The rows came back as they were when the backup was made; what their users changed since, and
//! what was sent since, is lost. So the proof that one was sent is its own: exactly one message
//! that is alike, that nobody else has, and that could be nobody else's; or as many as there are
//! rows that are all alike. And for the proof that one was not, more is asked than that nothing
//! like it is there: nothing at all may be there that was sent to this number and is nobody's, for
//! it may have had another text by then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::doubt::{ABSENT_AFTER, could_be, from_when};
use crate::message::{MessageId, Moment, ProviderSid};
use crate::provider::Shown;
use crate::store::enquiries::text_key;
use crate::store::held::HeldRow;

/// What is known about one number.
#[derive(Debug, Default)]
pub struct List<'a> {
    /// What the provider shows, and whether that is all.
    pub shown: &'a [Shown],
    /// See there.
    pub whole: bool,
    /// Which of it is somebody's.
    pub known: BTreeSet<String>,
    /// Since when attempts that are in doubt, or on their way, may have been at a text.
    pub rivals: BTreeMap<Vec<u8>, Vec<Moment>>,
}

/// What is to become of a held row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was sent, and this proves it.
    Sent {
        /// The provider's name for it.
        sid: ProviderSid,
        /// When the provider made it, if it says so.
        at: Option<Moment>,
    },
    /// It was not sent, and may be.
    Absent,
    /// It stays held.
    Held(Why),
}

/// Why a row stays held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is not listed; but lists lag.
    Early,
    /// Several are listed that it could be, or one that another could be as well.
    Shared,
    /// Something else is listed that is nobody's, and may have been it.
    Unlike,
    /// The list was not read to its end, or more rows are held for the number than are told apart.
    Partly,
    /// The provider gave no answer.
    NoAnswer,
    /// The provider cannot be asked.
    Unasked,
    /// Somebody holds the row, has just changed it, or its app lets nobody change it.
    Locked,
}

impl Why {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Early => "not listed, which proves nothing before 15 min of the hold are over",
            Self::Shared => "which of those listed it is cannot be told",
            Self::Unlike => "something else is listed that nobody knows of",
            Self::Partly => "too many are listed, or held, for one number",
            Self::NoAnswer => "the provider gave no answer",
            Self::Unasked => "the provider cannot be asked",
            Self::Locked => "found, and could not be recorded yet",
        }
    }
}

/// What becomes of the held rows of one number, in the order in which they were due, `age` after
/// the hold began.
pub fn fates(rows: &[HeldRow], list: &List<'_>, age: Duration) -> Vec<Fate> {
    if !list.whole {
        return vec![Fate::Held(Why::Partly); rows.len()];
    }
    let table = Table::of(rows, list);
    let sent: Vec<Option<&Shown>> = (0..rows.len()).map(|row| table.sent(row)).collect();
    let taken: BTreeSet<&str> = sent.iter().flatten().map(|s| s.sid.0.as_str()).collect();
    let fate = |row: usize| match sent[row] {
        Some(shown) => Fate::Sent {
            sid: shown.sid.clone(),
            at: shown.created,
        },
        None if !table.alike[row].is_empty() => Fate::Held(Why::Shared),
        None => {
            let is_free = |i: &usize| !taken.contains(table.free[*i].sid.0.as_str());
            if table.near[row].iter().any(is_free) {
                Fate::Held(Why::Unlike)
            } else if age < ABSENT_AFTER {
                Fate::Held(Why::Early)
            } else {
                Fate::Absent
            }
        }
    };
    (0..rows.len()).map(fate).collect()
}

/// The texts, by their keys, that a row and a free message have in common: only of these rivals
/// are of interest.
pub fn shared_texts(rows: &[HeldRow], shown: &[Shown]) -> BTreeSet<Vec<u8>> {
    let listed: BTreeSet<Vec<u8>> = shown.iter().map(|s| text_key(&s.body)).collect();
    let held = rows.iter().filter_map(|row| row.text.clone());
    held.filter(|text| listed.contains(text)).collect()
}

/// Which message could be which row's.
struct Table<'a> {
    rows: &'a [HeldRow],
    /// What is listed and nobody's, oldest first.
    free: Vec<&'a Shown>,
    /// For each row what could be it if the text were another, and what is alike.
    near: Vec<Vec<usize>>,
    alike: Vec<Vec<usize>>,
    rivals: &'a BTreeMap<Vec<u8>, Vec<Moment>>,
}

impl<'a> Table<'a> {
    fn of(rows: &'a [HeldRow], list: &'a List<'_>) -> Self {
        let is_free = |shown: &&Shown| !list.known.contains(&shown.sid.0);
        let mut free: Vec<&Shown> = list.shown.iter().filter(is_free).collect();
        free.sort_by(|a, b| (a.created, &a.sid.0).cmp(&(b.created, &b.sid.0)));
        let texts: Vec<Vec<u8>> = free.iter().map(|shown| text_key(&shown.body)).collect();
        let (mut near, mut alike) = (Vec::new(), Vec::new());
        for row in rows {
            let fits = |i: &usize| could_be(free[*i], &row.to, row.from.as_deref(), row.since);
            let fitting: Vec<usize> = (0..free.len()).filter(fits).collect();
            let same = |i: &usize| row.text.as_ref() == Some(&texts[*i]);
            alike.push(fitting.iter().copied().filter(same).collect());
            near.push(fitting);
        }
        Self {
            rows,
            free,
            near,
            alike,
            rivals: &list.rivals,
        }
    }

    /// The message that is certainly this row's.
    fn sent(&self, row: usize) -> Option<&'a Shown> {
        let alike = &self.alike[row];
        let meets = |of: &[usize]| of.iter().any(|i| alike.contains(i));
        // A template may have been rendered to any text.
        let templates = (0..self.rows.len()).filter(|r| self.rows[*r].text.is_none());
        if alike.is_empty() || templates.into_iter().any(|r| meets(&self.near[r])) {
            return None;
        }
        let twins: Vec<usize> = (0..self.rows.len())
            .filter(|r| meets(&self.alike[*r]))
            .collect();
        // As many as there are rows, and each could be each one's. But of several one may be the
        // second try of another that did not arrive.
        let even = twins.len() == alike.len() && twins.iter().all(|r| self.alike[*r] == *alike);
        let tried_again = alike.len() > 1 && alike.iter().any(|i| did_not_arrive(self.free[*i]));
        if !even || tried_again || alike.iter().any(|i| self.has_rival(row, self.free[*i])) {
            return None;
        }
        let place = twins.iter().position(|r| *r == row)?;
        alike.get(place).map(|i| self.free[*i])
    }

    fn has_rival(&self, row: usize, shown: &Shown) -> bool {
        let text = self.rows[row].text.as_ref();
        let rivals = text.and_then(|text| self.rivals.get(text));
        let is_of = |since: &Moment| shown.created.is_none_or(|at| at >= from_when(*since));
        rivals.is_some_and(|rivals| rivals.iter().any(is_of))
    }
}

fn did_not_arrive(shown: &Shown) -> bool {
    ["failed", "undelivered", "canceled"].contains(&shown.status.as_str())
}

/// Messages of which it is remembered why they stay held, for people who ask.
const REASONS_MAX: usize = 10_000;

/// What one look at everything that is held came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// How long the hold had lasted when it began.
    pub age: Duration,
    /// Recorded as sent.
    pub sent: usize,
    /// May be sent.
    pub absent: Vec<MessageId>,
    /// So many more may be, and are told with a later look.
    pub more: usize,
    /// Stay held, and why.
    pub held: BTreeMap<Why, usize>,
    /// The same by message, of as many as are remembered.
    pub reasons: BTreeMap<MessageId, Why>,
    /// Let go already, and not sent yet.
    pub free: BTreeSet<MessageId>,
}

impl Looked {
    /// Whether it is known of everything whether it was sent.
    pub fn is_over(&self) -> bool {
        self.held.is_empty()
    }

    /// A row stays held.
    pub fn stays(&mut self, id: MessageId, why: Why) {
        *self.held.entry(why).or_default() += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.insert(id, why);
        }
    }

    /// For people.
    pub fn in_words(&self) -> String {
        let reasons: Vec<_> = self
            .held
            .iter()
            .map(|(why, n)| format!("{n}: {}", why.as_str()))
            .collect();
        reasons.join("; ")
    }
}

#[cfg(test)]
mod tests;
