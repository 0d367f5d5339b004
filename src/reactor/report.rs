//! The reactor's reports as values: the debug JSON and readiness.
//!
//! Field names are the interface (`GET /debug/timers`); ids and times only, so that no body
//! and no phone number can appear.

use serde::Serialize;

use crate::forecast::Forecast;
use crate::message::{InstanceId, MessageId, Moment, Part};

mod readiness;
mod waits;

pub use readiness::{Missing, Readiness, Remark};
pub use waits::{Held, PaceReport, PauseReport, SlowedReport};

/// Which timers to report. A bound that is omitted does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimersQuery {
    /// At most this many, the earliest due first.
    pub limit: usize,
    /// Only those due before this.
    pub before: Option<Moment>,
    /// Only this message's.
    pub id: Option<MessageId>,
}

/// The response of `GET /debug/timers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct TimersReport {
    /// The database's clock as this instance estimates it.
    pub now: Moment,
    /// The responding instance.
    pub instance: InstanceId,
    /// Whether `GET /readyz` would return 200.
    pub ready: bool,
    /// How well the database's clock is known.
    pub clock: ClockReport,
    /// The notification channel.
    pub listener: ListenerReport,
    /// What is in memory.
    pub window: WindowReport,
    /// Whether the provider refuses an account: of the lane that has been refused for longest.
    pub breaker: BreakerReport,
    /// The lanes in use, one for each account and channel.
    pub lanes: Vec<LaneReport>,
    /// The senders and recipients that the provider slows.
    pub slowed: SlowedReport,
    /// What is paused.
    pub pauses: Vec<PauseReport>,
    /// The paces that messages in the window wait for.
    pub paces: Vec<PaceReport>,
    /// Whether messages are in quarantine because the database was restored or replaced.
    pub restore: RestoreReport,
    /// The journal; `None`: none is kept.
    pub journal: Option<JournalReport>,
    /// How long before its due time a row is claimed, in microseconds.
    pub lead_us: u64,
    /// How late requests started.
    pub lateness_us: LatenessReport,
    /// The occupied levels of the wheel, the finest first.
    pub wheel: Vec<WheelLevel>,
    /// The timers of the query, the earliest due first.
    pub timers: Vec<TimerReport>,
}

/// The journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct JournalReport {
    /// The directory of this instance's files.
    pub path: String,
    /// Whether it can be written.
    pub writable: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// The estimate of the database's clock. Unknown until it was first measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct ClockReport {
    /// The database's clock minus this machine's, in microseconds.
    pub offset_us: Option<i64>,
    /// How far the estimate can be off, in microseconds, either way.
    pub uncertainty_us: Option<u64>,
}

/// The connection that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct ListenerReport {
    /// Whether it is connected and its channel is verified.
    pub connected: bool,
    /// Since when it has been in that state.
    pub since: Option<Moment>,
    /// When the latest notification came; `null`: none yet.
    pub last_notice_at: Option<Moment>,
    /// How often the whole window was read again because notifications may have been lost.
    pub resyncs: u64,
}

/// What part of the future is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct WindowReport {
    /// Everything due before this is armed.
    pub until: Option<Moment>,
    /// Timers in memory.
    pub armed: u64,
    /// Pending rows due up to then, also those that are paused or wait for their pace, counted up to a million; `null`
    /// where the database does not say.
    pub waiting: Option<u64>,
    /// Pending rows due later, counted up to a million; `null` where the database does not say.
    pub beyond: Option<u64>,
}

/// Whether the provider refuses the account as a whole. While it does, nothing is sent but a
/// probe from time to time; what is due stays `pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct BreakerReport {
    /// Whether it does. All else is `null` while it does not.
    pub open: bool,
    /// Since when.
    pub since: Option<Moment>,
    /// When one message is tried next, at the earliest.
    pub next_probe_at: Option<Moment>,
    /// The kind of refusal, as `punctual.attempts.category` has it.
    pub category: Option<&'static str>,
    /// The provider's code for the latest refusal, if it gave one.
    pub reason: Option<i32>,
}

