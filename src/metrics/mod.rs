//! What is counted, and the feed of what just happened.
//!
//! The event loop and the other tasks report to this, and HTTP reads it. Counting is an atomic
//! addition, so that no reader delays a message. Labels come
//! from fixed lists: ids, numbers and texts are no labels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::message::{Category, MessageId, Moment};
use crate::policy::ReasonKind;
use crate::reactor::events::{EventKind, MessageEvent};

mod feed;
mod gauge;
mod histogram;
mod others;
mod recent;
mod reminders;
pub mod span;
pub mod text;
mod texts;
mod waiting;

pub use feed::{Feed, Following, Frame, Happened};
pub use gauge::Gauge;
pub use histogram::{BOUNDS_US, Histogram, HistogramReport};
pub use others::{Elsewhere, Punctuality};
pub use recent::Recent;
pub use reminders::Reminders;
pub use texts::Texts;
pub use waiting::{Waiting, WaitingCause};

/// Counters other than those of the messages' events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Claims whose instance is dead, made `unconfirmed`.
    Reaped,
    /// Cancelled by the expiry, too late to be sent.
    Expired,
    /// Messages that were accepted by the provider more than once.
    Duplicates,
    /// Losses of the notification channel.
    ListenerLost,
    /// Steps of the wall clock.
    ClockSteps,
    /// Callbacks that were not accepted: forged, unreadable, of another account, or too late for the database.
    CallbacksRefused,
    /// Writes to the app's tables that went through at a later try.
    OutboxWritten,
    /// Wrong tokens, by header, form or link.
    TokensRefused,
}

const COUNTERS: usize = 8;

/// The result of a claim of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimResult {
    /// It was won.
    Won,
    /// It is another instance's, or is not to be sent any more.
    Lost,
    /// It is due and pending, but locked by another transaction.
    Locked,
    /// It is due and pending, but paused.
    Paused,
    /// It is due and pending, and waits for its pace.
    Paced,
    /// The database refused.
    Refused,
    /// There was no response.
    Unanswered,
}

impl ClaimResult {
    /// Each, in order.
    pub const ALL: [Self; 7] = [
        Self::Won,
        Self::Lost,
        Self::Locked,
        Self::Paused,
        Self::Paced,
        Self::Refused,
        Self::Unanswered,
    ];

    /// As the metrics have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Locked => "locked",
            Self::Paused => "paused",
            Self::Paced => "paced",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }
}

/// Kinds of ends of a request.
pub(crate) const ANSWERS: [EventKind; 6] = [
    EventKind::Sent,
    EventKind::Throttled,
    EventKind::Unsent,
    EventKind::Refused,
    EventKind::Failed,
    EventKind::Unconfirmed,
];

/// Verdicts and returns: ends of a claim without a request.
pub(crate) const UNUSED: [EventKind; 4] = [
    EventKind::Returned,
    EventKind::Deferred,
    EventKind::Cancelled,
    EventKind::Rejected,
];

/// The index in [`Metrics::sends`] of requests whose response has no category.
const NO_CATEGORY: usize = Category::ALL.len();

/// The same in [`Metrics::verdicts`], of claims that were released without one.
const NO_REASON: usize = ReasonKind::ALL.len();

/// The parts of lateness, and how long the provider takes.
#[derive(Debug, Default)]
pub struct Parts {
    /// From when it was due and cleared to the request's start.
    pub wake: Histogram,
    /// What the claim took beyond the due time.
    pub claim: Histogram,
    /// What rules required: a retry's pause, the wait for a refused account.
    pub policy: Histogram,
    /// From the request's start to its response. Not a part of the lateness.
    pub provider: Histogram,
    /// How long messages waited for their pace, of those that did. Not a part of the lateness either.
    pub paced: Histogram,
}

/// All counters, histograms and events of a process.
#[derive(Debug)]
pub struct Metrics {
    lateness: Histogram,
    recent: Recent,
    parts: Parts,
    sends: [[AtomicU64; NO_CATEGORY + 1]; ANSWERS.len()],
    verdicts: [[AtomicU64; NO_REASON + 1]; UNUSED.len()],
    happened: [AtomicU64; EventKind::ALL.len()],
    left_out: AtomicU64,
    counters: [AtomicU64; COUNTERS],
    /// The bits of a float; not a number until it was measured.
    gauges: [AtomicU64; Gauge::ALL.len()],
    /// Few, and not in the path of a message.
    receipts: Mutex<BTreeMap<&'static str, u64>>,
    last_sent_us: AtomicU64,
    claims: [AtomicU64; ClaimResult::ALL.len()],
    waiting: Mutex<Waiting>,
    reminders: Reminders,
    feed: Feed,
    others: Mutex<others::Others>,
    texts: Texts,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            lateness: Histogram::default(),
            recent: Recent::default(),
            parts: Parts::default(),
            sends: Default::default(),
            verdicts: Default::default(),
            happened: Default::default(),
            left_out: AtomicU64::new(0),
            counters: Default::default(),
            gauges: std::array::from_fn(|_| AtomicU64::new(f64::NAN.to_bits())),
            receipts: Mutex::default(),
            last_sent_us: AtomicU64::new(0),
            claims: Default::default(),
            waiting: Mutex::default(),
            reminders: Reminders::default(),
            feed: Feed::default(),
            others: Mutex::default(),
            texts: Texts::default(),
        }
    }
}

