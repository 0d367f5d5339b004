//! Time that counts only while hours are open.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::message::Moment;
use crate::policy::BusinessHours;

/// The open hours of a campaign, in its time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTime {
    hours: BusinessHours,
    zone: TimeZone,
}

impl OpenTime {
    /// These hours, in this zone.
    pub const fn new(hours: BusinessHours, zone: TimeZone) -> Self {
        Self { hours, zone }
    }

    /// The zone.
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The earliest open moment at or after `at`; `None`: there is none.
    pub fn next(&self, at: Moment) -> Option<Moment> {
        self.hours.next_open(&self.zone, at)
    }

    /// The moment that is so much open time after `at`, or at the next opening after that.
    pub fn after(&self, at: Moment, span: Duration) -> Option<Moment> {
        let (mut at, mut left) = (self.next(at)?, span);
        loop {
            let Some(closes) = self.hours.next_closed(&self.zone, at) else {
                return Some(at + left);
            };
            let open = closes.since(at);
            if left < open {
                return Some(at + left);
            }
            left -= open;
            at = self.next(closes)?;
        }
    }

    /// How much open time is between two moments.
    pub fn between(&self, from: Moment, until: Moment) -> Duration {
        let (mut at, mut sum) = (from, Duration::ZERO);
        while let Some(opens) = self.next(at).filter(|opens| *opens < until) {
            let closes = self.hours.next_closed(&self.zone, opens);
            let closes = closes.unwrap_or(Moment::MAX).min(until);
            sum += closes.since(opens);
            at = closes;
        }
        sum
    }
}
