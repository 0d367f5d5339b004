//! What the stand-in does to a request and to what it took in: by a script, or by chance.
//!
//! Chance depends on the seed, the text and how often that text was asked for before, not on
//! the order in which requests happen to come: the same text meets the same fate.

use std::time::Duration;

use crate::dice::Dice;

/// Whether it took the message in by the time things went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// It did not, and never will.
    Before,
    /// It did: the text goes out.
    After,
}

/// What happens to one request that creates a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: 201 at once.
    None,
    /// Taken in at once, answered after so long.
    Slow(Duration),
    /// Never answered.
    Silence(When),
    /// The connection is reset.
    Reset(When),
    /// An answer with this status, of 500 and above, that says nothing.
    Error(When, u16),
    /// 429, with a `Retry-After` in seconds or without. Not taken in, as Twilio promises.
    Busy(Option<u64>),
    /// 400 with this code, in Twilio's form.
    Refuse(i32),
    /// 201, and a page in place of the message.
    Garbage(When),
    /// Taken in, and half of the 201 before the connection ends.
    Cut,
    /// Taken in, and answered with so long between two bytes.
    Drip(Duration),
}

impl Fault {
    /// Whether the text goes out all the same.
    pub(crate) fn takes_it_in(self) -> bool {
        match self {
            Self::None | Self::Slow(_) | Self::Cut | Self::Drip(_) => true,
            Self::Silence(when)
            | Self::Reset(when)
            | Self::Error(when, _)
            | Self::Garbage(when) => when == When::After,
            Self::Busy(_) | Self::Refuse(_) => false,
        }
    }
}

/// What becomes of a message that was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The phone has it.
    Delivered,
    /// `undelivered`, with this code.
    Undelivered(i32),
    /// `failed`, with this code.
    Failed(i32),
    /// `sent`, and never a word after that.
    NoReceipt,
}

impl End {
    /// Twilio's words on the way there.
    pub(super) fn statuses(self) -> &'static [&'static str] {
        match self {
            Self::Delivered => &["queued", "sending", "sent", "delivered"],
            Self::Undelivered(_) => &["queued", "sending", "sent", "undelivered"],
            Self::Failed(_) => &["queued", "failed"],
            Self::NoReceipt => &["queued", "sending", "sent"],
        }
    }

    pub(super) fn code(self) -> Option<i32> {
        match self {
            Self::Undelivered(code) | Self::Failed(code) => Some(code),
            Self::Delivered | Self::NoReceipt => None,
        }
    }
}

/// What callbacks go through, in thousandths of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Odds {
    /// Never arrive.
    pub(crate) lost: u32,
    /// Arrive twice.
    pub(crate) doubled: u32,
    /// Arrive after the one that follows them.
    pub(crate) reordered: u32,
}

impl Odds {
    pub(crate) const NONE: Self = Self::all(0);
    pub(crate) const ALL_LOST: Self = Self {
        lost: 1_000,
        ..Self::NONE
    };

    pub(crate) const fn all(per_mille: u32) -> Self {
        Self {
            lost: per_mille,
            doubled: per_mille,
            reordered: per_mille,
        }
    }
}

/// What happens to one message from its request to its last callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    pub(crate) end: End,
    pub(crate) odds: Odds,
}

impl From<Fault> for Plan {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            end: End::Delivered,
            odds: Odds::NONE,
        }
    }
}

/// How the stand-in behaves where no script says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) seed: u64,
    /// In thousandths of requests; what remains is accepted.
    pub(crate) faults: Vec<(u32, Fault)>,
    /// In thousandths of messages; what remains is delivered.
    pub(crate) ends: Vec<(u32, End)>,
    pub(crate) odds: Odds,
    /// Between two callbacks of a message, and before the first.
    pub(crate) pace: Duration,
    /// How long until a message shows in lists.
    pub(crate) list_lag: Duration,
}

impl Default for Habits {
    /// Nothing goes wrong.
    fn default() -> Self {
        Self {
            seed: 0,
            faults: Vec::new(),
            ends: Vec::new(),
            odds: Odds::NONE,
            pace: Duration::from_millis(20),
            list_lag: Duration::ZERO,
        }
    }
}

impl Habits {
    /// For the `nth` request with this text, from 0.
    pub(super) fn plan(&self, text: &str, nth: usize) -> Plan {
        let mut dice = Dice::new(self.seed, &format!("{text}#{nth}"));
        Plan {
            fault: draw(&mut dice, &self.faults).unwrap_or(Fault::None),
            end: draw(&mut dice, &self.ends).unwrap_or(End::Delivered),
            odds: self.odds,
        }
    }
}

fn draw<T: Copy>(dice: &mut Dice, of: &[(u32, T)]) -> Option<T> {
    let mut drawn = u32::try_from(dice.below(1_000)).ok()?;
    for (share, what) in of {
        if drawn < *share {
            return Some(*what);
        }
        drawn -= share;
    }
    None
}