/// What is sent by one account over one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct LaneReport {
    /// The account's name in the settings.
    pub account: String,
    /// As `scheduled_messages.channel` has it; `other`: words that are no channel.
    pub channel: &'static str,
    /// How many lanes this is: more than one where hosts have lanes of their own.
    pub lanes: u64,
    /// How many of them the provider refuses.
    pub refused: u64,
    /// The breaker of the lane that has been refused for longest.
    pub breaker: BreakerReport,
    /// Timers in memory.
    pub armed: u64,
    /// Claimed, waiting for their instant.
    pub cleared: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// How many may be at once. A busy provider lowers it.
    pub permits: u64,
    /// Outcomes that the database has not taken yet.
    pub unrecorded: u64,
}

/// The quarantine, if the database was restored or replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct RestoreReport {
    /// What is due before this is not sent until it is known whether it was; `null`: there is no
    /// quarantine.
    pub held_before: Option<Moment>,
    /// How many messages stayed in quarantine at the latest reconciliation; `null`: there was none
    /// yet.
    pub held: Option<u64>,
    /// Why the message whose id was given stayed in quarantine then; `null`: it did not, or there
    /// was none yet.
    pub reason: Option<&'static str>,
}

/// Quantiles of the lateness since this instance started, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct LatenessReport {
    /// Messages measured. While it is zero, so are the others.
    pub count: u64,
    /// Half were no later than this.
    pub p50: u64,
    /// 99 of 100 were no later than this.
    pub p99: u64,
    /// The latest.
    pub max: u64,
}

/// One level of the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct WheelLevel {
    /// 0 is the finest.
    pub level: usize,
    /// How long one of its slots lasts, in microseconds.
    pub slot_us: u64,
    /// How many of its slots hold a timer.
    pub occupied: u32,
}

/// One timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct TimerReport {
    /// The message.
    pub id: MessageId,
    /// Its due time, on the database's clock.
    pub due_at: Moment,
    /// From now until then, in microseconds; negative when overdue.
    pub due_in_us: i64,
    /// Its purpose.
    pub kind: TimerKind,
    /// The message's stage.
    pub state: TimerState,
    /// Attempts that have counted so far.
    pub attempt: i32,
    /// Of a message of several parts that is claimed: which of them, like `2 of 3`.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::message::parts::as_text"
    )]
    #[cfg_attr(test, schema(value_type = Option<String>, nullable = false))]
    pub part: Option<Part>,
    /// The version of the row, which counts the user's edits.
    pub version: i64,
    /// The instance that is to claim it, or has.
    pub owner: InstanceId,
    /// Its lane: `account/channel`, and `/host` where hosts have lanes of their own.
    pub lane: String,
    /// What will happen to it, by all that is known; `None`: it is not pending any more, or that was not read.
    pub forecast: Option<Forecast>,
}

/// The present state in one value: what the live page and the metrics show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Overview {
    /// As `GET /debug/timers` has it.
    #[serde(flatten)]
    pub timers: TimersReport,
    /// Why it is not ready.
    #[cfg_attr(test, schema(value_type = Vec<String>))]
    pub missing: Vec<Missing>,
    /// How many are due when.
    pub density: DensityReport,
    /// How much is under way.
    pub load: LoadReport,
    /// The connections to the database.
    pub database: DatabaseReport,
}

/// How many timers are due in each stretch of the next minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct DensityReport {
    /// When the first stretch began. It counts what is overdue as well.
    pub from: Moment,
    /// How long a stretch lasts, in microseconds.
    pub bucket_us: u64,
    /// Timers in each.
    pub counts: Vec<u32>,
}

/// How much is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct LoadReport {
    /// Claimed, waiting for their instant.
    pub cleared: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// How many may be at once. A busy provider lowers it.
    pub permits: u64,
    /// How many may be at once at most.
    pub max_in_flight: u64,
    /// Outcomes that are not recorded in the database yet.
    pub unrecorded: u64,
    /// How long ago the first of these requests ended; 0 if there is none.
    pub unrecorded_oldest_us: u64,
}

/// The pool's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct DatabaseReport {
    /// Open.
    pub open: u64,
    /// Those of them that wait for something to do.
    pub idle: u64,
    /// Steps that wait for one.
    pub waiting: u64,
    /// At most so many.
    pub max: u64,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TimerKind {
    /// A message that is to be sent.
    Message,
    /// A message that another instance is sending, checked again when its lease is over.
    Watch,
}

/// The stage of a message in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TimerState {
    /// Waits for its time.
    Armed,
    /// Claimed and judged, waits for its instant.
    Cleared,
    /// Its request is on the way.
    Sending,
}
