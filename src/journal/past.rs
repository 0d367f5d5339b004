//! What a dead instance's files tell of its claims. Pure.

use std::collections::HashMap;

use super::record::{Contents, Opened, Record};
use crate::message::{AttemptToken, DatabaseId, Moment};
use crate::proof::recovery::{Answered, Begun, Known, LastSeen};

/// The latest file of one instance: the only one that knows all that had begun, for whatever
/// was open when it was opened was carried into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Whose it is.
    pub opened: Opened,
    began: HashMap<AttemptToken, Begun>,
    answered: HashMap<AttemptToken, Answered>,
    /// Every line is there.
    whole: bool,
    /// It is the latest.
    latest: bool,
    /// All of it stands in the database already.
    pub settled: bool,
    /// What is due before this is held, in microseconds.
    pub held_before_us: Option<i64>,
    /// How far the database's log had come, in bytes.
    pub reached: i64,
}

impl Past {
    /// Takes a file in. `None`: it never came to be one, and its writer began nothing by it.
    pub fn of(contents: Contents) -> Option<Self> {
        let mut records = contents.records.into_iter();
        let Some(Record::Opened(opened)) = records.next() else {
            return None;
        };
        let mut past = Self {
            opened,
            began: HashMap::new(),
            answered: HashMap::new(),
            whole: contents.whole,
            latest: true,
            settled: false,
            held_before_us: None,
            reached: i64::MIN,
        };
        let mut ready = false;
        for record in records {
            match record {
                Record::Ready => ready = true,
                // One file, one opening.
                Record::Opened(_) => past.whole = false,
                Record::Began(begun) => {
                    past.began.insert(begun.token, begun);
                }
                Record::Answered(answer) => {
                    past.answered.insert(answer.to.token, answer);
                }
                Record::Continued => past.latest = false,
                Record::Settled => past.settled = true,
                Record::Reached { bytes } => past.reached = past.reached.max(bytes),
                Record::Held { before_us } => past.held_before_us = Some(before_us),
                Record::Released => past.held_before_us = None,
            }
        }
        ready.then_some(past)
    }

    /// Whether it may say that a request never began: its own words are whole, none came after
    /// them, the machine has not been started anew since (what was written last may then be
    /// missing), and the database is on the same history (what was settled in it may be open
    /// again on another). That its writer is dead, whoever reads it has made sure of.
    pub fn may_deny(&self, boot: Option<&str>, database: Option<DatabaseId>) -> bool {
        self.whole
            && self.latest
            && boot.is_some()
            && self.opened.boot.as_deref() == boot
            && database.is_some()
            && self.opened.database == database
    }

    /// What is known of an attempt of this instance. `may_deny` as [`Self::may_deny`] has it.
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

    /// Every answer it has.
    pub fn answers(&self) -> impl Iterator<Item = &Answered> {
        self.answered.values()
    }

    /// When the latest request that it knows began.
    fn latest_begun(&self) -> Option<Moment> {
        let begun = self.began.values().map(|begun| begun.at_us);
        let answered = self.answered.values().map(|answered| answered.to.at_us);
        begun.chain(answered).max().map(Moment::from_micros)
    }

    /// What it says of the database it was written beside.
    pub fn last_seen(&self) -> LastSeen {
        LastSeen {
            database: self.opened.database,
            reached: self.reached,
            quarantined_before: self.held_before_us.map(Moment::from_micros),
            latest: self.latest_begun(),
        }
    }
}
