//! The recipient's time zone.
//!
//! Zone data is an argument, so that the daemon can use the newer of its own and the system's, and a test any.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::Rules;
use crate::message::Facts;
use crate::message::facts::TypeHours;

/// The names and rules of the IANA zones.
#[derive(Clone, Debug)]
pub struct Zones(TimeZoneDatabase);

impl Zones {
    /// The data in this binary.
    pub fn bundled() -> Self {
        Self(TimeZoneDatabase::bundled())
    }

    /// Other data.
    pub const fn new(database: TimeZoneDatabase) -> Self {
        Self(database)
    }

    /// The names of all zones.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.available().map(|name| name.to_string())
    }

    /// The zone of this name, in upper or lower case.
    pub fn get(&self, name: &str) -> Option<TimeZone> {
        self.0
            .get(name.trim())
            .ok()
            // `Etc/Unknown` is a name, but no zone.
            .filter(|zone| !zone.is_unknown())
    }
}

/// The zone that a message is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The zone.
    pub zone: TimeZone,
    /// Names of higher priority that are not zones.
    pub warnings: Vec<ZoneWarning>,
}

impl Chosen {
    /// The zone's name.
    pub fn name(&self) -> &str {
        name_of(&self.zone)
    }
}

/// For people. Zones of the database always have a name.
pub(super) fn name_of(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// A value that is not a zone. It may be anything, private data too, so only the history of the message shows
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneWarning {
    whose: &'static str,
    name: String,
}

impl ZoneWarning {
    /// The same with the value.
    pub fn with_name(&self) -> String {
        format!("{} {:?} is not an IANA time zone", self.whose, self.name)
    }
}

impl std::fmt::Display for ZoneWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is not an IANA time zone", self.whose)
    }
}

/// The most characters of such a value that are shown.
const SHOWN_CHARS: usize = 40;

/// The recipient's zone: the row's, else that of the preferences, else that of the app's table of users, else the
/// installation's. Values that are not zones are skipped.
pub fn zone_of(facts: &Facts, rules: &Rules) -> Chosen {
    match said(facts, rules) {
        (Some(zone), warnings) => Chosen { zone, warnings },
        (None, warnings) => {
            let zone = rules.timezone.clone();
            Chosen { zone, warnings }
        }
    }
}

/// The recipient's zone as far as it is said of them: not the installation's.
pub(super) fn known_zone(facts: &Facts, rules: &Rules) -> Option<TimeZone> {
    said(facts, rules).0
}

fn said(facts: &Facts, rules: &Rules) -> (Option<TimeZone>, Vec<ZoneWarning>) {
    let of_user = facts.preferences.as_ref().and_then(|p| p.timezone.as_ref());
    let said = [
        ("timezone", facts.timezone.as_ref()),
        ("the preferences' timezone", of_user),
        ("the user's timezone", facts.account_timezone.as_ref()),
    ];
    let mut warnings = Vec::new();
    for (whose, name) in said {
        let Some(name) = name.filter(|name| !name.trim().is_empty()) else {
            continue;
        };
        if let Some(zone) = rules.zones.get(name) {
            return (Some(zone), warnings);
        }
        let name = name.chars().take(SHOWN_CHARS).collect();
        warnings.push(ZoneWarning { whose, name });
    }
    (None, warnings)
}

