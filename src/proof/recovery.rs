//! What a journal proves about the attempts that a dead instance left open, and about messages
//! whose proof a restored database has lost.
//!
//! A journal may show three things: that a request never began, how it ended, or that it began and
//! nothing more. The first two settle an attempt; the last leaves its outcome uncertain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::{AttemptToken, DatabaseId, MessageId, Moment, Outcome, Part, ProviderSid};
use crate::settle::{AttemptBudget, Record, SendResult, Settlement};

/// A request, as a journal has it before its first byte. Kept as JSON in the journal, so its fields
/// must not change.
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
    /// Which text of its message.
    #[serde(default, skip_serializing_if = "Part::is_only")]
    pub part: Part,
}

/// The outcome of a request, as a journal has it. Kept as JSON in the journal, so its fields must
/// not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The request. A later file may contain the outcome without the request.
    pub to: Begun,
    /// The outcome.
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

    /// The proof as a record: whatever the row's status, and the attempt's in a database that was
    /// restored since, both show afterwards that the provider accepted it.
    pub fn proof<P>(&self) -> Option<Record<P>> {
        let sid = self.sid()?;
        Some(Record {
            id: self.to.message,
            token: self.to.token,
            part: self.to.part,
            settlement: Settlement::Accepted { sid: sid.clone() },
            started: Some(Moment::from_micros(self.to.at_us)),
            finished: Some(Moment::from_micros(self.at_us)),
            payload: None,
            tries: 0,
        })
    }
}

/// What a journal shows of an attempt that is open in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its request certainly never began.
    NeverBegan,
    /// Its request began, and its outcome is unknown.
    Began(Begun),
    /// It has an outcome.
    Answered(Answered),
    /// The journal has nothing about it.
    Nothing,
}

/// An attempt of a dead instance without a certain outcome in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOpen {
    /// The attempt.
    pub token: AttemptToken,
    /// Its message.
    pub message: MessageId,
    /// Its number, from 1.
    pub number: i32,
    /// It is open; otherwise it was reaped.
    pub in_flight: bool,
    /// How many attempts have counted before it.
    pub attempts_before: i32,
    /// How many may count in all.
    pub max_attempts: i32,
    /// The instance noted in the database that its journal is incomplete: the file could not be marked.
    pub journal_incomplete: bool,
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
    Release(NotAccepted),
    /// This is recorded.
    Record(Record<P>),
    /// Nothing: the instance that may declare its owner dead will settle it.
    Leave,
}

/// What follows from what is `known` of an attempt. `here`: its process ran on this machine since
/// it booted, and so is known to be dead.
pub fn recover<P>(open: &LeftOpen, known: Known, here: bool, now: Moment) -> Recovery<P> {
    match known {
        Known::NeverBegan => release(open, "its request never began"),
        Known::Answered(answer) => answered(open, answer, now),
        Known::Began(begun) if here && open.in_flight => uncertain(open, Some(&begun), now),
        Known::Nothing if here && open.in_flight => uncertain(open, None, now),
        Known::Began(_) | Known::Nothing => Recovery::Leave,
    }
}

/// Which of the reaped attempts of a living instance (it was suspended or cut off for longer than its leases)
/// never began: its own journal, which `knows` all that have, can show that.
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

fn release<P>(open: &LeftOpen, why: &str) -> Recovery<P> {
    Recovery::Release(NotAccepted {
        token: open.token,
        message: open.message,
        reason: format!("the instance that claimed it died; {why}"),
    })
}

fn answered<P>(open: &LeftOpen, answer: Answered, now: Moment) -> Recovery<P> {
    let proof = answer.sid().is_some();
    match answer.outcome {
        // Reaped: no fenced record applies to it any more.
        Outcome::Unsent { .. } | Outcome::Throttled { .. } | Outcome::Refused { .. }
            if !open.in_flight =>
        {
            release(open, "the provider did not take it")
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
            let finished = Moment::from_micros(answer.at_us);
            record(open, settlement, Some(&answer.to), finished)
        }
        _ => Recovery::Leave,
    }
}

fn uncertain<P>(open: &LeftOpen, begun: Option<&Begun>, now: Moment) -> Recovery<P> {
    let reason = "the instance that was sending it died before the answer came";
    let settlement = Settlement::uncertain(reason.into());
    record(open, settlement, begun, now)
}

fn record<P>(
    open: &LeftOpen,
    settlement: Settlement,
    begun: Option<&Begun>,
    finished: Moment,
) -> Recovery<P> {
    Recovery::Record(Record {
        id: open.message,
        token: open.token,
        part: begun.map_or(Part::ONLY, |begun| begun.part),
        settlement,
        started: begun.map(|begun| Moment::from_micros(begun.at_us)),
        finished: Some(finished),
        payload: None,
        tries: 0,
    })
}

/// A database, and the position of its write-ahead log on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// Which database, on which timeline.
    pub database: DatabaseId,
    /// Bytes of log. It never decreases, not even in a crash.
    pub reached: i64,
}

impl LogPosition {
    /// Whether everything that was committed there is here too.
    pub fn follows(&self, earlier: &Self) -> bool {
        self.database == earlier.database && self.reached >= earlier.reached
    }
}

/// What the latest journal has about the database that it was written beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSeen {
    /// Which database it was; `None`: unknown.
    pub database: Option<DatabaseId>,
    /// The position of its log, in bytes.
    pub reached: i64,
    /// What was due before this was in quarantine.
    pub quarantined_before: Option<Moment>,
    /// When the latest request that it has began.
    pub latest: Option<Moment>,
}

/// The end of the quarantine once the database, at `now` by its clock, is found to be an older one:
/// what is due before it is in quarantine. That clock may be another host's, and behind the one by
/// which messages were sent: what began at `latest` was due by then.
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
    /// Everything that the journals show as sent is recorded first.
    pub merge_proofs: bool,
    /// Then the quarantine ends: a person has decided that nothing else can be missing.
    pub accepted: bool,
}

/// What follows from the database's position `is` and the one that a journal last saw. `accept`: a
/// person accepts the database as it is.
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
