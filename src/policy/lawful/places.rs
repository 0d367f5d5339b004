//! Where a phone number is from, as far as its first digits show.

use std::collections::HashMap;
use std::sync::LazyLock;

/// One line a prefix: the prefix, the place, its time zones. What is behind `#` is for people.
const DATA: &str = include_str!("../../../data/number-places.txt");

/// The longest prefix: a country code and an area code.
const PREFIX_MAX: usize = 4;

/// A country, or a state of one, and its time zones.
#[derive(Debug)]
pub(super) struct Place {
    /// As ISO 3166 has it: `FR`, `US-FL`.
    pub(super) name: &'static str,
    /// The names of the zones; all of them if the number does not show which.
    pub(super) zones: Vec<&'static str>,
}

static PLACES: LazyLock<HashMap<&'static str, Place>> = LazyLock::new(|| {
    let lines = DATA.lines().filter(|line| !line.starts_with('#'));
    let place = |line: &'static str| {
        let mut words = line.split(' ');
        let (prefix, name, zones) = (words.next()?, words.next()?, words.next()?);
        let zones = zones.split(',').collect();
        Some((prefix, Place { name, zones }))
    };
    lines.filter_map(place).collect()
});

/// Where a number is from: by the longest prefix that is known. `None`: nothing is known of it.
pub(super) fn of(number: &str) -> Option<&'static Place> {
    let digits = number.trim().strip_prefix('+')?;
    (1..=PREFIX_MAX)
        .rev()
        .find_map(|n| PLACES.get(digits.get(..n)?))
}

/// Parts of Canada that share an area code: their numbers show the country alone, and so the rules of all its parts
/// hold.
const SHARED: [&str; 5] = ["CA-NS", "CA-NT", "CA-NU", "CA-PE", "CA-YT"];

/// Whether numbers can be from there. A rule for another place would never hold. Of most countries the parts are not
/// known, and any is taken.
pub(super) fn is_known(scope: &str) -> bool {
    let is_of = |scope: &str| PLACES.values().any(|place| is_in(place.name, scope));
    let country = scope.split_once('-').map_or(scope, |(country, _)| country);
    let has_parts = matches!(country, "US" | "CA");
    is_of(scope) || SHARED.contains(&scope) || !has_parts && is_of(country)
}

/// Whether a rule for `scope` holds in `place`: it is the same, or the country of it. Where the number does not show in
/// which state of a country it is, the rules of all of them hold.
pub(super) fn holds(place: &str, scope: &str) -> bool {
    is_in(place, scope) || is_in(scope, place)
}

/// Whether a place is the same as another one, or a state of it.
fn is_in(place: &str, of: &str) -> bool {
    place == of || place.split_once('-').is_some_and(|(own, _)| own == of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Zones;

    #[test]
    fn the_data_is_whole_and_its_zones_exist() {
        let zones = Zones::bundled();
        let lines = DATA.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.clone().count(), PLACES.len());
        for line in lines {
            assert_eq!(line.split(' ').count(), 3, "{line}");
        }
        for (prefix, place) in PLACES.iter() {
            assert!(prefix.len() <= PREFIX_MAX && prefix.parse::<u16>().is_ok());
            assert!(place.name.len() == 2 || place.name[2..].starts_with('-'));
            for zone in &place.zones {
                assert!(zones.get(zone).is_some(), "{prefix} {zone}");
            }
        }
        let states: std::collections::BTreeSet<_> = PLACES
            .values()
            .filter(|place| is_in(place.name, "US"))
            .map(|place| place.name)
            .collect();
        // The states, the District of Columbia, and an area code that is not known.
        assert_eq!(states.len(), 52);
    }

    #[test]
    fn a_rule_holds_where_the_number_may_be() {
        for (place, scope, expected) in [
            ("US-FL", "US-FL", true),
            ("US-FL", "US", true),
            ("US", "US-FL", true),
            ("US-FL", "US-TX", false),
            ("US", "CA-ON", false),
            ("an unknown place", "US", false),
        ] {
            assert_eq!(holds(place, scope), expected, "{place} {scope}");
        }
    }

    #[test]
    fn rules_are_of_places_that_numbers_can_be_from() {
        for place in ["FR", "GB", "GB-SCT", "US", "US-DC", "CA-ON", "CA-NS", "PR"] {
            assert!(is_known(place), "{place}");
        }
        for place in ["UK", "UK-SCT", "XX", "US-FLA", "US-PR", "US-XX", "CA-XX"] {
            assert!(!is_known(place), "{place}");
        }
    }

    #[test]
    fn the_longest_prefix_counts() {
        for (number, name, zones) in [
            ("+12125550101", "US-NY", "America/New_York"),
            (
                " +18505550101\n",
                "US-FL",
                "America/Chicago America/New_York",
            ),
            ("+14045550101", "US-GA", "America/New_York"),
            ("+16895550101", "US-FL", "America/New_York"),
            ("+14165550101", "CA-ON", "America/Toronto"),
            ("+17875550101", "PR", "America/Puerto_Rico"),
            ("+33612345678", "FR", "Europe/Paris"),
            ("+77012345678", "KZ", "Asia/Almaty Asia/Aqtobe"),
        ] {
            let place = of(number).unwrap();
            assert_eq!(
                (place.name, place.zones.join(" ")),
                (name, zones.into()),
                "{number}"
            );
        }
        for (number, name) in [
            ("+13575550101", "US-CA"),
            ("+14365550101", "US-OH"),
            ("+14655550101", "US-NY"),
            ("+14715550101", "US-MS"),
            ("+14835550101", "US-AL"),
            ("+16215550101", "US-TX"),
            ("+16245550101", "US-NY"),
            ("+16795550101", "US-MI"),
            ("+17295550101", "US-TN"),
            ("+18375550101", "US-CA"),
            ("+18615550101", "US-IL"),
            ("+19245550101", "US-MN"),
        ] {
            assert_eq!(of(number).unwrap().name, name, "{number}");
        }
        // An area code of no place is of the country, with all its zones.
        assert_eq!(of("+15555550101").unwrap().name, "US");
        assert!(of("+15555550101").unwrap().zones.len() > 5);
        for nowhere in ["+999123", "12125550101", "", "+", "ada@example.com", "+٣٣"] {
            assert!(of(nowhere).is_none(), "{nowhere}");
        }
    }
}
