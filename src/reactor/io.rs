//! The reactor's inputs and outputs: values, without any I/O.

use std::sync::Arc;
use std::time::Duration;

use crate::message::{
    AccountNumber, AttemptToken, Claim, ClaimResponse, LaneKey, MessageId, Moment, PaceDue, PaceId,
    PacedResponse, Part, Parties, Pausable, Pause, Priority, Retry, RowState, Uptime,
};
use crate::policy::{self, Cleared, Rules, Verdict};
use crate::schedule::Ranking;
use crate::settle::{AttemptBudget, Record, SendResult, Settlement};

/// What is known of a claim once it was judged: the payload `P` is what the provider needs,
/// opaque here.
#[derive(Clone, Debug)]
pub struct JudgedClaim<P> {
    /// The attempt.
    pub token: AttemptToken,
    /// No request before this.
    pub due: Moment,
    /// Lateness counts from here, until a request began.
    pub wanted_at: Moment,
    /// Whether a request for this text began before.
    pub is_retry: bool,
    /// Its lane.
    pub lane: LaneKey,
    /// See [`Claim::route`].
    pub route: Option<LaneKey>,
    /// What a pause may stop it by.
    pub pausable: Pausable,
    /// From and to whom it is.
    pub parties: Parties,
    /// Which attempt this is, and how many there may be.
    pub tries: AttemptBudget,
    /// Which text of its message.
    pub part: Part,
    /// No request at or after this: what permits it ends then.
    pub closes: Moment,
    /// Send it, or why not.
    pub verdict: Result<P, Settlement>,
}

impl JudgedClaim<Arc<Cleared>> {
    /// What the policy's verdict on a claim means.
    pub fn of(claim: &Claim, rules: &Rules, verdict: Verdict) -> Self {
        let part = match &verdict {
            Verdict::Send(cleared) => cleared.part(),
            _ => claim.part,
        };
        let closes = match &verdict {
            Verdict::Send(cleared) => cleared.lawful().map_or(Moment::MAX, |by| by.closes),
            _ => Moment::MAX,
        };
        let verdict = match verdict {
            Verdict::Send(cleared) => Ok(Arc::new(cleared)),
            Verdict::Defer { until, reason } => Err(Settlement::deferred(until, reason)),
            Verdict::Cancel { reason } => Err(Settlement::cancelled(reason)),
            Verdict::Reject { reason } => Err(Settlement::rejected(reason)),
        };
        let pausable = pausable(claim, rules);
        let sender = pausable.sender.as_deref();
        Self {
            token: claim.token,
            due: claim.due,
            wanted_at: claim.wanted_at,
            is_retry: claim.is_retry,
            lane: claim.lane.clone(),
            route: claim.route.clone(),
            parties: Parties::of(&claim.lane, sender, &claim.to_number),
            pausable,
            tries: AttemptBudget {
                number: claim.number,
                before: claim.attempts_before,
                max: claim.max_attempts,
                expires: policy::expires(claim, rules),
            },
            part,
            closes,
            verdict,
        }
    }
}

impl<P> JudgedClaim<P> {
    /// From when its lateness counts: that a retry waited is no lateness again.
    pub fn late_from(&self) -> Moment {
        if self.is_retry {
            self.due.max(self.wanted_at)
        } else {
            self.wanted_at
        }
    }

    /// Its texts could not be kept: it is not sent, and tried again.
    pub fn without_texts(&mut self) {
        self.verdict = Err(Settlement::not_kept());
    }
}

/// As `paused_until!` has it in the statements.
fn pausable(claim: &Claim, rules: &Rules) -> Pausable {
    let trimmed = |text: &Option<String>| text.as_deref().map(|t| t.trim().to_owned());
    let named = trimmed(&claim.from_number).filter(|sender| !sender.is_empty());
    let own = rules.sender(&claim.lane);
    let default = || own.map(|sender| sender.as_str().to_owned());
    Pausable {
        channel: claim.lane.channel(),
        sender: named.or_else(default),
        campaign: claim.campaign.as_deref().map(str::to_ascii_lowercase),
        user: claim.facts.user_id.map(|id| id.to_string()),
        message_type: trimmed(&claim.facts.message_type),
        ..Pausable::default()
    }
}

/// A pending row as a sweep finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upcoming {
    /// The message.
    pub id: MessageId,
    /// Its due time.
    pub due: Moment,
    /// Counts the user's edits.
    pub version: i64,
    /// Attempts that have counted.
    pub attempts: i32,
    /// Its place among those that are due at the same moment.
    pub priority: Priority,
    /// Its lane.
    pub lane: LaneKey,
    /// When it was inserted or put back last; `None`: not read.
    pub written: Option<Moment>,
}

