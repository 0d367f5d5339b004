//! What the provider's list proves about messages in quarantine after a restore, and what follows.
//!
//! The rows are as they were when the backup was made; what their users changed since, and what was sent since,
//! is lost. So a row was sent if the list shows exactly one message like it that belongs to no attempt and to
//! no other row, or as many as there are rows that are alike. A row was not sent only if the list shows no
//! unmatched message to its number at all, because it may have had another text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::matching::{ABSENT_AFTER, cannot_be_excluded, could_be, from_when};
use super::report::{ProviderMessage, TextKey};
use crate::message::{Address, LaneKey, MessageId, Moment, ProviderSid};

/// Rows of one number that are matched. Where there are more, a person has to decide.
pub const EACH_MAX: usize = 100;

/// Cleared by one reconciliation: cleared rows are read one by one. The next one clears the rest.
pub const CLEARED_MAX: usize = 5_000;

/// A row that was written, or put back, this long after the quarantine began was not sent before
/// it, by any clock. One written sooner is compared like all others.
pub const WRITTEN_AFTER: Duration = Duration::from_secs(60);

/// A row in quarantine.
///
/// `Debug` shows neither number nor text.
#[derive(Clone, PartialEq, Eq)]
pub struct QuarantinedRow {
    /// The message.
    pub id: MessageId,
    /// The recipient, as the row has it, without surrounding white space.
    pub to: String,
    /// The sender, where the row names one.
    pub from: Option<String>,
    /// Its text; `None`: it is rendered from a template.
    pub text: Option<TextKey>,
    /// The earliest time at which it can have been sent.
    pub since: Moment,
    /// When it was written, or put back by its user.
    pub touched: Option<Moment>,
    /// Counts its user's edits.
    pub version: i64,
    /// Its lane, without a host.
    pub lane: LaneKey,
}

impl fmt::Debug for QuarantinedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuarantinedRow")
            .field("id", &self.id)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// What is known about one number.
#[derive(Debug, Default)]
pub struct Listing<'a> {
    /// The messages that the provider's list shows.
    pub shown: &'a [ProviderMessage],
    /// Whether these are all messages.
    pub whole: bool,
    /// Which of them belong to attempts or other rows.
    pub known: BTreeSet<String>,
    /// Since when attempts with an uncertain outcome, or in progress, may have sent a text.
    pub rivals: BTreeMap<TextKey, Vec<Moment>>,
}

/// The result for a row in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was sent, and this proves it.
    Sent {
        /// The provider's id of it.
        sid: ProviderSid,
        /// When the provider created it, if known.
        at: Option<Moment>,
    },
    /// It was not sent, and may be.
    NotSent,
    /// It stays in quarantine.
    Stays(StayReason),
}

/// Why a row stays in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StayReason {
    /// It is not listed; but lists lag.
    Early,
    /// Several are listed that it could be, or one that could be another row's too.
    Shared,
    /// Something else is listed that belongs to no row, and may have been it.
    Unlike,
    /// The list was not read to its end, or the number has more rows than are matched.
    Partial,
    /// The provider gave no response.
    NoResponse,
    /// The provider has no look-up.
    Unasked,
    /// Another transaction has locked the row or has just changed it, or the app's triggers refuse
    /// any change.
    Locked,
    /// The outcome of one of its parts is still looked up.
    PartOpen,
}

impl StayReason {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Early => "not listed, which is no proof within the first 15 min",
            Self::Shared => "ambiguous match with the listed messages",
            Self::Unlike => "an unknown message is listed",
            Self::Partial => "too many are listed, or in quarantine, for one number",
            Self::NoResponse => "the provider did not respond",
            Self::Unasked => "the provider has no look-up",
            Self::Locked => "found, but not recorded yet",
            Self::PartOpen => "the outcome of one of its parts is still looked up",
        }
    }
}

/// The results for the rows of one number, in the order in which they were due, `age` after the
/// quarantine began.
pub fn fates(rows: &[QuarantinedRow], list: &Listing<'_>, age: Duration) -> Vec<Fate> {
    if !list.whole {
        return vec![Fate::Stays(StayReason::Partial); rows.len()];
    }
    let table = Table::of(rows, list);
    let sent: Vec<Option<&ProviderMessage>> = (0..rows.len()).map(|row| table.sent(row)).collect();
    let taken: BTreeSet<&str> = sent.iter().flatten().map(|s| s.sid.0.as_str()).collect();
    let fate = |row: usize| match sent[row] {
        Some(shown) => Fate::Sent {
            sid: shown.sid.clone(),
            at: shown.created,
        },
        None if !table.alike[row].is_empty() => Fate::Stays(StayReason::Shared),
        None => {
            let is_free = |i: &usize| !taken.contains(table.free[*i].sid.0.as_str());
            if table.near[row].iter().any(is_free) {
                Fate::Stays(StayReason::Unlike)
            } else if age < ABSENT_AFTER {
                Fate::Stays(StayReason::Early)
            } else {
                Fate::NotSent
            }
        }
    };
    (0..rows.len()).map(fate).collect()
}

/// The texts, by their keys, that a row and an unmatched message have in common: only rivals with
/// one of these matter.
pub fn shared_texts(rows: &[QuarantinedRow], shown: &[ProviderMessage]) -> BTreeSet<TextKey> {
    let listed: BTreeSet<TextKey> = shown.iter().map(|s| TextKey::of(&s.body)).collect();
    let texts = rows.iter().filter_map(|row| row.text);
    texts.filter(|text| listed.contains(text)).collect()
}

