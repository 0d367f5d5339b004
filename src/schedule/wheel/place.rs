//! Where a due time belongs, seen from the cursor: the wheel's arithmetic, and nothing else.

use crate::message::Moment;

/// The bits of a moment that lie within a slot of level 0: 2^20 µs, about a second. Finer slots
/// would only be emptied into the exact order one by one.
const TICK_BITS: usize = 20;

/// Slots a level, and so by how much a level is coarser than the one below: as many as a
/// `u64` has bits, so that the next occupied one is found by a single instruction.
pub(super) const SLOTS: usize = 64;

/// The bits of a tick that choose a slot of a level.
const SLOT_BITS: usize = SLOTS.trailing_zeros() as usize;

/// Selects the slot in the finest level from a tick: its lowest [`SLOT_BITS`] bits.
const SLOT_MASK: u64 = SLOTS as u64 - 1;

/// How many levels there are. Eight levels of 64 slots reach over every [`Moment`] there is,
/// `infinity` included, so no timer is ever "too far" and none has to go round. The first two
/// alone span 71 minutes; the rest cost a few kilobytes.
pub const LEVELS: usize = (u64::BITS as usize - TICK_BITS).div_ceil(SLOT_BITS);

/// A slot of level 0, counted from the beginning of all moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl Tick {
    /// The tick `moment` lies in.
    pub(super) const fn of(moment: Moment) -> Self {
        // The earliest moment becomes zero.
        let since = moment.as_micros().wrapping_sub(i64::MIN).cast_unsigned();
        Self(since >> TICK_BITS)
    }

    /// Its first microsecond.
    pub(super) const fn start(self) -> Moment {
        Moment::from_micros((self.0 << TICK_BITS).cast_signed().wrapping_add(i64::MIN))
    }

    /// Which slot of level 0 this is.
    pub(super) const fn slot(self) -> usize {
        (self.0 & SLOT_MASK) as usize
    }

    /// Where slot `slot` of `level` begins, in the turn of that level this tick lies in.
    pub(super) const fn slot_start(self, level: usize, slot: usize) -> Self {
        let below = SLOT_BITS * level;
        let turn = below + SLOT_BITS;
        Self((self.0 >> turn << turn) | ((slot as u64) << below))
    }

    /// The last tick of that slot.
    pub(super) const fn slot_end(self, level: usize, slot: usize) -> Self {
        let within = (1 << (SLOT_BITS * level)) - 1;
        Self(self.slot_start(level, slot).0 | within)
    }
}

/// Where a timer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the cursor's tick or before it: in order of time, to the microsecond.
    Exact,
    /// Later: in a slot of a level.
    Slot(usize, usize),
}

impl Place {
    /// Where a timer that is due then belongs while the wheel is at `cursor`.
    ///
    /// It is a function of these two alone; that is why timers need not note where they are,
    /// and why two with the same due time are always in the same list, in their order.
    ///
    /// The level is that of the highest group of six bits in which the two ticks differ. So
    /// all slots in use of a level lie after the cursor's own, in the same turn, and all of
    /// a level before all of the next.
    pub(super) const fn of(due: Moment, cursor: Tick) -> Self {
        let tick = Tick::of(due);
        if tick.0 <= cursor.0 {
            return Self::Exact;
        }
        let level = (tick.0 ^ cursor.0).ilog2() as usize / SLOT_BITS;
        let slot = ((tick.0 >> (SLOT_BITS * level)) & SLOT_MASK) as usize;
        Self::Slot(level, slot)
    }
}

/// The width of a slot of `level`, in microseconds.
pub(super) const fn slot_us(level: usize) -> u64 {
    1 << (TICK_BITS + SLOT_BITS * level)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: i64 = slot_us(0).cast_signed();
    const EPOCH: Tick = Tick::of(Moment::from_micros(0));

    #[test]
    fn every_moment_has_a_place_seen_from_the_first() {
        let first = Tick::of(Moment::MIN);
        assert_eq!(Place::of(Moment::MIN, first), Place::Exact);
        let Place::Slot(level, _) = Place::of(Moment::MAX, first) else {
            panic!("the last moment is far from the first");
        };
        assert_eq!(level, LEVELS - 1);
        assert_eq!(first.start(), Moment::MIN);
    }

    #[test]
    fn a_tick_is_as_wide_before_the_epoch_as_after_it() {
        for (us, start) in [
            (-WIDTH - 1, -2 * WIDTH),
            (-WIDTH, -WIDTH),
            (-1, -WIDTH),
            (0, 0),
            (WIDTH - 1, 0),
        ] {
            assert_eq!(
                Tick::of(Moment::from_micros(us)).start(),
                Moment::from_micros(start)
            );
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
            let (start, end) = (EPOCH.slot_start(at, slot), EPOCH.slot_end(at, slot));
            let next = Tick(end.0 + 1).start();
            let last = Moment::from_micros(next.as_micros() - 1);
            assert_eq!(Place::of(start.start(), EPOCH), Place::Slot(at, slot));
            assert_eq!(Place::of(last, EPOCH), Place::Slot(at, slot));
            assert_ne!(Place::of(next, EPOCH), Place::Slot(at, slot));
        }
    }

    #[test]
    fn up_to_the_end_of_the_cursors_tick_the_order_is_exact() {
        assert_eq!(Place::of(Moment::from_micros(-1), EPOCH), Place::Exact);
        assert_eq!(
            Place::of(Moment::from_micros(WIDTH - 1), EPOCH),
            Place::Exact
        );
        assert_eq!(
            Place::of(Moment::from_micros(WIDTH), EPOCH),
            Place::Slot(0, 1)
        );
    }
}
