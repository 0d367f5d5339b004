//! Until when a message may be sent, and why it is too late after that. The one place for it: a
//! claim is judged by it, and so is a row that is cancelled without one.

use std::time::Duration;

use super::Rule;
use crate::message::{Claim, Moment};

/// The end of the time in which a message may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    pub(super) at: Moment,
    pub(super) set_by: SetBy,
}

/// What ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetBy {
    /// The row's `send_before`.
    SendBefore,
    /// The start of the event that it reminds of.
    EventStart,
    /// The lateness that the installation allows.
    Lateness,
}

impl Expiry {
    /// The earliest end of a claimed message. Retries do not move it.
    pub(super) fn of(claim: &Claim, max_lateness: Duration) -> Self {
        // It counts for the first part.
        let counts = claim.part.before == 0 && Rule::Lateness.holds(claim.lane.channel());
        let late_from = if counts { claim.wanted_at } else { Moment::MAX };
        Self::earlier(late_from, Self::of_row(claim), max_lateness)
    }

    /// The end that the row itself sets, which a deferral does not move either.
    pub(super) fn of_row(claim: &Claim) -> Option<Self> {
        let event = claim.facts.event.starts().filter(|at| {
            // A message scheduled for later than that does not remind of it.
            Rule::Event.holds(claim.lane.channel())
                && claim.facts.scheduled_at.unwrap_or(claim.wanted_at) < *at
        });
        let event = event.map(|at| Self {
            at,
            set_by: SetBy::EventStart,
        });
        [Self::send_before(claim.send_before), event]
            .into_iter()
            .flatten()
            .min_by_key(|end| end.at)
    }

    fn send_before(at: Option<Moment>) -> Option<Self> {
        at.map(|at| Self {
            at,
            set_by: SetBy::SendBefore,
        })
    }

    fn earlier(late_from: Moment, of_row: Option<Self>, max_lateness: Duration) -> Self {
        let allowed = Self {
            at: late_from + max_lateness,
            set_by: SetBy::Lateness,
        };
        of_row.filter(|own| own.at <= allowed.at).unwrap_or(allowed)
    }

    /// The reason for the row, if this has passed at `now`.
    pub(super) fn reason(
        self,
        wanted_at: Moment,
        max_lateness: Duration,
        now: Moment,
    ) -> Option<String> {
        let (at, allowed) = (self.at, max_lateness.as_secs());
        (now > at).then(|| match self.set_by {
            SetBy::SendBefore => format!("too late: send_before was {at}"),
            SetBy::EventStart => format!("too late: the event began at {at}"),
            SetBy::Lateness if wanted_at == Moment::MIN => {
                format!("too late: its time is {wanted_at}, more than the {allowed} s allowed")
            }
            SetBy::Lateness => {
                let late = now.since(wanted_at).as_secs();
                format!("too late: {late} s after its time, more than the {allowed} s allowed")
            }
        })
    }
}

/// Why a pending row is too late at `now`, by its own times; `None` if it is not. Lateness counts from `late_from`,
/// which is [`Moment::MAX`] where none is limited.
pub fn too_late(
    late_from: Moment,
    send_before: Option<Moment>,
    max_lateness: Duration,
    now: Moment,
) -> Option<String> {
    Expiry::earlier(late_from, Expiry::send_before(send_before), max_lateness).reason(
        late_from,
        max_lateness,
        now,
    )
}