/// The zone of the quiet hours for a type of messages: their own, else the recipient's.
pub(super) fn zone_of_type(own: &TypeHours, facts: &Facts, rules: &Rules) -> Chosen {
    let Some(name) = own
        .timezone
        .as_deref()
        .filter(|name| !name.trim().is_empty())
    else {
        return zone_of(facts, rules);
    };
    if let Some(zone) = rules.zones.get(name) {
        let warnings = Vec::new();
        return Chosen { zone, warnings };
    }
    let mut chosen = zone_of(facts, rules);
    let name = name.chars().take(SHOWN_CHARS).collect();
    let whose = "the timezone of its type's preferences";
    chosen.warnings.push(ZoneWarning { whose, name });
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::facts::{Preferences, QuietHours};

    #[track_caller]
    fn check(row: Option<&str>, user: Option<&str>, expected: &str, warnings: &[&str]) {
        let rules = Rules {
            timezone: Zones::bundled().get("Asia/Kolkata").unwrap(),
            ..Rules::default()
        };
        let facts = Facts {
            timezone: row.map(Into::into),
            preferences: Some(Preferences {
                timezone: user.map(Into::into),
                ..Preferences::default()
            }),
            ..Facts::default()
        };
        let chosen = zone_of(&facts, &rules);
        assert_eq!(chosen.name(), expected);
        let named: Vec<String> = chosen.warnings.iter().map(ZoneWarning::with_name).collect();
        assert_eq!(named, warnings);
        // The warning for the log has no name in it.
        for warning in &chosen.warnings {
            assert!(!warning.to_string().contains('"'), "{warning}");
        }
    }

    #[test]
    fn the_apps_table_of_users_comes_after_the_preferences() {
        let rules = Rules::default();
        for (preferred, expected) in [
            (None, "Asia/Tokyo"),
            (Some("UTC"), "UTC"),
            (Some("PST"), "Asia/Tokyo"),
        ] {
            let facts = Facts {
                account_timezone: Some("Asia/Tokyo".into()),
                preferences: preferred.map(|zone: &str| Preferences {
                    timezone: Some(zone.into()),
                    ..Preferences::default()
                }),
                ..Facts::default()
            };
            assert_eq!(zone_of(&facts, &rules).name(), expected, "{preferred:?}");
        }
    }

    #[test]
    fn a_types_own_zone_comes_first_and_is_named_if_it_is_none() {
        let (rules, facts) = (Rules::default(), Facts::default());
        let of = |timezone: Option<&str>| {
            let hours = QuietHours::from_micros(0, 0).unwrap();
            let timezone = timezone.map(Into::into);
            let chosen = zone_of_type(&TypeHours { hours, timezone }, &facts, &rules);
            let named: Vec<_> = chosen.warnings.iter().map(ZoneWarning::with_name).collect();
            (chosen.name().to_owned(), named)
        };
        let none = "the timezone of its type's preferences \"PST\" is not an IANA time zone";
        for (timezone, expected, warnings) in [
            (Some("Asia/Tokyo"), "Asia/Tokyo", vec![]),
            (Some(" "), "UTC", vec![]),
            (None, "UTC", vec![]),
            (Some("PST"), "UTC", vec![none.to_owned()]),
        ] {
            assert_eq!(of(timezone), (expected.to_owned(), warnings));
        }
    }

    #[test]
    fn the_row_comes_first_then_the_user_then_the_installation() {
        check(Some("Europe/Berlin"), Some("UTC"), "Europe/Berlin", &[]);
        check(None, Some("America/New_York"), "America/New_York", &[]);
        check(Some("  "), Some(""), "Asia/Kolkata", &[]);
        check(Some(" europe/berlin\n"), None, "Europe/Berlin", &[]);
    }

    #[test]
    fn what_is_no_zone_falls_to_the_next_and_is_said() {
        let row = "timezone \"Mars/Olympus\" is not an IANA time zone";
        let user = "the preferences' timezone \"PST\" is not an IANA time zone";
        check(Some("Mars/Olympus"), Some("UTC"), "UTC", &[row]);
        check(
            Some("Mars/Olympus"),
            Some("PST"),
            "Asia/Kolkata",
            &[row, user],
        );
        let unknown = "timezone \"Etc/Unknown\" is not an IANA time zone";
        check(Some("Etc/Unknown"), None, "Asia/Kolkata", &[unknown]);
        let endless = "x".repeat(10_000);
        let shown = format!("timezone \"{}\" is not an IANA time zone", "x".repeat(40));
        check(Some(&endless), None, "Asia/Kolkata", &[&shown]);
    }
}