impl Metrics {
    /// Counts what happened and passes it to the followers of the feed. `left_out`: as many more
    /// have happened than there are events.
    pub fn publish(&self, events: Vec<MessageEvent>, left_out: u64) {
        for event in &events {
            self.count_event(event);
        }
        self.left_out.fetch_add(left_out, Relaxed);
        self.feed.publish(events, left_out);
    }

    fn count_event(&self, event: &MessageEvent) {
        if let Some(count) = self.happened.get(event.what as usize) {
            count.fetch_add(1, Relaxed);
        }
        if let Some(verdict) = UNUSED.iter().position(|what| *what == event.what) {
            let kind = |name| {
                ReasonKind::ALL
                    .iter()
                    .position(|kind| kind.as_str() == name)
            };
            let reason = event.category.and_then(kind).unwrap_or(NO_REASON);
            self.verdicts[verdict][reason].fetch_add(1, Relaxed);
        }
        let Some(answer) = ANSWERS.iter().position(|what| *what == event.what) else {
            return;
        };
        let category = event
            .category
            .and_then(|name| Category::ALL.iter().position(|c| c.as_str() == name))
            .unwrap_or(NO_CATEGORY);
        self.sends[answer][category].fetch_add(1, Relaxed);
        if let Some(late) = event.late {
            self.lateness.note(late.lateness_us);
            self.recent.note(event.at, late.lateness_us);
            self.parts.wake.note(late.wake_us);
            self.parts.claim.note(late.claim_us);
            self.parts.policy.note(late.policy_us);
            self.parts.provider.note(late.provider_us);
            if late.paced_us > 0 {
                self.parts.paced.note(late.paced_us);
            }
        }
        if event.what == EventKind::Sent {
            let at = u64::try_from(event.at.as_micros()).unwrap_or(0);
            self.last_sent_us.fetch_max(at, Relaxed);
        }
    }

    /// A callback was recorded. `status` is one of the provider's own.
    pub fn receipt(&self, at: Moment, id: MessageId, status: &'static str, code: Option<i32>) {
        *self
            .receipts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(status)
            .or_insert(0) += 1;
        let event = MessageEvent {
            status: Some(status),
            code,
            ..MessageEvent::new(at, id, EventKind::Receipt)
        };
        self.publish(vec![event], 0);
    }

    /// Counts claims.
    pub fn count_claims(&self, result: ClaimResult, messages: u64) {
        self.claims[result as usize].fetch_add(messages, Relaxed);
    }

    /// What is due and not sent, as of the latest check.
    pub fn set_waiting(&self, waiting: Waiting) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    /// Adds to a counter.
    pub fn count(&self, counter: Counter, n: u64) {
        self.counters[counter as usize].fetch_add(n, Relaxed);
    }

    /// How far a counter is.
    pub fn counted(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Relaxed)
    }

    /// Sets what was measured.
    pub fn set(&self, gauge: Gauge, value: f64) {
        self.gauges[gauge as usize].store(value.to_bits(), Relaxed);
    }

    /// What was measured last.
    pub fn measured(&self, gauge: Gauge) -> Option<f64> {
        let value = f64::from_bits(self.gauges[gauge as usize].load(Relaxed));
        (!value.is_nan()).then_some(value)
    }

    /// How late requests started.
    pub const fn lateness(&self) -> &Histogram {
        &self.lateness
    }

    /// The same of the last hour and the last day.
    pub const fn recent(&self) -> &Recent {
        &self.recent
    }

    /// What lateness is made of.
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The texts that a language model writes.
    pub const fn texts(&self) -> &Texts {
        &self.texts
    }

    /// What the planner has done.
    pub const fn reminders(&self) -> &Reminders {
        &self.reminders
    }

    /// What just happened.
    pub const fn feed(&self) -> &Feed {
        &self.feed
    }

    /// How often this happened.
    pub fn happened(&self, what: EventKind) -> u64 {
        let count = self.happened.get(what as usize);
        count.map_or(0, |count| count.load(Relaxed))
    }

    /// When the provider last accepted a message.
    pub fn last_sent_at(&self) -> Option<Moment> {
        let at = self.last_sent_us.load(Relaxed);
        (at > 0).then(|| Moment::from_micros(at.cast_signed()))
    }

    fn receipts(&self) -> BTreeMap<&'static str, u64> {
        let receipts = self.receipts.lock();
        receipts.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
