//! The age of the zone data, for rules of time zones change a few times a year; and names that
//! are in none.

use jiff::Timestamp;

use crate::clock::{self, ZoneData};
use crate::store::doctor::{Finding, Level, Said, Zones};

/// Older than this, some zone has certainly changed since.
const YEARS_MAX: i16 = 2;

/// So many names are shown, and so much of each.
const SHOWN: usize = 5;

/// See [`SHOWN`].
const SHOWN_CHARS: usize = 40;

/// What was written where a zone should stand and is none.
pub(super) fn unknown(zones: &Zones) -> Finding {
    const WHAT: &str = "zones";
    let known = ZoneData::newest().zones;
    let said = zones.said.iter();
    let unknown: Vec<&Said> = said
        .filter(|said| known.get(&said.zone).is_none())
        .collect();
    if unknown.is_empty() {
        let found = if zones.of_users_too {
            "all that are named are known"
        } else {
            "those of messages are known; this role may not read those of users"
        };
        return Finding::ok(WHAT, found);
    }
    let told: Vec<String> = unknown
        .iter()
        .take(SHOWN)
        .map(|said| {
            let name: String = said.zone.chars().take(SHOWN_CHARS).collect();
            format!("{name:?} ({} of {})", said.times, said.whose)
        })
        .collect();
    let more = unknown.len().saturating_sub(SHOWN);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    Finding::not(
        Level::Warn,
        WHAT,
        format!("no IANA zone: {}{more}", told.join(", ")),
        "they are judged by the next that is known, the user's, then PUNCTUAL_TIMEZONE: write \
         names like America/Los_Angeles",
    )
}

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
    Timestamp::from_microsecond(clock::reading().real_us).map_or(0, |now| {
        now.to_zoned_datetime(jiff::tz::TimeZone::UTC).year()
    })
}
