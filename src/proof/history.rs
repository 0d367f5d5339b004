//! Recognises the history of the database, and remembers this instance's own requests.
//!
//! A restored database, or a standby that took over without the latest commits, has the same name and often the
//! same address as the one before. What it cannot have are this instance's commits since the backup. So each
//! claim and each heartbeat checks for the latest of these, the [`Witness`]; and [`Memory`] shows what the
//! database has lost.

use std::collections::{HashMap, VecDeque};

use crate::message::{AttemptToken, Moment, Outcome};
use crate::settle::Record;

use super::recovery::{Answered, Begun};

/// Writes without a later confirmation: the statements that run at once, and a burst of records.
const WRITES_MAX: usize = 64;

/// Requests that are remembered. A restore that lost more is compared with journals and the provider's list.
const REMEMBERED: usize = 20_000;

/// When a statement began, in the order of this instance's commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    history: u64,
    at: u64,
}

/// What a database of the same history has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// At least this many heartbeats of this instance; 0: there was none yet.
    pub beats: i64,
    /// Attempts that it has, with whatever outcome.
    pub claimed: Vec<AttemptToken>,
    /// Attempts that it has with an outcome.
    pub recorded: Vec<AttemptToken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Claim,
    Record,
}

/// The latest commits of this instance: those that the database has acknowledged and no later statement has
/// confirmed.
///
/// Claims run concurrently, and the response to one may be lost. So a commit counts only once it was
/// acknowledged, and is dropped only once a statement that checked for it succeeded: whatever a database has
/// lost, something that is checked for is missing.
#[derive(Debug, Default)]
pub struct Witness {
    /// Counts the histories: a response from one says nothing about the next.
    history: u64,
    clock: u64,
    beats: i64,
    drawn: i64,
    writes: VecDeque<(u64, AttemptToken, Write)>,
}

impl Witness {
    /// A statement that checks for [`Self::expected`] begins.
    pub const fn mark(&self) -> Mark {
        Mark {
            history: self.history,
            at: self.clock,
        }
    }

    /// Whether it began in this history.
    pub const fn is_of_this(&self, mark: Mark) -> bool {
        mark.history == self.history
    }

    /// What such a statement checks for.
    pub fn expected(&self) -> Expected {
        let of = |kind| {
            let writes = self.writes.iter().filter(move |(.., write)| *write == kind);
            writes.map(|(_, token, _)| *token).collect()
        };
        Expected {
            beats: self.beats,
            claimed: of(Write::Claim),
            recorded: of(Write::Record),
        }
    }

    /// Whether the next statement checks for this claim.
    pub fn checks_claim(&self, token: AttemptToken) -> bool {
        let is_it =
            |(_, own, write): &(u64, AttemptToken, Write)| (*own, *write) == (token, Write::Claim);
        self.writes.iter().any(is_it)
    }

    /// The number of the next heartbeat. Never the same twice, because the response to one may be
    /// lost.
    pub fn next_beat(&mut self) -> i64 {
        self.drawn += 1;
        self.drawn
    }

    /// A checking statement succeeded: what was known when it began is there. Returns whether it began in this
    /// history.
    pub fn confirmed(&mut self, mark: Mark) -> bool {
        if !self.is_of_this(mark) {
            return false;
        }
        self.writes.retain(|(at, ..)| *at > mark.at);
        true
    }

    /// A heartbeat succeeded.
    pub fn beat(&mut self, mark: Mark, number: i64) {
        if self.confirmed(mark) {
            self.beats = self.beats.max(number);
        }
    }

    /// A claim succeeded, and won this attempt if there is one. Returns whether it began in this
    /// history.
    pub fn claimed(&mut self, mark: Mark, token: Option<AttemptToken>) -> bool {
        let is_of_this = self.confirmed(mark);
        if let (true, Some(token)) = (is_of_this, token) {
            self.push(token, Write::Claim);
        }
        is_of_this
    }

