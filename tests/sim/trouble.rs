//! What goes wrong with the provider of one lane, while it may go well with the others.

use punctual::message::{Channel, LaneKey, Scope};

use crate::dice::Dice;
use crate::model::{address, sender_of};
use crate::plan::{MS, SECOND, SETTLING};

/// How it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The account is refused, and may probe again after so long.
    Refused { probe: i64 },
    /// Too many, it says to all.
    Throttled,
    /// It takes what it is given, as late as it can.
    Slow,
    /// It says nothing.
    Mute,
    /// It cannot be reached.
    Unreached,
    /// Too many, it says to what is from one sender, or to one recipient of it.
    Slowed { scope: Scope },
    /// It refuses a sender for every recipient.
    SenderRefused { pause: i64 },
}

impl Kind {
    /// Whether its requests keep their places for long.
    pub(crate) const fn keeps(self) -> bool {
        matches!(self, Self::Slow | Self::Mute)
    }

    /// Whether it concerns a sender or a recipient, and not the lane.
    pub(crate) const fn slows(self) -> bool {
        matches!(self, Self::Slowed { .. } | Self::SenderRefused { .. })
    }
}

/// What goes wrong with the provider of one lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) channel: Channel,
    /// Of one account only.
    pub(crate) account: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// The recipient of several messages. Even, because webhooks to odd ones are another lane.
pub(crate) const SHARED: u64 = 6;

/// After it is over: a probe, what was put off, and the steps of a throttled lane.
const RECOVERS: i64 = 15 * SECOND;

impl Trouble {
    /// Of at most so many of these lanes.
    pub(crate) fn draw(dice: &mut Dice, lanes: &[Channel], most: usize, calm_at: i64) -> Vec<Self> {
        let mut troubles = Vec::new();
        for channel in lanes.iter().copied().take(most) {
            let kind = match dice.below(4) {
                0 => Kind::Refused {
                    probe: dice.between(SECOND, 4 * SECOND),
                },
                1 => Kind::Throttled,
                2 => Kind::Slow,
                _ => Kind::Mute,
            };
            // Into the calm, and over long before the end.
            let from = dice.between(0, calm_at + SETTLING);
            let until = dice.between(calm_at, calm_at + SETTLING + 25 * SECOND);
            troubles.push(Self {
                channel,
                account: None,
                kind,
                from,
                until: until.max(from),
            });
        }
        troubles
    }

    /// One that concerns a sender, or a recipient, of a lane.
    pub(crate) fn draw_of_one(dice: &mut Dice, lanes: &[Channel], calm_at: i64) -> Self {
        let kind = match dice.below(5) {
            0 | 1 => Kind::Slowed {
                scope: Scope::Recipient,
            },
            2 | 3 => Kind::Slowed {
                scope: Scope::Sender,
            },
            _ => Kind::SenderRefused {
                pause: dice.between(SECOND, 4 * SECOND),
            },
        };
        Self {
            channel: dice.pick(lanes),
            account: None,
            kind,
            from: dice.between(0, calm_at + SETTLING),
            until: dice.between(calm_at, calm_at + SETTLING + 25 * SECOND),
        }
    }

    /// Whether it concerns what is sent from here to there, by a lane.
    pub(crate) fn concerns(&self, lane: &LaneKey, from: &str, to: &str) -> bool {
        let sender = || from == sender_of(2);
        let channel = lane.channel();
        self.channel == channel
            && self.account.is_none_or(|own| own == lane.account())
            && match self.kind {
                Kind::Slowed {
                    scope: Scope::Recipient,
                } => sender() && to == address(channel, SHARED),
                Kind::Slowed { .. } | Kind::SenderRefused { .. } => sender(),
                Kind::Refused { .. }
                | Kind::Throttled
                | Kind::Slow
                | Kind::Mute
                | Kind::Unreached => true,
            }
    }

    pub(crate) const fn is_on(&self, t: i64) -> bool {
        self.from <= t && t < self.until
    }

    /// Whether what was due at `due` and left at `t` may be late for it.
    pub(crate) const fn excuses(&self, due: i64, t: i64) -> bool {
        self.from <= t && due < self.until + RECOVERS && t < self.until + 2 * RECOVERS
    }

    /// When a crowd of its lane is due: in the calm, and with time to be known before.
    pub(crate) fn crowd_at(&self, dice: &mut Dice, calm_at: i64) -> Option<i64> {
        let from = self.from.max(calm_at + SETTLING) + 100 * MS;
        (from < self.until).then(|| dice.between(from, self.until))
    }
}
