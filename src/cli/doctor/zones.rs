//! The age of the zone data: rules of time zones change a few times a year.

use jiff::Timestamp;

use crate::clock::{self, ZoneData};
use crate::store::doctor::{Finding, Level};

/// Older than this, some zone has certainly changed since.
const YEARS_MAX: i16 = 2;

pub(super) fn check() -> Finding {
    const WHAT: &str = "zone data";
    let data = ZoneData::newest();
    let place = data
        .dir
        .map_or_else(|| "in this program".into(), |dir| dir.display().to_string());
    let found = format!("{}, {place}", data.version);
    let year: Option<i16> = data.version.get(..4).and_then(|year| year.parse().ok());
    if year.is_some_and(|year| this_year() - year <= YEARS_MAX) {
        return Finding::ok(WHAT, found);
    }
    Finding::not(
        Level::Warn,
        WHAT,
        found,
        "local times may be an hour off: update the package tzdata, or Punctual",
    )
}

fn this_year() -> i16 {
    Timestamp::from_microsecond(clock::reading().real_us)
        .map_or(0, |now| now.to_zoned(jiff::tz::TimeZone::UTC).year())
}
