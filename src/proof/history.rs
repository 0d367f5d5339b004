//! By what an instance recognises the history of its database, and what it remembers of its own requests.
//!
//! A restored database, or a standby that took over without the latest commits, has the name and often the
//! address of the one before. What it cannot have is what this instance committed since the backup. So each
//! claim and each heartbeat asks for the latest of that, the [`Witness`]; and what a database has lost is
//! found in [`Memory`].

use std::collections::{HashMap, VecDeque};

use crate::message::{AttemptToken, Moment, Outcome};
use crate::reactor::Record;

use super::recovery::{Answered, Begun};

/// Writes without a later confirmation: the statements that run at once, and a burst of records.
const WRITES_MAX: usize = 64;

/// Requests that are remembered. A restore that lost more is compared with journals and the provider's list.
const REMEMBERED: usize = 20_000;

/// When a statement began, in the order of what is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    history: u64,
    at: u64,
}

/// What a database of the same history has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// At least so many heartbeats of this instance; 0: there was none yet.
    pub beats: i64,
    /// These attempts.
    pub claimed: Vec<AttemptToken>,
    /// These, with their outcomes.
    pub recorded: Vec<AttemptToken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Claim,
    Record,
}

/// The latest commits of this instance: those that the database has answered, and that no later statement
/// has confirmed.
///
/// Claims run at once, and the answer of one may be lost. So a commit counts only once it was answered, and
/// is left out only once a statement that asked for it was answered: whatever a database has lost, something
/// that is asked for is missing.
#[derive(Debug, Default)]
pub struct Witness {
    /// Counts the histories: what was asked in one says nothing about the next.
    history: u64,
    clock: u64,
    beats: i64,
    drawn: i64,
    writes: VecDeque<(u64, AttemptToken, Write)>,
}

impl Witness {
    /// A statement that asks for [`Self::expected`] begins.
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

    /// What such a statement asks for.
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

    /// The number of the next heartbeat. Never the same twice, as the answer of one may be lost.
    pub fn next_beat(&mut self) -> i64 {
        self.drawn += 1;
        self.drawn
    }

    /// A statement that asked was answered: what was known when it began is there. Whether it was of this
    /// history.
    pub fn confirmed(&mut self, mark: Mark) -> bool {
        if !self.is_of_this(mark) {
            return false;
        }
        self.writes.retain(|(at, ..)| *at > mark.at);
        true
    }

    /// A heartbeat was answered.
    pub fn beat(&mut self, mark: Mark, number: i64) {
        if self.confirmed(mark) {
            self.beats = self.beats.max(number);
        }
    }

    /// A claim was answered, and won this attempt. Whether it was of this history.
    pub fn claimed(&mut self, mark: Mark, token: Option<AttemptToken>) -> bool {
        let is_of_this = self.confirmed(mark);
        if let (true, Some(token)) = (is_of_this, token) {
            self.push(token, Write::Claim);
        }
        is_of_this
    }

    /// An outcome was recorded. That statement asked for nothing, so it confirms nothing.
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

    /// From now on another history is ours: nothing of the one before is asked for.
    pub fn accept(&mut self) {
        self.history += 1;
        self.beats = 0;
        self.writes.clear();
    }
}

/// What became of this instance's latest requests, whatever the database has of them.
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

    /// It ended.
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

    /// Whether one of these has not ended.
    pub fn is_sending(&self, any_of: &[AttemptToken]) -> bool {
        any_of.iter().any(|token| self.begun.contains_key(token))
    }

    /// When the latest request began that has an accepted or uncertain outcome, or none yet.
    pub fn latest(&self) -> Option<Moment> {
        let begun = self.begun.values().map(|begun| begun.at_us);
        let ended = self.ended.back().map(Remembered::began_us);
        begun.chain(ended).max().map(Moment::from_micros)
    }

    /// Everything that the provider accepted, to be recorded: what is recorded already is not changed by it.
    pub fn proofs<P>(&self) -> Vec<Record<P>> {
        let accepted = self.ended.iter().filter_map(|ended| match ended {
            Remembered::Accepted(answer) => answer.proof(),
            Remembered::Uncertain(_) => None,
        });
        accepted.collect()
    }

    /// Attempts that must have an outcome in the ledger, or something is lost that this memory cannot tell:
    /// those with an uncertain outcome, and the oldest, if there were older ones.
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
mod tests {
    use super::*;
    use crate::message::MessageId;

