//! A message between its claim and its record.

use std::time::Duration;

use super::io::ClaimRequest;
use super::lanes::Lane;
use super::paces::Slot;
use super::start_before::StartBefore;
use crate::message::{AttemptToken, LaneKey, Moment, Part, Parties, Pausable, Priority, Uptime};
use crate::schedule::Timer;
use crate::settle::AttemptBudget;

/// A claimed message until the record of its outcome.
#[derive(Debug)]
pub(super) struct Busy<P> {
    pub(super) token: AttemptToken,
    pub(super) lane: Lane,
    /// The route by which its account was chosen, once the claim was won.
    pub(super) route: Option<LaneKey>,
    /// The row may have changed meanwhile: it is read again when this is over.
    pub(super) recheck: bool,
    pub(super) due: Moment,
    /// Lateness counts from here.
    pub(super) wanted_at: Moment,
    /// When the claim was won and judged.
    pub(super) ready_at: Moment,
    /// The claim was won.
    pub(super) tries: Option<AttemptBudget>,
    /// Which text of its message, once the claim was won.
    pub(super) part: Part,
    /// No request at or after this, once the claim was won.
    pub(super) closes: Moment,
    /// Its sender and recipient, once the claim was won.
    pub(super) parties: Parties,
    /// How often in a row its row was locked by another transaction, before this claim.
    pub(super) lock_misses: u16,
    pub(super) attempts: u16,
    pub(super) version: u32,
    pub(super) priority: Priority,
    /// The slot of its pace, if it has one.
    pub(super) slot: Option<Slot>,
    /// How long it has waited for its slot.
    pub(super) paced: Duration,
    pub(super) phase: Phase<P>,
}

impl<P> Busy<P> {
    /// A message whose claim is under way.
    pub(super) const fn claiming(
        token: AttemptToken,
        lane: Lane,
        timer: &Timer,
        phase: Phase<P>,
    ) -> Self {
        Self {
            token,
            lane,
            route: None,
            recheck: false,
            due: timer.due,
            wanted_at: timer.due,
            ready_at: timer.due,
            tries: None,
            part: Part::ONLY,
            closes: Moment::MAX,
            parties: Parties::NONE,
            lock_misses: timer.lock_misses,
            attempts: timer.attempts,
            version: timer.version,
            priority: timer.priority,
            slot: None,
            paced: Duration::ZERO,
            phase,
        }
    }

    /// Whether this claim of it is under way.
    pub(super) fn is_asked_by(&self, ask: &ClaimRequest) -> bool {
        self.token == ask.token && matches!(self.phase, Phase::Claiming { .. })
    }
}

#[derive(Debug)]
pub(super) enum Phase<P> {
    /// Being claimed.
    Claiming { asked: Uptime, sweep: u32 },
    /// Claimed, waiting for its due time.
    Cleared {
        payload: P,
        lease_until: Uptime,
        pausable: Pausable,
    },
    /// On its way to the provider.
    Sending {
        payload: P,
        lease_until: Uptime,
        pausable: Pausable,
        start_before: StartBefore,
    },
    /// Ended, and not recorded yet. `started`: whether its request began.
    Recording { started: bool },
}