/// Which message could be which row's.
struct Table<'a> {
    rows: &'a [QuarantinedRow],
    /// What is listed and unmatched, oldest first.
    free: Vec<&'a ProviderMessage>,
    /// For each row: what could be it if the text were another, and what is alike.
    near: Vec<Vec<usize>>,
    alike: Vec<Vec<usize>>,
    rivals: &'a BTreeMap<TextKey, Vec<Moment>>,
}

impl<'a> Table<'a> {
    fn of(rows: &'a [QuarantinedRow], list: &'a Listing<'_>) -> Self {
        let is_free = |shown: &&ProviderMessage| !list.known.contains(&shown.sid.0);
        let mut free: Vec<&ProviderMessage> = list.shown.iter().filter(is_free).collect();
        free.sort_by(|a, b| (a.created, &a.sid.0).cmp(&(b.created, &b.sid.0)));
        let texts: Vec<TextKey> = free.iter().map(|shown| TextKey::of(&shown.body)).collect();
        let (mut near, mut alike) = (Vec::new(), Vec::new());
        for row in rows {
            let whose = (&*row.to, row.from.as_deref(), row.since);
            let (to, from, since) = whose;
            let possible = |i: &usize| cannot_be_excluded(free[*i], to, from, since);
            let possible: Vec<usize> = (0..free.len()).filter(possible).collect();
            let same =
                |i: &usize| row.text == Some(texts[*i]) && could_be(free[*i], to, from, since);
            alike.push(possible.iter().copied().filter(same).collect());
            near.push(possible);
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
    fn sent(&self, row: usize) -> Option<&'a ProviderMessage> {
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
        // As many as there are rows, and each could be any row's. But one of several may be the
        // retry of another that did not arrive.
        let even = twins.len() == alike.len() && twins.iter().all(|r| self.alike[*r] == *alike);
        let tried_again = alike.len() > 1 && alike.iter().any(|i| did_not_arrive(self.free[*i]));
        if !even || tried_again || alike.iter().any(|i| self.has_rival(row, self.free[*i])) {
            return None;
        }
        let place = twins.iter().position(|r| *r == row)?;
        alike.get(place).map(|i| self.free[*i])
    }

    fn has_rival(&self, row: usize, shown: &ProviderMessage) -> bool {
        let text = self.rows[row].text.as_ref();
        let rivals = text.and_then(|text| self.rivals.get(text));
        let is_of = |since: &Moment| shown.created.is_none_or(|at| at >= from_when(*since));
        rivals.is_some_and(|rivals| rivals.iter().any(is_of))
    }
}

fn did_not_arrive(shown: &ProviderMessage) -> bool {
    let status = shown.status.as_ref();
    status.is_some_and(|status| status.delivery.stage().is_failure())
}

/// Messages whose reason for staying is kept, for `punctual why`.
const REASONS_MAX: usize = 10_000;

/// One comparison of everything in quarantine with the provider's list, and its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// What was due before this is in quarantine.
    pub before: Moment,
    /// How long the quarantine had lasted when the comparison began.
    pub age: Duration,
    /// Recorded as sent.
    pub sent: usize,
    /// Certainly not sent: cleared.
    pub unsent: Vec<MessageId>,
    /// How many more were not sent; a later comparison clears them.
    pub unsent_more: usize,
    /// Stay in quarantine, by reason.
    pub remaining: BTreeMap<StayReason, usize>,
    /// The same by message, up to a bound.
    pub reasons: BTreeMap<MessageId, StayReason>,
    /// Cleared before, and not sent yet.
    pub cleared: BTreeSet<MessageId>,
}

impl Reconciliation {
    /// A comparison that begins at `now`.
    pub fn begin(before: Moment, now: Moment) -> Self {
        Self {
            before,
            age: now.since(before),
            ..Self::default()
        }
    }

    /// Whether it is known of every message whether it was sent.
    pub fn is_over(&self) -> bool {
        self.remaining.is_empty()
    }

    /// The rows of a number for which the list is needed. `cleared`: what was cleared before.
    pub fn sort_out(
        &mut self,
        rows: &[QuarantinedRow],
        cleared: &BTreeSet<MessageId>,
    ) -> Vec<QuarantinedRow> {
        let mut unsure = Vec::new();
        for row in rows {
            let is_newer = |at| at > self.before + WRITTEN_AFTER;
            if cleared.contains(&row.id) {
                self.cleared.insert(row.id);
            } else if row.touched.is_some_and(is_newer) {
                self.clears(row.id);
            } else if let Ok(to) = Address::parse(row.lane.channel(), &row.to) {
                unsure.push(QuarantinedRow {
                    to: to.as_str().to_owned(),
                    ..row.clone()
                });
            } else {
                // Nobody can have been sent it, and nobody will be.
                self.clears(row.id);
            }
        }
        unsure
    }

    /// A row may be sent.
    pub fn clears(&mut self, id: MessageId) {
        if self.unsent.len() + self.cleared.len() < CLEARED_MAX {
            self.unsent.push(id);
        } else {
            self.unsent_more += 1;
        }
    }

    /// A row stays in quarantine.
    pub fn stays(&mut self, id: MessageId, reason: StayReason) {
        *self.remaining.entry(reason).or_default() += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.insert(id, reason);
        }
    }

    /// For people.
    pub fn in_words(&self) -> String {
        let reasons: Vec<_> = self
            .remaining
            .iter()
            .map(|(reason, n)| format!("{n}: {}", reason.as_str()))
            .collect();
        reasons.join("; ")
    }
}

#[cfg(test)]
mod tests;
