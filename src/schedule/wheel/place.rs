//! Where a due time belongs, seen from the cursor: the wheel's arithmetic, and nothing else.

use crate::message::Moment;

/// How many levels there are. Ten levels of 64 slots of a millisecond reach over every
/// [`Moment`] there is, `infinity` included, so no timer is ever "too far" and none has to go
/// round. The first four levels alone span 4 h 40 min; the rest cost a few kilobytes.
pub const LEVELS: usize = 10;

/// Slots a level, and so by how much a level is coarser than the one below: as many as a
/// `u64` has bits, so that the next occupied one is found by a single instruction.
pub(super) const SLOTS: usize = 64;

/// The bits of a tick that choose a slot of a level.
const SLOT_BITS: usize = SLOTS.trailing_zeros() as usize;

/// And those bits themselves, at the lower end.
const SLOT_MASK: u64 = SLOTS as u64 - 1;

/// Microseconds in a slot of level 0: a millisecond, for people who read the debug page.
pub(super) const MICROS: usize = 1000;

/// The same, to count with.
const TICK_US: u64 = MICROS as u64;

/// What is added to a millisecond to make it a [`Tick`].
///
/// It lifts the earliest moment above zero, and it lays the slots off the round times of day:
/// being four more than a multiple of eight, it puts every boundary of a level at least 4 ms
/// before any whole second. People schedule at whole seconds, so when those fall due the
/// spreading of their slot is long done.
const BIAS: i64 = 9_223_372_036_854_780;

/// A millisecond, counted from the beginning of all moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl Tick {
    /// The millisecond `moment` lies in.
    pub(super) const fn of(moment: Moment) -> Self {
        let tick = moment.as_micros().div_euclid(TICK_US.cast_signed()) + BIAS;
        Self(tick.cast_unsigned())
    }

    /// Its first microsecond (or the earliest moment, if the very first millisecond, which is
    /// not a whole one, would begin before it).
    pub(super) const fn start(self) -> Moment {
        let millis = self.0.cast_signed() - BIAS;
        Moment::from_micros(millis.saturating_mul(TICK_US.cast_signed()))
    }

    /// Where slot `slot` of `level` begins, in the turn of that level this tick lies in.
    pub(super) const fn slot_start(self, level: usize, slot: usize) -> Self {
        let below = SLOT_BITS * level;
        let turn = below + SLOT_BITS;
        Self((self.0 >> turn << turn) | ((slot as u64) << below))
    }
}

/// Where a timer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before the cursor's millisecond: overdue when it was armed.
    Late,
    /// In the cursor's millisecond, at this microsecond of it.
    Near(usize),
    /// Later: in a slot of a level.
    Slot(usize, usize),
}

impl Place {
    /// Where a timer `due` then belongs while the wheel stands at `cursor`.
    ///
    /// It is a function of these two alone; that is why timers need not note where they are,
    /// and why two with the same due time are always in the same list, in their order.
    ///
    /// The level is that of the highest group of six bits in which the two ticks differ. So
    /// all slots in use of a level lie after the cursor's own, in the same turn, and all of
    /// a level before all of the next.
    pub(super) const fn of(due: Moment, cursor: Tick) -> Self {
        let tick = Tick::of(due);
        if tick.0 < cursor.0 {
            return Self::Late;
        }
        let Some(highest) = (tick.0 ^ cursor.0).checked_ilog2() else {
            let within = due.as_micros().rem_euclid(TICK_US.cast_signed());
            return Self::Near((within.cast_unsigned() % TICK_US) as usize);
        };
        let level = highest as usize / SLOT_BITS;
        let slot = ((tick.0 >> (SLOT_BITS * level)) & SLOT_MASK) as usize;
        Self::Slot(level, slot)
    }
}

/// The width of a slot of `level`, in microseconds.
pub(super) const fn slot_us(level: usize) -> u64 {
    TICK_US << (SLOT_BITS * level)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: i64 = 1000;
    const EPOCH: Tick = Tick::of(Moment::from_micros(0));

    #[test]
    fn every_moment_has_a_place_seen_from_the_first() {
        let first = Tick::of(Moment::MIN);
        assert_eq!(Place::of(Moment::MIN, first), Place::Near(192));
        let Place::Slot(level, _) = Place::of(Moment::MAX, first) else {
            panic!("the last moment is far from the first");
        };
        assert_eq!(level, LEVELS - 1);
        assert_eq!(first.start(), Moment::MIN);
        assert_eq!(Tick::of(first.start()), first);
    }

    #[test]
    fn a_tick_is_a_whole_millisecond_before_the_epoch_as_after_it() {
        for (us, start) in [
            (-1001, -2000),
            (-1000, -1000),
            (-1, -1000),
            (0, 0),
            (999, 0),
        ] {
            assert_eq!(
                Tick::of(Moment::from_micros(us)).start(),
                Moment::from_micros(start)
            );
        }
    }

    #[test]
    fn a_boundary_lies_4_ms_before_a_whole_second_or_earlier() {
        for second in 0..1000 {
            let due = Tick(EPOCH.0 + second * 1000);
            for level in 1..4 {
                let width = slot_us(level) / TICK_US;
                assert!(due.0 % width >= 4, "second {second}, level {level}");
            }
        }
    }

    #[test]
    fn a_slot_holds_what_lies_between_its_start_and_the_next() {
        for level in 0..LEVELS - 1 {
            // The second slot after the cursor's, if the turn has one.
            let Place::Slot(at, slot) = Place::of(
                Moment::from_micros(slot_us(level).cast_signed().saturating_mul(2)),
                EPOCH,
            ) else {
                panic!("two slots on is not here");
            };
            let start = EPOCH.slot_start(at, slot);
            let end = Tick(start.0 + slot_us(at) / TICK_US);
            let last = Moment::from_micros(end.start().as_micros() - 1);
            assert_eq!(Place::of(start.start(), EPOCH), Place::Slot(at, slot));
            assert_eq!(Place::of(last, EPOCH), Place::Slot(at, slot));
            assert_ne!(Place::of(end.start(), EPOCH), Place::Slot(at, slot));
        }
    }

    #[test]
    fn before_the_cursors_millisecond_is_late_and_within_it_near() {
        assert_eq!(Place::of(Moment::from_micros(-1), EPOCH), Place::Late);
        assert_eq!(
            Place::of(Moment::from_micros(MILLI - 1), EPOCH),
            Place::Near(999)
        );
    }
}
