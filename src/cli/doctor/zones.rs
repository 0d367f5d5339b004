//! Checks of time zones: the age of the zone data, because rules change a few times a year, and
//! names in the tables that are not time zones.

use jiff::Timestamp;

use crate::clock::{self, ZoneData};
use crate::store::doctor::{Finding, Level, Said, Zones};

/// Older data certainly misses a change.
const YEARS_MAX: i16 = 2;

/// How many names are shown.
const SHOWN: usize = 5;

/// How many characters of each are shown.
const SHOWN_CHARS: usize = 40;

/// Names in the tables that are not IANA time zones.
pub(super) fn unknown(zones: &Zones) -> Finding {
    const WHAT: &str = "zones";
    let known = ZoneData::newest().zones;
    let said = zones.said.iter();
    let unknown: Vec<&Said> = said
        .filter(|said| known.get(&said.zone).is_none())
        .collect();
    if unknown.is_empty() {
        let found = if zones.of_users_too {
            "all valid"
        } else {
            "valid in messages; this role may not read those of users"
        };
        return Finding::ok(WHAT, found);
    }
    let listed: Vec<String> = unknown
        .iter()
        .take(SHOWN)
        .map(|said| format!("{} ({} of {})", shown(&said.zone), said.times, said.whose))
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
        format!("not an IANA time zone: {}{more}", listed.join(", ")),
        "write names like America/Los_Angeles; until then the user's zone applies, then \
         PUNCTUAL_TIMEZONE",
    )
}

/// Zones that are IANA's and have no summer time, though the places that they are named after have.
pub(super) fn without_summer(zones: &Zones) -> Finding {
    const WHAT: &str = "summer time";
    let fixed: Vec<&Said> = zones
        .said
        .iter()
        .filter(|said| is_fixed(&said.zone))
        .collect();
    if fixed.is_empty() {
        return Finding::ok(WHAT, "no zone that is fixed all year");
    }
    let listed: Vec<String> = fixed
        .iter()
        .take(SHOWN)
        .map(|said| format!("{} ({} of {})", shown(&said.zone), said.times, said.whose))
        .collect();
    Finding::not(
        Level::Warn,
        WHAT,
        format!("fixed all year: {}", listed.join(", ")),
        "in summer these times are an hour off: write America/New_York for EST, America/Denver for MST",
    )
}

/// `EST`, `MST` and offsets. `HST` is not among them, because Hawaii has no summer time, nor is UTC.
pub(super) fn is_fixed(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["EST", "MST"].contains(&name.as_str())
        || name
            .strip_prefix("ETC/GMT")
            .is_some_and(|offset| offset.parse::<i8>().is_ok_and(|hours| hours != 0))
}

/// What is written like a zone is meant for one. Anything else may be a number or a text.
fn shown(name: &str) -> String {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let alike = |b: u8| b.is_ascii_alphanumeric() || b"/_+-".contains(&b);
    if name.len() <= SHOWN_CHARS && digits <= 2 && name.bytes().all(alike) {
        format!("{name:?}")
    } else {
        "something that does not look like one".to_owned()
    }
}

pub(super) fn check() -> Finding {
    const WHAT: &str = "zone data";
    let data = ZoneData::newest();
    let place = data
        .dir
        .map_or_else(|| "built in".into(), |dir| dir.display().to_string());
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
