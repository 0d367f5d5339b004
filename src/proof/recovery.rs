//! What a journal proves about the attempts that a dead instance left open, and about messages that
//! a restored database has lost the proof of.
//!
//! A journal may say three things: that a request never began, how it ended, or that it began and
//! nothing more. The first two settle an attempt; the last leaves its outcome uncertain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::{AttemptToken, DatabaseId, MessageId, Moment, Outcome, ProviderSid};
use crate::reactor::{AttemptBudget, Record, SendResult, Settlement};

/// A request, as a journal has it before its first byte. Kept as JSON in the journal, so its
/// fields stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The attempt.
    pub token: AttemptToken,
    /// The message.
    pub message: MessageId,
    /// When the message expires, in microseconds.
    pub expires_us: i64,
    /// When, on the database's clock, in microseconds.
    pub at_us: i64,
}

/// An answer, as a journal has it. Kept as JSON in the journal, so its fields stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The request. A later file may hold the answer without the request.
    pub to: Begun,
    /// What came.
    pub outcome: Outcome,
    /// When, on the database's clock, in microseconds.
    pub at_us: i64,
}

impl Answered {
    /// The proof, if it is one.
    pub fn sid(&self) -> Option<&ProviderSid> {
        match &self.outcome {
            Outcome::Accepted { sid } => Some(sid),
            Outcome::Throttled { .. }
            | Outcome::Refused { .. }
            | Outcome::Unsent { .. }
            | Outcome::Unknown { .. } => None,
        }
    }

    /// The same as something to be recorded: whatever became of the row, and of the attempt in a
    /// database that was restored since, it stands afterwards that the provider took it.
    pub fn proof<P>(&self) -> Option<Record<P>> {
        let sid = self.sid()?;
        Some(Record {
            id: self.to.message,
            token: self.to.token,
            settlement: Settlement::Accepted { sid: sid.clone() },
            started: Some(Moment::from_micros(self.to.at_us)),
            finished: Some(Moment::from_micros(self.at_us)),
            payload: None,
            tries: 0,
        })
    }
}

/// What a journal knows of an attempt that the database has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its request never began. Certain.
    NeverBegan,
    /// Its request began, and its outcome is unknown.
    Began(Begun),
    /// It was answered.
    Answered(Answered),
    /// Nothing is known.
    Nothing,
}

/// An attempt of a dead instance of which nothing certain stands in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOpen {
    /// The attempt.
    pub token: AttemptToken,
    /// Its message.
    pub message: MessageId,
    /// Which attempt it is, from 1.
    pub number: i32,
    /// Nobody has said anything of it yet; else it was reaped.
    pub in_flight: bool,
    /// How many attempts have counted before it.
    pub attempts_before: i32,
    /// How many may count in all.
    pub max_attempts: i32,
}

/// An attempt that was certainly not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAccepted {
    /// The attempt.
    pub token: AttemptToken,
    /// Its message.
    pub message: MessageId,
    /// How that is known, for people.
    pub reason: String,
}

/// What a journal settles of an attempt.
#[derive(Clone, Debug)]
pub enum Recovery<P> {
    /// The row is pending again.
    GiveBack(NotAccepted),
    /// This is recorded.
    Record(Record<P>),
    /// Nothing: whoever has the right to call its instance dead will.
    Leave,
}

/// What follows from what is `known` of an attempt. `here`: its process was one of this run of this
/// machine, and so is known to be dead.
pub fn recover<P>(open: &LeftOpen, known: Known, here: bool, now: Moment) -> Recovery<P> {
    match known {
        Known::NeverBegan => give_back(open, "its request never began"),
        Known::Answered(answer) => answered(open, answer, now),
        Known::Began(begun) if here && open.in_flight => {
            uncertain(open, Some(Moment::from_micros(begun.at_us)), now)
        }
        Known::Nothing if here && open.in_flight => uncertain(open, None, now),
        Known::Began(_) | Known::Nothing => Recovery::Leave,
    }
}

/// Of what a living instance had open and was reaped (it was suspended or cut off for longer than its
/// leases), what never began: its own journal, which `knows` all that has, can say so.
pub fn reaped_unbegun(left: &[LeftOpen], knows: impl Fn(AttemptToken) -> bool) -> Vec<NotAccepted> {
    left.iter()
        .filter(|open| !open.in_flight && !knows(open.token))
        .map(|open| NotAccepted {
            token: open.token,
            message: open.message,
            reason: "its lease ran out before its request began".into(),
        })
        .collect()
}

