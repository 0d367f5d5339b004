//! Which zone a recipient lives in.
//!
//! Zone data comes in as an argument like everything else, so that the daemon can take the
//! newer of what it brings and what the system has, and a test what it likes.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::Rules;
use crate::message::Facts;

/// The names and rules of the IANA zones.
#[derive(Clone, Debug)]
pub struct Zones(TimeZoneDatabase);

impl Zones {
    /// What this binary brings.
    pub fn bundled() -> Self {
        Self(TimeZoneDatabase::bundled())
    }

    /// These.
    pub const fn new(database: TimeZoneDatabase) -> Self {
        Self(database)
    }

    /// The name of every zone.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.available().map(|name| name.to_string())
    }

    /// The zone of this name, in any case of letters.
    pub fn get(&self, name: &str) -> Option<TimeZone> {
        self.0
            .get(name.trim())
            .ok()
            // `Etc/Unknown` is a name, and means that nobody knows.
            .filter(|zone| !zone.is_unknown())
    }
}

/// The zone a message is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// It.
    pub zone: TimeZone,
    /// What stood before it and is no zone.
    pub warnings: Vec<ZoneWarning>,
}

impl Chosen {
    /// The zone's name.
    pub fn name(&self) -> &str {
        name_of(&self.zone)
    }
}

/// As people write it. A zone of the database always has one.
pub(super) fn name_of(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// What stands where a zone should. It may be anything, a number or a text too, so its name is for a person
/// who asks for the message alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneWarning {
    whose: &'static str,
    name: String,
}

impl ZoneWarning {
    /// The same with what stands there.
    pub fn with_name(&self) -> String {
        format!("{} {:?} is no IANA zone", self.whose, self.name)
    }
}

impl std::fmt::Display for ZoneWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is no IANA zone", self.whose)
    }
}

/// More of a name than this is no help to whoever looks for the mistake.
const SHOWN_CHARS: usize = 40;

/// The recipient's zone: the row's, else the preferences', else the installation's. What is no
/// zone falls to the next.
pub fn zone_of(facts: &Facts, rules: &Rules) -> Chosen {
    let of_user = facts.preferences.as_ref().and_then(|p| p.timezone.as_ref());
    let said = [
        ("timezone", facts.timezone.as_ref()),
        ("the preferences' timezone", of_user),
    ];
    let mut warnings = Vec::new();
    for (whose, name) in said {
        let Some(name) = name.filter(|name| !name.trim().is_empty()) else {
            continue;
        };
        if let Some(zone) = rules.zones.get(name) {
            return Chosen { zone, warnings };
        }
        let name = name.chars().take(SHOWN_CHARS).collect();
        warnings.push(ZoneWarning { whose, name });
    }
    let zone = rules.timezone.clone();
    Chosen { zone, warnings }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::facts::Preferences;

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
        // What everybody reads has no name in it.
        for warning in &chosen.warnings {
            assert!(!warning.to_string().contains('"'), "{warning}");
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
        let row = "timezone \"Mars/Olympus\" is no IANA zone";
        let user = "the preferences' timezone \"PST\" is no IANA zone";
        check(Some("Mars/Olympus"), Some("UTC"), "UTC", &[row]);
        check(
            Some("Mars/Olympus"),
            Some("PST"),
            "Asia/Kolkata",
            &[row, user],
        );
        let unknown = "timezone \"Etc/Unknown\" is no IANA zone";
        check(Some("Etc/Unknown"), None, "Asia/Kolkata", &[unknown]);
        let endless = "x".repeat(10_000);
        let shown = format!("timezone \"{}\" is no IANA zone", "x".repeat(40));
        check(Some(&endless), None, "Asia/Kolkata", &[&shown]);
    }
}
