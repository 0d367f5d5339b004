//! Until when a request may begin, and what is over then.

use crate::message::Uptime;

/// Until when a request may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartBefore {
    at: Uptime,
    ends: Ends,
}

/// What is over then.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ends {
    /// The lease, less the time that a request can take.
    Lease,
    /// The time for which the pauses are known.
    Pauses,
    /// The hours in which the law permits it. The policy judges it again, and defers it.
    Hours,
    /// Its slot.
    Slot,
}

impl Ends {
    /// Why a claim is released whose request did not begin.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Lease => "the lease was too old to begin the request",
            Self::Pauses => "the latest read of the pauses was too old to begin the request",
            Self::Hours => "the lawful hours ended before the request began",
            Self::Slot => "its slot was over before the request began",
        }
    }
}

impl StartBefore {
    pub(super) const fn new(at: Uptime, ends: Ends) -> Self {
        Self { at, ends }
    }

    pub(super) const fn at(self) -> Uptime {
        self.at
    }

    /// Whether more recent pauses are all that it needs.
    pub(super) const fn is_of_pauses(self) -> bool {
        matches!(self.ends, Ends::Pauses)
    }

    pub(super) const fn reason(self) -> &'static str {
        self.ends.reason()
    }

    /// The earlier one.
    pub(super) fn or(self, at: Uptime, ends: Ends) -> Self {
        if at < self.at {
            Self { at, ends }
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_first_is_why_it_did_not_begin() {
        let s = |s: i64| Uptime::from_micros(s * 1_000_000);
        for (pauses, hours, slot, why) in [
            (20, 20, 20, "lease"),
            (5, 20, 20, "read of the pauses"),
            (5, 4, 20, "lawful hours"),
            (5, 4, 3, "slot"),
        ] {
            let before = StartBefore::new(s(10), Ends::Lease);
            let before = before.or(s(pauses), Ends::Pauses);
            let before = before.or(s(hours), Ends::Hours).or(s(slot), Ends::Slot);
            assert_eq!(before.at(), s(pauses.min(hours).min(slot).min(10)));
            assert!(before.reason().contains(why), "{why}");
        }
    }
}