fn give_back<P>(open: &LeftOpen, why: &str) -> Recovery<P> {
    Recovery::GiveBack(NotAccepted {
        token: open.token,
        message: open.message,
        reason: format!("the instance that claimed it died; {why}"),
    })
}

fn answered<P>(open: &LeftOpen, answer: Answered, now: Moment) -> Recovery<P> {
    let proof = answer.sid().is_some();
    match answer.outcome {
        // Reaped: no fenced record reaches it any more.
        Outcome::Unsent { .. } | Outcome::Throttled { .. } | Outcome::Refused { .. }
            if !open.in_flight =>
        {
            give_back(open, "the provider did not take it")
        }
        outcome if open.in_flight || proof => {
            let started = Some(Moment::from_micros(answer.to.at_us));
            let tries = AttemptBudget {
                number: open.number,
                before: open.attempts_before,
                max: open.max_attempts,
                expires: Moment::from_micros(answer.to.expires_us),
            };
            let heard = SendResult {
                outcome,
                started,
                finished: now,
            };
            let settlement = Settlement::of(heard, open.message, tries);
            record(open, settlement, started, Moment::from_micros(answer.at_us))
        }
        _ => Recovery::Leave,
    }
}

fn uncertain<P>(open: &LeftOpen, started: Option<Moment>, now: Moment) -> Recovery<P> {
    let reason = "the instance that was sending it died before the answer came";
    let settlement = Settlement::in_doubt(reason.into());
    record(open, settlement, started, now)
}

fn record<P>(
    open: &LeftOpen,
    settlement: Settlement,
    started: Option<Moment>,
    finished: Moment,
) -> Recovery<P> {
    Recovery::Record(Record {
        id: open.message,
        token: open.token,
        settlement,
        started,
        finished: Some(finished),
        payload: None,
        tries: 0,
    })
}

/// A database, and how far its write-ahead log is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// Which database, on which timeline.
    pub database: DatabaseId,
    /// Bytes of log. It never goes back, not in a crash either.
    pub reached: i64,
}

impl LogPosition {
    /// Whether everything that stood there stands here too.
    pub fn follows(&self, earlier: &Self) -> bool {
        self.database == earlier.database && self.reached >= earlier.reached
    }
}

/// What the latest journal says of the database it was written beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSeen {
    /// Which database it was; `None`: that was not told.
    pub database: Option<DatabaseId>,
    /// How far its log had come, in bytes.
    pub reached: i64,
    /// What was due before this was in quarantine.
    pub quarantined_before: Option<Moment>,
    /// When the latest request of which it knows began.
    pub latest: Option<Moment>,
}

/// What is due before the answer is in quarantine once the database is found to be an older one, at
/// `now` by its clock. That clock may be another host's, and behind the one by which messages were
/// sent: what began at `latest` was due by then.
pub fn quarantine_before(now: Moment, latest: Option<Moment>) -> Moment {
    latest.map_or(now, |latest| now.max(latest + Duration::from_micros(1)))
}

/// What a start does about the history of its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The database has become another one, or an older one, since the journal was written.
    pub moved: bool,
    /// What is due before this is in quarantine.
    pub quarantine_before: Option<Moment>,
    /// Everything that the journals know to have been sent is recorded first.
    pub merge_proofs: bool,
    /// Then the quarantine ends: a person says that nothing else can be missing.
    pub accepted: bool,
}

/// What follows from where the database `is` and where a journal last saw it. `accept`: a person
/// takes the database for what it is.
pub fn start(seen: Option<LastSeen>, is: Option<LogPosition>, accept: bool, now: Moment) -> Start {
    let moved = seen.zip(is).is_some_and(|(seen, is)| {
        let seen = seen.database.map(|database| LogPosition {
            database,
            reached: seen.reached,
        });
        seen.is_some_and(|seen| !is.follows(&seen))
    });
    let still = seen.and_then(|seen| seen.quarantined_before);
    let merge_proofs = moved || still.is_some();
    Start {
        moved,
        quarantine_before: if moved {
            Some(quarantine_before(now, seen.and_then(|seen| seen.latest)))
        } else {
            still
        },
        merge_proofs,
        accepted: accept && merge_proofs,
    }
}

#[cfg(test)]
mod tests;
