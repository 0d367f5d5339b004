//! What users and daemons do, a step each, with numbers for names.

use std::time::Duration;

use punctual::message::{
    AttemptToken, Channel, InstanceId, LedgerOutcome, MessageId, Moment, PaceId, Part, PauseKey,
    Priority, Status,
};
use punctual::settle::{Next, Record, Settlement, Wait};
use uuid::Uuid;

use crate::model::{Change, SENDER, address};

/// What is later than this is too late. Between what the deeds call overdue and long past.
pub(crate) const MAX_LATENESS: Duration = Duration::from_secs(3600);

/// From one part of a message to the next: over when the next claim is made.
pub(crate) const PART_GAP: Duration = Duration::from_millis(2);

/// A user's wish; times are seconds from the start of the seed.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Insert {
        at: i64,
        channel: Channel,
        text: u64,
    },
    Reschedule {
        at: i64,
    },
    Edit {
        text: u64,
    },
    Reroute {
        channel: Channel,
    },
    Cancel,
    Mark(Status),
    PutBack {
        at: Option<i64>,
    },
    Delete,
    Hold,
}

/// One entry of a group of records.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) row: u64,
    pub(crate) token: u64,
    pub(crate) part: Part,
    pub(crate) settlement: Settlement,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// One statement, committed at once.
    User {
        rows: Vec<u64>,
        wish: Wish,
    },
    /// One statement of a second session, whose transaction stays open.
    Open {
        row: u64,
        wish: Wish,
    },
    End {
        commit: bool,
    },
    Claim {
        by: u64,
        asks: Vec<(u64, u64)>,
        lease: Duration,
    },
    Record {
        by: u64,
        entries: Vec<Entry>,
    },
    /// The texts of so many parts are kept of claims: rows, tokens, parts.
    Keep {
        by: u64,
        kept: Vec<(u64, u64, i16)>,
    },
    Read {
        rows: Vec<u64>,
    },
    Load {
        until: i64,
    },
    Expire,
    Start {
        by: u64,
    },
    Beat {
        by: u64,
    },
    /// `until`: seconds from the start; `None`: until somebody resumes.
    Pause {
        key: PauseKey,
        until: Option<i64>,
    },
    Resume {
        key: PauseKey,
    },
    /// A campaign gets a pace, or other gaps (in seconds). The next slot of a new one is at hand, and that of another
    /// if it is brought near.
    SetPace {
        campaign: u64,
        gaps: (u64, u64),
        near: bool,
    },
    RemovePace {
        campaign: u64,
    },
    /// The first message of each of these campaigns, under a token each.
    ClaimPaced {
        by: u64,
        asks: Vec<(u64, u64)>,
        lease: Duration,
    },
    /// An hour passes in which this instance says nothing.
    Age {
        by: u64,
    },
    /// Rows miss a change of what they follow, which is recorded for each.
    Miss {
        rows: Vec<u64>,
    },
    /// What they missed is applied.
    Follow,
    /// An hour ago this instance read the database's clock, which was two hours ahead: what it wrote then is corrected.
    TimesAhead {
        by: u64,
    },
    OrphanedClaims {
        by: u64,
    },
    Reap {
        by: u64,
    },
    /// What is due before this is in quarantine.
    Quarantine {
        by: u64,
        before: i64,
    },
    Clear {
        rows: Vec<u64>,
    },
    /// Of what is due before this the quarantine ends.
    EndQuarantine {
        before: i64,
    },
    /// Somebody makes a row `sending` without a trigger seeing it; `forget`: and deletes its attempts.
    Strand {
        row: u64,
        forget: bool,
    },
    CorrectWithoutAttempt {
        by: u64,
    },
}

pub(crate) fn message(row: u64) -> MessageId {
    MessageId(Uuid::from_u128(u128::from(row)))
}

pub(crate) fn attempt(token: u64) -> AttemptToken {
    AttemptToken(Uuid::from_u128(u128::from(token)))
}

pub(crate) fn instance(by: u64) -> InstanceId {
    InstanceId(Uuid::from_u128(u128::from(by)))
}

/// The `n`th campaign, as `campaign_of` has it.
pub(crate) fn campaign(n: u64) -> Uuid {
    Uuid::from_u128(0xC << 120 | u128::from(n))
}

/// What has the `n`th pace: a campaign, or [`RATE`] the sender of all texts.
pub(crate) fn queue(n: u64) -> Uuid {
    if n == RATE { SENDER } else { campaign(n) }
}

/// The number of the pace that is a rate.
pub(crate) const RATE: u64 = 3;

/// The pace of the `n`th campaign.
pub(crate) fn pace(n: u64) -> PaceId {
    PaceId(Uuid::from_u128(0xE << 120 | u128::from(n)))
}

pub(crate) fn name(id: MessageId) -> u64 {
    u64::try_from(id.0.as_u128()).unwrap()
}

pub(crate) fn token_name(token: AttemptToken) -> u64 {
    u64::try_from(token.0.as_u128()).unwrap()
}

/// `seconds` after `start`, or before it.
pub(crate) fn at(start: Moment, seconds: i64) -> Moment {
    Moment::from_micros(start.as_micros() + seconds * 1_000_000)
}

/// The texts of a message that has so many.
pub(crate) fn texts(row: u64, parts: i16) -> Vec<String> {
    (1..=parts)
        .map(|part| format!("part {part} of {row}"))
        .collect()
}

impl Wish {
    pub(crate) fn change(&self, row: u64, start: Moment) -> Change {
        let body = |text| format!("text {text} of {row}");
        match self {
            Self::Insert {
                at: when,
                channel,
                text,
            } => Change::Insert {
                priority: Priority::Normal,
                at: at(start, *when),
                channel: *channel,
                to: address(*channel, row),
                body: body(text),
            },
            Self::Reschedule { at: when } => Change::Reschedule {
                at: at(start, *when),
            },
            Self::Edit { text } => Change::Edit { body: body(text) },
            Self::Reroute { channel } => Change::Reroute {
                channel: *channel,
                to: address(*channel, row),
            },
            Self::Cancel => Change::Cancel,
            Self::Mark(status) => Change::Mark(*status),
            Self::PutBack { at: when } => Change::PutBack {
                at: when.map(|when| at(start, when)),
            },
            Self::Delete => Change::Delete,
            Self::Hold => Change::Hold,
        }
    }
}

impl Entry {
    /// What is to be recorded; a deferral is drawn as so long from now.
    pub(crate) fn record<P>(&self, now: Moment) -> Record<P> {
        let mut settlement = self.settlement.clone();
        if let Settlement::Settled(settled) = &mut settlement
            && let Next::Back(Wait::Until(until)) = &mut settled.next
        {
            *until = Moment::from_micros(now.as_micros() + until.as_micros());
        }
        let never_began = match &settlement {
            Settlement::Settled(settled) => matches!(
                settled.outcome,
                LedgerOutcome::Returned
                    | LedgerOutcome::Deferred
                    | LedgerOutcome::Cancelled
                    | LedgerOutcome::Rejected
            ),
            Settlement::Accepted { .. } => false,
        };
        Record {
            id: message(self.row),
            token: attempt(self.token),
            settlement,
            started: (!never_began).then_some(now),
            finished: Some(now),
            payload: None,
            tries: 0,
            part: self.part,
        }
    }
}
