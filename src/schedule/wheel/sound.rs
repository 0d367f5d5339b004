//! Whether a wheel is sound inside, for its tests.

use super::place::Place;
use super::slots::Slot;
use super::{LEVELS, Wheel};

impl<T: Copy> Wheel<T> {
    /// Every timer is in the list its due time calls for and in no other, bounds and bitmaps
    /// are true.
    pub(super) fn assert_sound(&self) {
        let mut listed = 0;
        let mut walk = |list, place: &dyn Fn(Place) -> bool| {
            for at in self.slab.walk(list) {
                let due = self.slab.due(at);
                assert!(place(Place::of(due, self.cursor)), "{due:?} is misplaced");
                assert_eq!(self.slab.find(self.slab.get(at).0), Some(at));
                listed += 1;
            }
        };
        for (due, list) in &self.exact {
            assert!(!list.is_empty());
            walk(*list, &|place| place == Place::Exact);
            assert!(self.slab.walk(*list).all(|at| self.slab.due(at) == *due));
        }
        // Each of these will find its place later.
        walk(self.spreading.list, &|_| true);
        let bounded = |slot: &Slot| {
            let mut dues = self.slab.walk(slot.list).map(|at| self.slab.due(at));
            dues.all(|due| slot.min <= due && due <= slot.max)
        };
        assert!(bounded(&self.spreading));
        for level in 0..LEVELS {
            let mut occupied = 0_u64;
            for index in 0..64 {
                let slot = self.levels.slot(level, index);
                walk(slot.list, &|place| place == Place::Slot(level, index));
                assert!(bounded(slot));
                occupied |= u64::from(!slot.list.is_empty()) << index;
            }
            assert_eq!(self.levels.occupied(level), occupied);
        }
        assert_eq!(listed, self.len());
        assert_eq!(self.iter().count(), self.len());
    }
}
