//! What the database's clock says, from what was heard of it. Pure.
//!
//! A reading of a far clock is bracketed: it was taken after the question left and before the
//! answer came. Half of that span is its uncertainty; the reading with the smallest counts.

use crate::message::{Moment, Uptime};

/// This machine's two clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// `CLOCK_REALTIME`, microseconds since the Unix epoch. Anybody may set it.
    pub real_us: i64,
    /// `CLOCK_BOOTTIME`. Nobody can.
    pub up: Uptime,
}

impl Reading {
    /// Where zero of the uptime lies on the wall clock.
    const fn boot_us(self) -> i64 {
        self.real_us - self.up.as_micros()
    }
}

/// A jump of the wall clock against the uptime by more than this is a step, not the slewing of
/// a time daemon (at most 500 ppm, 2.5 ms between two measurements).
pub const STEP_US: i64 = 5_000;

/// A measurement counts for this long against a worse but newer one: quartz drifts about 50 µs
/// a second at the very worst.
const FRESH_US: i64 = 60 * 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Zero of the uptime on the database's clock.
    boot_db_us: i64,
    /// Zero of the uptime on the wall clock when this was taken.
    boot_real_us: i64,
    uncertainty_us: i64,
    taken: Uptime,
}

impl Sample {
    const fn agrees(&self) -> bool {
        (self.boot_db_us - self.boot_real_us).abs() <= self.uncertainty_us
    }

    /// Whether the wall clock was set since this was taken.
    const fn is_before_a_step(&self, now: Reading) -> bool {
        (now.boot_us() - self.boot_real_us).abs() > STEP_US
    }
}

/// The estimate of the database's clock.
#[derive(Debug, Default)]
pub struct Offset {
    best: Option<Sample>,
    stepped: bool,
}

impl Offset {
    /// Nothing measured yet: the wall clock is believed, but [`Self::is_trusted`] is false.
    pub const fn new() -> Self {
        Self {
            best: None,
            stepped: false,
        }
    }

    /// Takes in a reading of the database's clock, made between two readings of ours.
    pub fn measured(&mut self, before: Reading, database: Moment, after: Reading) {
        let span = after.up.micros_from(before.up).max(0);
        let middle = before.up.as_micros() + span / 2;
        let sample = Sample {
            boot_db_us: database.as_micros() - middle,
            boot_real_us: after.boot_us(),
            // Rounded up, and a microsecond for the clocks' own grain.
            uncertainty_us: span / 2 + 1,
            taken: after.up,
        };
        // The wall clock was set while the question was on its way: of no use.
        if (before.boot_us() - after.boot_us()).abs() > STEP_US {
            return;
        }
        let keep = !self.stepped
            && self.best.is_some_and(|best| {
                best.uncertainty_us < sample.uncertainty_us
                    && after.up.micros_from(best.taken) < FRESH_US
                    // Two readings that exclude each other: the database's clock was set, or
                    // we talk to another database. The newer one is right.
                    && (best.boot_db_us - sample.boot_db_us).abs()
                        <= best.uncertainty_us + sample.uncertainty_us + STEP_US
            });
        if keep {
            if let Some(best) = &mut self.best
                && best.agrees()
            {
                best.boot_real_us = sample.boot_real_us;
                best.boot_db_us = sample.boot_real_us;
            }
        } else {
            self.best = Some(sample);
        }
        self.stepped = false;
    }

    /// Looks at a reading for a step of the wall clock. True once, when one is found.
    pub fn notice(&mut self, now: Reading) -> bool {
        let Some(best) = &self.best else {
            return false;
        };
        let stepped = best.is_before_a_step(now);
        let news = stepped && !self.stepped;
        self.stepped |= stepped;
        news
    }

    /// Whether the database's clock is known.
    pub const fn is_trusted(&self) -> bool {
        self.best.is_some() && !self.stepped
    }

