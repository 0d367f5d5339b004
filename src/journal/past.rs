//! What the files of a dead instance prove about its claims. Pure.

use std::collections::HashMap;

use super::record::{Contents, JournalLine, Opened};
use crate::message::{AttemptToken, DatabaseId, Moment};
use crate::proof::recovery::{Answered, Begun, Known, LastSeen};

/// The latest file of one instance: the only one that contains every open request, because it begins
/// with those that were open in the file before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Its instance, boot and database.
    pub opened: Opened,
    began: HashMap<AttemptToken, Begun>,
    answered: HashMap<AttemptToken, Answered>,
    /// No line is missing or damaged.
    whole: bool,
    /// No other file of this instance follows it.
    latest: bool,
    /// All of it is recorded in the database.
    pub settled: bool,
    /// Messages due before this are in quarantine, in microseconds.
    pub quarantined_before_us: Option<i64>,
    /// The log position of the database, in bytes.
    pub reached: i64,
}

impl Past {
    /// Reads a file. `None`: its head is incomplete, so its writer began nothing by it.
    pub fn of(contents: Contents) -> Option<Self> {
        let mut records = contents.records.into_iter();
        let Some(JournalLine::Opened(opened)) = records.next() else {
            return None;
        };
        let mut past = Self {
            opened,
            began: HashMap::new(),
            answered: HashMap::new(),
            whole: contents.whole,
            latest: true,
            settled: false,
            quarantined_before_us: None,
            reached: i64::MIN,
        };
        let mut ready = false;
        for record in records {
            match record {
                JournalLine::Ready => ready = true,
                // A file has one head.
                JournalLine::Opened(_) => past.whole = false,
                JournalLine::Began(begun) => {
                    past.began.insert(begun.token, begun);
                }
                JournalLine::Answered(answer) => {
                    past.answered.insert(answer.to.token, answer);
                }
                JournalLine::Continued => past.latest = false,
                JournalLine::Settled => past.settled = true,
                JournalLine::Reached { bytes } => past.reached = past.reached.max(bytes),
                JournalLine::Held { before_us } => past.quarantined_before_us = Some(before_us),
                JournalLine::Released => past.quarantined_before_us = None,
            }
        }
        ready.then_some(past)
    }

    /// Whether it can prove that a request never began: it is complete and the latest, the machine
    /// was not restarted since (the last lines may then be missing), and the database is the same, on
    /// the same timeline (what was settled may be open again on another). The reader has made sure
    /// that its writer is dead.
    pub fn may_deny(&self, boot: Option<&str>, database: Option<DatabaseId>) -> bool {
        self.whole
            && self.latest
            && boot.is_some()
            && self.opened.boot.as_deref() == boot
            && database.is_some()
            && self.opened.database == database
    }

    /// What is known about an attempt of this instance. `may_deny`: see [`Self::may_deny`].
    pub fn of_attempt(&self, token: AttemptToken, may_deny: bool) -> Known {
        if let Some(answer) = self.answered.get(&token) {
            return Known::Answered(answer.clone());
        }
        match self.began.get(&token) {
            Some(begun) => Known::Began(*begun),
            None if may_deny => Known::NeverBegan,
            None => Known::Nothing,
        }
    }

    /// All responses in the file.
    pub fn answers(&self) -> impl Iterator<Item = &Answered> {
        self.answered.values()
    }

    /// The requests that began and have no response; `None`: the file may lack some of its instance.
    pub fn unanswered(&self) -> Option<Vec<AttemptToken>> {
        let is_open = |token: &&AttemptToken| !self.answered.contains_key(token);
        (self.whole && self.latest).then(|| self.began.keys().filter(is_open).copied().collect())
    }

    /// The attempts in the file.
    pub fn tokens(&self) -> impl Iterator<Item = AttemptToken> {
        self.began.keys().chain(self.answered.keys()).copied()
    }

    /// When the latest request in it began.
    fn latest_begun(&self) -> Option<Moment> {
        let begun = self.began.values().map(|begun| begun.at_us);
        let answered = self.answered.values().map(|answered| answered.to.at_us);
        begun.chain(answered).max().map(Moment::from_micros)
    }

    /// The database as this instance last saw it.
    pub fn last_seen(&self) -> LastSeen {
        LastSeen {
            database: self.opened.database,
            reached: self.reached,
            quarantined_before: self.quarantined_before_us.map(Moment::from_micros),
            latest: self.latest_begun(),
        }
    }
}
