//! The only reader of time.
//!
//! The daemon uses the **database's** time, computed as this machine's uptime plus an offset
//! that is measured with every claim. So a stepped wall clock has no effect, a suspend of the
//! machine is included, and "due" means the same here and in the claim's `where`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::time::{ClockId, clock_gettime};

use crate::message::{Moment, Now, Uptime};
use crate::schedule::offset::{Offset, Reading};

mod stopwatch;
mod wake;
mod zones;

pub use stopwatch::Stopwatch;
pub use wake::WakeTimer;
pub use zones::ZoneData;

/// The machine's clocks, and the offset of the database's.
#[derive(Debug, Default)]
pub struct Clock {
    offset: Mutex<Offset>,
}

/// A reading of both clocks that took longer was interrupted, and would look like a step of one of them.
const READING_US: i64 = 500;

/// So often an interrupted reading is repeated.
const READINGS_MAX: usize = 10;

/// Reads both clocks of this machine.
pub fn reading() -> Reading {
    let mut up = micros(ClockId::Boottime);
    for _ in 1..READINGS_MAX {
        let real_us = micros(ClockId::Realtime);
        let after = micros(ClockId::Boottime);
        if after - up <= READING_US {
            return Reading {
                real_us,
                up: Uptime::from_micros(up.midpoint(after)),
            };
        }
        up = after;
    }
    Reading {
        real_us: micros(ClockId::Realtime),
        up: Uptime::from_micros(up),
    }
}

fn micros(clock: ClockId) -> i64 {
    let t = clock_gettime(clock);
    t.tv_sec * 1_000_000 + t.tv_nsec / 1_000
}

impl Clock {
    /// A clock that has not been measured against the database.
    pub const fn new() -> Self {
        Self {
            offset: Mutex::new(Offset::new()),
        }
    }

    /// The same, if a person confirms the database's clock even if this machine's differs.
    pub const fn accepting() -> Self {
        Self {
            offset: Mutex::new(Offset::new().accepting()),
        }
    }

    fn offset(&self) -> MutexGuard<'_, Offset> {
        // The estimate is consistent after every statement, so a panic elsewhere does no harm.
        self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present instant. Never later than the database's clock by more than the uncertainty.
    pub fn now(&self) -> Now {
        let reading = reading();
        let boot = self.offset().boot_us(reading);
        Now {
            db: Moment::from_micros(boot.saturating_add(reading.up.as_micros())),
            up: reading.up,
        }
    }

    /// Adds a reading of the database's clock that was made between `before` and now.
    pub fn measured(&self, before: Reading, database: Moment) {
        self.offset().measured(before, database, reading());
    }

    /// Adds the date of a response that the provider made between `before` and now.
    pub fn witnessed(&self, before: Reading, date: Moment) {
        self.offset().witnessed(before, date, reading());
    }

    /// Whether the clock has just been lost: the wall clock was stepped, or the database's clock jumped. True once,
    /// until it is known again.
    pub fn found_lost(&self) -> bool {
        self.offset().notice(reading())
    }

    /// By how much the database's clock differs from a second source, in microseconds.
    pub fn disputed(&self) -> Option<i64> {
        self.offset().disputed()
    }

    /// Whether the database's clock is known.
    pub fn is_trusted(&self) -> bool {
        self.offset().is_trusted()
    }

    /// The database's clock minus this machine's, and the uncertainty, in microseconds.
    pub fn estimate(&self) -> Option<(i64, i64)> {
        self.offset().estimate()
    }
}