    /// Zero of the uptime on the database's clock, in microseconds since the Unix epoch.
    ///
    /// Where the database and this machine agree within the uncertainty, the offset is taken
    /// as none, and the slewing of the wall clock is followed. A step never is, not even before
    /// anybody has noticed it: a claim that is answered in that moment is judged by this.
    pub const fn boot_us(&self, now: Reading) -> i64 {
        match &self.best {
            Some(best) if self.stepped || best.is_before_a_step(now) || !best.agrees() => {
                best.boot_db_us
            }
            _ => now.boot_us(),
        }
    }

    /// The database's clock minus the wall clock, and how far off that may be, in microseconds.
    pub const fn estimate(&self) -> Option<(i64, i64)> {
        match &self.best {
            Some(best) if best.agrees() => Some((0, best.uncertainty_us)),
            Some(best) => Some((best.boot_db_us - best.boot_real_us, best.uncertainty_us)),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose wall clock stood at `real` when its uptime was zero.
    fn at(real: i64, up: i64) -> Reading {
        Reading {
            real_us: real + up,
            up: Uptime::from_micros(up),
        }
    }

    const BOOT: i64 = 1_700_000_000_000_000;

    fn measured(offset: &mut Offset, ahead: i64, sent: i64, took: i64) {
        let database = Moment::from_micros(BOOT + sent + took / 2 + ahead);
        offset.measured(at(BOOT, sent), database, at(BOOT, sent + took));
    }

    #[test]
    fn agreement_within_the_uncertainty_is_no_offset() {
        let mut offset = Offset::new();
        assert!(!offset.is_trusted());
        measured(&mut offset, 40, 1_000, 100);
        assert_eq!(offset.estimate(), Some((0, 51)));
        assert_eq!(offset.boot_us(at(BOOT + 300, 2_000)), BOOT + 300);
    }

    #[test]
    fn a_step_is_not_followed_for_a_moment_though_nobody_has_noticed_it() {
        let half_an_hour = 1_800_000_000;
        let mut offset = Offset::new();
        measured(&mut offset, 40, 1_000, 100);
        let before = offset.boot_us(at(BOOT, 2_000));
        for by in [half_an_hour, -half_an_hour] {
            let step = at(BOOT + by, 3_000);
            assert!((offset.boot_us(step) - before).abs() <= 51);
            // A measurement that the step fell into changes nothing about that.
            let database = Moment::from_micros(BOOT + 3_000);
            offset.measured(at(BOOT, 2_000), database, step);
            assert!((offset.boot_us(step) - before).abs() <= 51);
            assert!(offset.notice(step), "and it is news all the same");
            measured(&mut offset, 40, 4_000, 100);
        }
    }

    #[test]
    fn the_shortest_way_counts_until_it_is_old() {
        let mut offset = Offset::new();
        measured(&mut offset, 9_000, 0, 100);
        measured(&mut offset, 9_300, 1_000_000, 2_000);
        assert_eq!(offset.estimate(), Some((9_000, 51)));
        assert_eq!(offset.boot_us(at(BOOT, 5)), BOOT + 9_000);
        measured(&mut offset, 9_300, 61_000_000, 2_000);
        assert_eq!(offset.estimate(), Some((9_300, 1_001)));
    }

    #[test]
    fn a_database_whose_clock_was_set_is_believed() {
        let mut offset = Offset::new();
        measured(&mut offset, 0, 0, 100);
        measured(&mut offset, 3_600_000_000, 1_000_000, 200);
        assert_eq!(offset.estimate(), Some((3_600_000_000, 101)));
    }

    #[test]
    fn a_step_of_the_wall_clock_is_found_once_and_does_not_move_the_estimate() {
        let mut offset = Offset::new();
        measured(&mut offset, 0, 0, 100);
        assert!(!offset.notice(at(BOOT + STEP_US, 1_000)));
        let stepped = at(BOOT + 3_600_000_000, 2_000);
        assert!(offset.notice(stepped));
        assert!(!offset.notice(stepped));
        assert!(!offset.is_trusted());
        assert_eq!(offset.boot_us(stepped), BOOT);
        // Measured again, against the wall clock as it is now.
        offset.measured(stepped, Moment::from_micros(BOOT + 2_050), stepped);
        assert!(offset.is_trusted());
        assert_eq!(offset.boot_us(stepped), BOOT + 50);
    }
}
