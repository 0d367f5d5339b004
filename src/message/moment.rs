//! Times as values, on the database's clock or on the machine's, each with its own type.

use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
#[cfg(test)]
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// A time on the **database's** clock: microseconds since the Unix epoch, the resolution of `timestamptz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(i64);

/// A time on this machine's `CLOCK_BOOTTIME`, in microseconds. It continues while the machine sleeps and cannot
/// be set, so leases are measured with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uptime(i64);

/// The current time on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The estimated time of the database's clock.
    pub db: Moment,
    /// This machine's uptime.
    pub up: Uptime,
}

/// Longer durations (292,000 years) saturate.
fn micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

macro_rules! clock {
    ($name:ident) => {
        impl $name {
            /// The earliest time.
            pub const MIN: Self = Self(i64::MIN);
            /// The latest time.
            pub const MAX: Self = Self(i64::MAX);

            /// From microseconds since this clock's zero.
            pub const fn from_micros(us: i64) -> Self {
                Self(us)
            }

            /// Microseconds since this clock's zero.
            pub const fn as_micros(self) -> i64 {
                self.0
            }

            /// The time since `earlier`; zero if that is later.
            pub fn since(self, earlier: Self) -> Duration {
                Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
            }

            /// Microseconds from `other` to this; negative if this is earlier.
            pub const fn micros_from(self, other: Self) -> i64 {
                self.0.saturating_sub(other.0)
            }
        }

        impl Add<Duration> for $name {
            type Output = Self;
            fn add(self, d: Duration) -> Self {
                Self(self.0.saturating_add(micros(d)))
            }
        }

        impl Sub<Duration> for $name {
            type Output = Self;
            fn sub(self, d: Duration) -> Self {
                Self(self.0.saturating_sub(micros(d)))
            }
        }
    };
}

clock!(Moment);
clock!(Uptime);

impl Moment {
    /// As a date and time; `None` outside chrono's range.
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0)
    }
}

impl From<DateTime<Utc>> for Moment {
    fn from(t: DateTime<Utc>) -> Self {
        Self(t.timestamp_micros())
    }
}

/// RFC 3339 with microseconds and `Z`, as in the debug JSON and the logs.
impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_utc() {
            Some(t) => f.write_str(&t.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None if self.0 > 0 => f.write_str("infinity"),
            None => f.write_str("-infinity"),
        }
    }
}

#[cfg(test)]
impl utoipa::PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "RFC 3339 with microseconds and `Z`, or `infinity`, `-infinity`.",
            ))
            .pattern(Some(
                r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z|-?infinity)$",
            ))
            .into()
    }
}

#[cfg(test)]
impl utoipa::ToSchema for Moment {}

impl serde::Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// As it is written; `infinity` and `-infinity` are the last and the first.
impl std::str::FromStr for Moment {
    type Err = chrono::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "infinity" => Ok(Self::MAX),
            "-infinity" => Ok(Self::MIN),
            text => DateTime::parse_from_rfc3339(text).map(|at| at.to_utc().into()),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate_instead_of_wrapping() {
        assert_eq!(Moment::MAX + Duration::from_secs(1), Moment::MAX);
        assert_eq!(Moment::MIN - Duration::from_secs(1), Moment::MIN);
        assert_eq!(Moment::MIN.since(Moment::MAX), Duration::ZERO);
    }

    #[test]
    fn writes_microseconds_in_utc() {
        let m = Moment::from_micros(1_767_258_000_000_001);
        assert_eq!(m.to_string(), "2026-01-01T09:00:00.000001Z");
        assert_eq!(Moment::MAX.to_string(), "infinity");
        for at in [m, Moment::MAX, Moment::MIN, Moment::default()] {
            assert_eq!(at.to_string().parse(), Ok(at));
        }
    }
}