impl Upcoming {
    /// A pending row without a pace, as it was read; what else a row is, it remains.
    pub(super) fn read(id: MessageId, state: RowState) -> Result<Self, RowState> {
        match state {
            RowState::Pending {
                due,
                version,
                attempts,
                priority,
                lane,
                written,
                pace: None,
            } => Ok(Self {
                id,
                due,
                version,
                attempts,
                priority,
                lane,
                written,
            }),
            state => Err(state),
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input<P> {
    /// The notification channel is verified: whatever commits from now on is notified.
    ChannelUp {
        /// But for transactions that were prepared: the server permits them, and they cannot notify. Or none is, where
        /// changes are polled.
        unnotified: bool,
    },
    /// The notification channel is gone.
    ChannelDown,
    /// The provider reports of an accepted message that it did not arrive, for a reason that concerns others too.
    Reported {
        /// From and to whom it was.
        parties: Parties,
        /// What the reason means.
        retry: Retry,
    },
    /// Rows that changed, by a notification.
    Notification(Vec<MessageId>),
    /// More rows changed than are worth naming, or a notification says so.
    Rescan,
    /// The response to [`Command::Read`].
    Rows {
        /// One for each requested id; `None`: the read failed and is to be repeated.
        rows: Option<Vec<(MessageId, RowState)>>,
    },
    /// A part of the response to [`Command::Load`].
    Loaded(Vec<Upcoming>),
    /// The end of the response to [`Command::Load`].
    LoadEnded {
        /// When the first row is planned that was not passed on, if there are more than were asked for.
        reached: Option<Moment>,
        /// Whether all of it came.
        complete: bool,
    },
    /// The response to [`Command::Claim`].
    Claimed {
        /// One for each requested id.
        answers: Vec<(MessageId, ClaimResponse<JudgedClaim<P>>)>,
        /// From the request to the response.
        took: Duration,
    },
    /// A claim whose response was lost: it may have been committed.
    ClaimLost(Vec<ClaimRequest>),
    /// A request ended.
    Sent {
        /// The message.
        id: MessageId,
        /// How.
        answer: SendResult,
    },
    /// A request was not made, because it could not begin in time.
    TooLate {
        /// The message.
        id: MessageId,
    },
    /// The response to [`Command::Record`]: one for each record that is written; what is missing is tried again.
    Recorded {
        /// Number of the group, as the command had it.
        group: u64,
        /// The written records, with the row's new state where that is known.
        done: Vec<(AttemptToken, Option<RowState>)>,
        /// The database failed, not single records: the missing ones are not at fault.
        failed: bool,
    },
    /// A claim that the database refused: it was certainly not committed.
    ClaimRefused(Vec<ClaimRequest>),
    /// Open claims of this instance whose lease is over, as the database has them.
    OrphanedClaims(Vec<(MessageId, AttemptToken)>),
    /// The running instances, this one among them.
    Members(Ranking),
    /// The database was restored or replaced: what is due before this moment is in quarantine.
    Quarantine {
        /// On the database's clock.
        before: Moment,
        /// Rows that were inserted or put back after this are not in it.
        written_until: Moment,
    },
    /// These were certainly not sent: they are cleared from quarantine.
    QuarantineCleared(Vec<MessageId>),
    /// The paces that have a message in the window, a part of the response to [`Command::Load`].
    PacesLoaded(Vec<PaceDue>),
    /// A notification that paces changed.
    PacesChanged,
    /// The response to [`Command::ClaimPaced`].
    PacesClaimed {
        /// One for each pace. For those that are missing the claim failed, and may be committed.
        answers: Vec<(PaceId, PacedResponse<JudgedClaim<P>>)>,
        /// How long the claim took, if it won a message.
        took: Option<Duration>,
    },
    /// A notification that pauses changed.
    PausesChanged,
    /// The response to [`Command::ReadPauses`].
    Pauses {
        /// `None`: it failed.
        pauses: Option<Vec<Pause>>,
        /// How long the statement took, without the wait for a connection.
        way: Duration,
    },
    /// The database has cancelled these without a claim, because they were too late.
    Expired(Vec<MessageId>),
    /// For everything in quarantine it is known whether it was sent.
    QuarantineEnded,
    /// The clock cannot be trusted until it has been measured again.
    ClockLost,
    /// The clock was measured.
    ClockFound,
    /// Stop: claim nothing more, finish what is being sent, release the rest.
    Drain,
    /// Nothing; time has passed.
    Tick,
}

/// One id of a claim, with the token drawn for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The message.
    pub id: MessageId,
    /// The attempt it will be.
    pub token: AttemptToken,
    /// The account by which it goes if its row names none; `None`: the default one.
    pub via: Option<AccountNumber>,
}

/// One pace of a claim, with the token drawn for the message that it wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaceRequest {
    /// The pace.
    pub pace: PaceId,
    /// The attempt it will be.
    pub token: AttemptToken,
    /// How long after its slot a message may start whose sender has a rate.
    pub slack: Duration,
    /// As [`ClaimRequest::via`].
    pub via: Option<AccountNumber>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Command<P> {
    /// Read these rows again.
    Read(Vec<MessageId>),
    /// Read what is pending and due up to `until`, soonest first.
    Load {
        /// Not what is planned before this.
        from: Option<Moment>,
        /// The end of the window.
        until: Moment,
        /// At most so many.
        most: usize,
    },
    /// Claim these.
    Claim(Vec<ClaimRequest>),
    /// Claim the next message of each of these paces.
    ClaimPaced {
        /// The paces.
        asks: Vec<PaceRequest>,
        /// The end of the window.
        until: Moment,
    },
    /// Read the pauses that are in force.
    ReadPauses,
    /// Make the request, now.
    Start {
        /// The message.
        id: MessageId,
        /// What the provider needs.
        payload: P,
        /// It must not start after this: the end of the lease, less the time a request can take, or of the time for
        /// which the pauses were read.
        start_before: Uptime,
    },
    /// Make sure that about so many requests can start without a handshake.
    Prewarm {
        /// By which lane.
        lane: LaneKey,
        /// Connections.
        connections: usize,
    },
    /// Record these.
    Record {
        /// Number of the group, which the response has too.
        group: u64,
        /// What is to be recorded; the payload comes along where there was a request.
        records: Arc<Vec<Record<P>>>,
    },
}
