//! The estimate of the database's clock, from its readings. Pure.
//!
//! A reading of a remote clock is bracketed: it was taken after the request was sent and before
//! the response arrived. Half of that span is its uncertainty; the reading with the smallest counts.

use crate::message::{Moment, Uptime};

/// This machine's two clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// `CLOCK_REALTIME`, microseconds since the Unix epoch. It may be set.
    pub real_us: i64,
    /// `CLOCK_BOOTTIME`, which nobody can set.
    pub up: Uptime,
}

impl Reading {
    /// Where zero of the uptime lies on the wall clock.
    const fn boot_us(self) -> i64 {
        self.real_us - self.up.as_micros()
    }
}

/// A jump of the wall clock against the uptime by more than this is a step.
pub const STEP_US: i64 = 5_000;

/// By at most one part in this many a clock gains or loses while it is slewed: 10 ms a second. That is no step.
const SLEW: i64 = 100;

/// By at most one part in this many two clocks drift apart: 50 µs a second.
const DRIFT: i64 = 20_000;

/// A difference that is neither drift, nor slewing, nor a server that takes over with its own good clock.
pub const JUMP_US: i64 = 1_000_000;

/// A measurement counts for this long against a worse but newer one, and so does a provider's date.
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

    /// Whether both cannot be right: the database's clock was slewed or set a little since this was taken, or
    /// another server has taken over.
    fn excludes(&self, newer: &Self) -> bool {
        let drift = newer.taken.micros_from(self.taken) / DRIFT;
        let apart = (self.boot_db_us - newer.boot_db_us).abs();
        apart > self.uncertainty_us + newer.uncertainty_us + drift
    }
}

/// What a provider's clock shows.
#[derive(Clone, Copy, Debug)]
struct Witness {
    /// Zero of the uptime on the provider's clock.
    boot_us: i64,
    uncertainty_us: i64,
    taken: Uptime,
}

/// Whether the wall clock was set between two readings.
fn is_step(before: Reading, after: Reading) -> bool {
    let slewed = after.up.micros_from(before.up).max(0) / SLEW;
    (before.boot_us() - after.boot_us()).abs() > STEP_US + slewed
}

/// The estimate of the database's clock.
#[derive(Debug, Default)]
pub struct Offset {
    best: Option<Sample>,
    /// The latest reading of this machine's clocks.
    last: Option<Reading>,
    stepped: bool,
    /// The provider's date, while it is fresh.
    witness: Option<Witness>,
    /// The latest reading of the database's clock is not followed; by so much it differs, in microseconds.
    disputed: Option<i64>,
    /// Whether it was reported that the clock is lost.
    reported: bool,
    /// A person confirms the database's clock, whatever this machine's says.
    accepts_first: bool,
}

impl Offset {
    /// Nothing measured yet: the wall clock is used, but [`Self::is_trusted`] is false.
    pub const fn new() -> Self {
        Self {
            best: None,
            last: None,
            stepped: false,
            witness: None,
            disputed: None,
            reported: false,
            accepts_first: false,
        }
    }

    /// The same, where a person confirms what the first measurement shows.
    #[must_use]
    pub const fn accepting(self) -> Self {
        Self {
            accepts_first: true,
            ..self
        }
    }

    /// Applies a reading of the database's clock, made between two readings of this machine's.
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
        // The wall clock was set during the reading: of no use.
        if is_step(before, after) {
            return;
        }
        self.disputed = self.dispute(&sample, after);
        if self.disputed.is_some() {
            return;
        }
        let keep = !self.stepped
            && self.best.is_some_and(|best| {
                best.uncertainty_us < sample.uncertainty_us
                    && after.up.micros_from(best.taken) < FRESH_US
                    && !best.excludes(&sample)
                    // The wall clock was followed until now, and is no longer the database's.
                    && (sample.agrees() || !best.agrees())
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
        self.last = Some(after);
        self.stepped = false;
        self.reported = false;
    }

    /// Applies the date of a response that the provider made between two readings of this machine's clocks. It is
    /// cut to a second.
    pub fn witnessed(&mut self, before: Reading, date: Moment, after: Reading) {
        let span = after.up.micros_from(before.up).max(0);
        let middle = before.up.as_micros() + span / 2;
        self.witness = Some(Witness {
            boot_us: date.as_micros() + 500_000 - middle,
            uncertainty_us: span / 2,
            taken: after.up,
        });
    }

    /// By how much a reading differs, if nothing else confirms it. One that jumps is right only if this machine's
    /// wall clock agrees with it, which then must not have been stepped itself, or if the provider's date does.
    fn dispute(&self, sample: &Sample, after: Reading) -> Option<i64> {
        let off_wall = sample.boot_db_us - after.boot_us();
        let is_near = |off: i64, uncertainty: i64| off.abs() < JUMP_US + uncertainty;
        let wall_agrees = is_near(off_wall, sample.uncertainty_us);
        let provider_agrees = self.witness.is_some_and(|witness| {
            let off = sample.boot_db_us - witness.boot_us;
            after.up.micros_from(witness.taken) < FRESH_US
                && is_near(off, sample.uncertainty_us + witness.uncertainty_us)
        });
        if provider_agrees {
            return None;
        }
        match &self.best {
            None => (!self.accepts_first && !wall_agrees).then_some(off_wall),
            Some(best) => {
                let jump = sample.boot_db_us - best.boot_db_us;
                let wall_is_steady = !self.stepped && !best.is_before_a_step(after);
                let follows = is_near(jump, best.uncertainty_us + sample.uncertainty_us);
                (!(follows || wall_is_steady && wall_agrees)).then_some(jump)
            }
        }
    }

    /// Checks whether the clock is lost: the wall clock was stepped, or the database's jumped.
    /// True once, when it is.
    pub fn notice(&mut self, now: Reading) -> bool {
        let before = self.last.replace(now);
        self.stepped |= self.best.is_some() && before.is_some_and(|before| is_step(before, now));
        let lost = self.stepped || self.disputed.is_some();
        lost && !std::mem::replace(&mut self.reported, lost)
    }

    /// By how much the database's clock differs from what nothing but itself confirms, in microseconds.
    pub const fn disputed(&self) -> Option<i64> {
        self.disputed
    }

    /// Whether the database's clock is known.
    pub const fn is_trusted(&self) -> bool {
        self.best.is_some() && !self.stepped && self.disputed.is_none()
    }

    /// Zero of the uptime on the database's clock, in microseconds since the Unix epoch.
    ///
    /// Where the database and this machine agree within the uncertainty, the offset is taken
    /// as none, and small changes of the wall clock are followed. A step never is, not even before
    /// it was noticed: a claim that completes in that moment is judged by this.
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
mod tests;
