//! The small faults: each befalls single steps by chance, and can be silenced.

use crate::dice::Dice;

/// Faults that befall single steps, in cases of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Odds {
    pub(crate) notice_lost: u32,
    pub(crate) notice_twice: u32,
    pub(crate) notice_late: u32,
    /// A statement fails and has changed nothing.
    pub(crate) refused: u32,
    /// A statement takes effect and its answer is lost.
    pub(crate) answer_lost: u32,
    /// A statement is given up and takes effect all the same, later.
    pub(crate) zombie: u32,
    /// Of a group of records only a part can be written, of a load only a part comes.
    pub(crate) half: u32,
    pub(crate) slow: u32,
    /// A request waits between its decision and its first byte.
    pub(crate) stalled: u32,
    pub(crate) hangs: u32,
    pub(crate) proof_lost: u32,
    pub(crate) throttled: u32,
    pub(crate) unsent: u32,
    pub(crate) rejected: u32,
}

type OddsField = fn(&mut Odds) -> &mut u32;

impl Odds {
    pub(crate) const FIELDS: [OddsField; 14] = [
        |o| &mut o.notice_lost,
        |o| &mut o.notice_twice,
        |o| &mut o.notice_late,
        |o| &mut o.refused,
        |o| &mut o.answer_lost,
        |o| &mut o.zombie,
        |o| &mut o.half,
        |o| &mut o.slow,
        |o| &mut o.stalled,
        |o| &mut o.hangs,
        |o| &mut o.proof_lost,
        |o| &mut o.throttled,
        |o| &mut o.unsent,
        |o| &mut o.rejected,
    ];

    /// Half of the worlds know only half of the faults: one at a time shows more than all
    /// at once, which mostly show that nothing works.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let mut odds = Self::default();
        for field in Self::FIELDS {
            if dice.chance(450) {
                *field(&mut odds) = u32::try_from(dice.between(10, 350)).unwrap_or(0);
            }
        }
        odds
    }
}