    /// An outcome was recorded. That statement checks for nothing, so it confirms nothing.
    pub fn recorded(&mut self, mark: Mark, token: AttemptToken) {
        if self.is_of_this(mark) {
            self.push(token, Write::Record);
        }
    }

    fn push(&mut self, token: AttemptToken, write: Write) {
        self.clock += 1;
        if self.writes.len() == WRITES_MAX {
            self.writes.pop_front();
        }
        self.writes.push_back((self.clock, token, write));
    }

    /// From now on another history is this instance's: nothing of the one before is checked for.
    pub fn accept(&mut self) {
        self.history += 1;
        self.beats = 0;
        self.writes.clear();
    }
}

/// The outcomes of this instance's latest requests, independent of what the database has of them.
#[derive(Debug, Default)]
pub struct Memory {
    begun: HashMap<AttemptToken, Begun>,
    ended: VecDeque<Remembered>,
    forgot: bool,
}

#[derive(Clone, Debug)]
enum Remembered {
    Accepted(Answered),
    /// The provider may have it.
    Uncertain(Begun),
}

impl Remembered {
    fn token(&self) -> AttemptToken {
        match self {
            Self::Accepted(answer) => answer.to.token,
            Self::Uncertain(begun) => begun.token,
        }
    }

    const fn began_us(&self) -> i64 {
        match self {
            Self::Accepted(answer) => answer.to.at_us,
            Self::Uncertain(begun) => begun.at_us,
        }
    }
}

impl Memory {
    /// A request is about to be made.
    pub fn begin(&mut self, begun: Begun) {
        self.begun.insert(begun.token, begun);
    }

    /// The request ended.
    pub fn end(&mut self, token: AttemptToken, outcome: &Outcome, at_us: i64) {
        let Some(begun) = self.begun.remove(&token) else {
            return;
        };
        let ended = match outcome {
            Outcome::Accepted { .. } => Remembered::Accepted(Answered {
                to: begun,
                outcome: outcome.clone(),
                at_us,
            }),
            Outcome::Unknown { .. } => Remembered::Uncertain(begun),
            // The provider does not have it.
            Outcome::Throttled { .. } | Outcome::Refused { .. } | Outcome::Unsent { .. } => return,
        };
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
            self.forgot = true;
        }
        self.ended.push_back(ended);
    }

    /// The requests that have begun and not ended.
    pub fn sending(&self) -> Vec<AttemptToken> {
        self.begun.keys().copied().collect()
    }

    /// Whether one of these has begun and not ended.
    pub fn is_sending(&self, any_of: &[AttemptToken]) -> bool {
        any_of.iter().any(|token| self.begun.contains_key(token))
    }

    /// When the latest request began whose outcome is accepted, uncertain or not known yet.
    pub fn latest(&self) -> Option<Moment> {
        let begun = self.begun.values().map(|begun| begun.at_us);
        // They end in another order than they begin.
        let ended = self.ended.iter().map(Remembered::began_us);
        begun.chain(ended).max().map(Moment::from_micros)
    }

    /// Everything that the provider accepted, to be recorded. Recording it twice changes nothing.
    pub fn proofs<P>(&self) -> Vec<Record<P>> {
        let accepted = self.ended.iter().filter_map(|ended| match ended {
            Remembered::Accepted(answer) => answer.proof(),
            Remembered::Uncertain(_) => None,
        });
        accepted.collect()
    }

    /// Attempts that must have an outcome in the ledger; otherwise something is lost that this memory cannot
    /// restore: those with an uncertain outcome, and the oldest one, if older ones were forgotten.
    pub fn must_be_recorded(&self) -> Vec<AttemptToken> {
        let uncertain = self.ended.iter().filter_map(|ended| match ended {
            Remembered::Uncertain(begun) => Some(begun.token),
            Remembered::Accepted(_) => None,
        });
        let oldest = self.ended.front().filter(|_| self.forgot);
        uncertain.chain(oldest.map(Remembered::token)).collect()
    }
}

#[cfg(test)]
mod tests;