    fn token(n: u128) -> AttemptToken {
        AttemptToken(uuid::Uuid::from_u128(n))
    }

    fn claimed(witness: &Witness) -> Vec<AttemptToken> {
        witness.expected().claimed
    }

    #[test]
    fn a_commit_is_asked_for_until_a_statement_that_asked_was_answered() {
        let mut witness = Witness::default();
        // Two claims at once: the first answer must not hide that the other's commit may be lost.
        let (first, second) = (witness.mark(), witness.mark());
        assert!(witness.claimed(first, Some(token(1))));
        assert!(witness.claimed(second, Some(token(2))));
        assert_eq!(claimed(&witness), [token(1), token(2)]);
        // One that asked for the first only.
        let mut witness = Witness::default();
        let (first, second) = (witness.mark(), witness.mark());
        witness.claimed(first, Some(token(1)));
        let third = witness.mark();
        witness.claimed(second, Some(token(2)));
        witness.claimed(third, Some(token(3)));
        assert_eq!(claimed(&witness), [token(2), token(3)]);
        // A claim that won nothing confirms all the same; one whose answer is lost says nothing.
        let fourth = witness.mark();
        witness.claimed(fourth, None);
        assert_eq!(claimed(&witness), []);
    }

    #[test]
    fn a_record_is_asked_for_and_confirms_nothing() {
        let mut witness = Witness::default();
        let claim = witness.mark();
        witness.claimed(claim, Some(token(1)));
        let record = witness.mark();
        witness.recorded(record, token(1));
        let expected = witness.expected();
        assert_eq!(
            (expected.claimed, expected.recorded),
            (vec![token(1)], vec![token(1)])
        );
    }

    #[test]
    fn a_heartbeat_confirms_what_was_known_when_it_began() {
        let mut witness = Witness::default();
        let claim = witness.mark();
        witness.claimed(claim, Some(token(1)));
        let (lost, mark) = (witness.next_beat(), witness.mark());
        let number = witness.next_beat();
        assert_ne!(lost, number);
        witness.beat(mark, number);
        let expected = Expected {
            beats: number,
            ..Expected::default()
        };
        assert_eq!(witness.expected(), expected);
        // An answer that comes late takes nothing back.
        witness.beat(mark, lost);
        assert_eq!(witness.expected().beats, number);
    }

    #[test]
    fn an_answer_of_another_history_says_nothing() {
        let mut witness = Witness::default();
        let mark = witness.mark();
        let number = witness.next_beat();
        witness.beat(mark, number);
        let old = witness.mark();
        witness.accept();
        assert!(!witness.claimed(old, Some(token(1))));
        witness.recorded(old, token(2));
        witness.beat(old, 9);
        assert_eq!(witness.expected(), Expected::default());
        assert!(
            witness.next_beat() > number,
            "a number is never drawn twice"
        );
    }

    fn begun(n: u128) -> Begun {
        Begun {
            token: token(n),
            message: MessageId(uuid::Uuid::from_u128(n)),
            expires_us: 0,
            at_us: 0,
        }
    }

    #[test]
    fn what_was_accepted_is_proven_and_what_is_uncertain_must_be_recorded() {
        let mut memory = Memory::default();
        let sid = || Outcome::Accepted {
            sid: crate::message::ProviderSid("SM1".into()),
        };
        let unsent = Outcome::Unsent { reason: "x".into() };
        let unknown = Outcome::Unknown { reason: "x".into() };
        for (n, outcome) in [(1, sid()), (2, unsent), (3, unknown)] {
            memory.begin(begun(n));
            assert!(memory.is_sending(&[token(n)]));
            memory.end(token(n), &outcome, 0);
        }
        assert!(memory.sending().is_empty());
        let proofs: Vec<AttemptToken> = memory.proofs::<()>().iter().map(|r| r.token).collect();
        assert_eq!(proofs, [token(1)]);
        assert_eq!(memory.must_be_recorded(), [token(3)]);
        for n in 10..10 + REMEMBERED as u128 {
            memory.begin(begun(n));
            memory.end(token(n), &sid(), 0);
        }
        assert_eq!(
            memory.must_be_recorded(),
            [token(10)],
            "the oldest, as there were older ones"
        );
    }
}
