//! Faults and countries of numbers.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Recorded with Python's `phonenumbers` 9.0.33: of each region and kind an example, and numbers made from these by
/// changing, dropping or adding a digit. What can be dialled only without its area code has a wrong length.
const RECORDED: &str = include_str!("recorded.json");

#[track_caller]
fn check(number: &str, expected: Option<NumberFault>) {
    let parsed: E164 = number.parse().unwrap();
    assert_eq!(NumberFault::of(&parsed), expected, "{number}");
}

#[test]
fn numbers_have_the_faults_they_have() {
    use NumberFault::{CountryCode, Length, Premium, Unassigned};
    for (number, expected) in [
        ("+13105551234", None),
        // 555-01xx is for films, and within a range that is assigned.
        ("+12025550101", None),
        // Nobody has the area codes 555 and 202-0.
        ("+15551234567", Some(Unassigned)),
        ("+12020550101", Some(Unassigned)),
        ("+19005551234", Some(Premium)),
        ("+1310555123", Some(Length)),
        ("+131055512345", Some(Length)),
        ("+18095551234", None),
        ("+442071838750", None),
        ("+447911123456", None),
        ("+449098790879", Some(Premium)),
        // Personal numbers, in Britain, and where they cost nothing extra.
        ("+447012345678", Some(Premium)),
        ("+15005550006", None),
        ("+825012345678", None),
        // Ofcom's numbers for films.
        ("+447700900123", Some(Unassigned)),
        // With the zero of the national form.
        ("+4402071838750", Some(Length)),
        // Italian numbers begin with one.
        ("+390612345678", None),
        ("+39899123456", Some(Premium)),
        ("+33612345678", None),
        ("+33899123456", Some(Premium)),
        ("+4915112345678", None),
        ("+499001123456", Some(Premium)),
        ("+6835123", None),
        ("+80012345678", None),
        ("+979123456789", Some(Premium)),
        ("+999123456789", Some(CountryCode)),
        ("+2120000000", Some(Length)),
    ] {
        check(number, expected);
    }
}

#[test]
fn they_are_judged_as_the_library_of_another_language_does() {
    let all: BTreeMap<String, Vec<String>> = serde_json::from_str(RECORDED).unwrap();
    let mut different = Vec::new();
    for (verdict, numbers) in &all {
        assert!(numbers.len() > 20, "{verdict}");
        for number in numbers {
            let fault = NumberFault::of(&number.parse().unwrap());
            let said = fault.map_or("fine", NumberFault::as_str);
            // That one takes the lengths of the main region for all of a country code.
            let is_other_region =
                (said, &**verdict) == ("unassigned", "length") && number.starts_with("+1");
            // That one has them as what they are.
            let is_personal =
                (said, &**verdict) == ("premium", "fine") && number.starts_with("+4470");
            if said != verdict && !is_other_region && !is_personal {
                different.push((number, said, verdict));
            }
        }
    }
    assert!(different.is_empty(), "{} {different:?}", different.len());
}

#[test]
fn a_number_is_in_the_countries_whose_plans_have_it() {
    for (number, countries) in [
        ("+13105551234", "US"),
        ("+14165551234", "CA"),
        ("+18765551234", "JM"),
        ("+4915112345678", "DE"),
        ("+499001123456", "DE"),
        ("+74952345678", "RU"),
        ("+77172345678", "KZ"),
        ("+80012345678", ""),
        ("+999123456789", ""),
    ] {
        let number: E164 = number.parse().unwrap();
        assert_eq!(countries_of(&number).join(" "), countries, "{number:?}");
        assert_eq!(is_in_any(&number, |_| true), !countries.is_empty());
        assert!(!is_in_any(&number, |own| own == "FR"));
    }
    // Free of charge, in all that share its code; in no plan, where numbers begin so, or else where they have no
    // beginning of their own. The main one is first.
    for (number, first, is_jamaican) in [
        ("+18005551234", "US", true),
        ("+15551234567", "US", false),
        ("+18760000000", "JM", true),
        ("+77000000000", "KZ", false),
    ] {
        let number: E164 = number.parse().unwrap();
        let countries = countries_of(&number);
        assert_eq!(countries.first(), Some(&first), "{countries:?}");
        assert_eq!(countries.contains(&"JM"), is_jamaican, "{countries:?}");
        assert_eq!(is_in_any(&number, |own| own == "JM"), is_jamaican);
    }
    assert!(is_country("DE") && is_country("CA"));
    assert!(!is_country("XX") && !is_country("001") && !is_country("de"));
}

#[test]
fn every_region_is_known() {
    let known: usize = PLANS.values().map(Vec::len).sum();
    assert_eq!(known, regions::all().count());
    assert!(known > 250 && PLANS.len() > 200, "{known} {}", PLANS.len());
}

proptest! {
    #[test]
    fn never_panics(digits in "[1-9][0-9]{6,14}") {
        let number: E164 = format!("+{digits}").parse().unwrap();
        let fault = NumberFault::of(&number);
        // The sentences are for logs.
        prop_assert!(fault.is_none_or(|fault| !fault.text().contains(&digits)));
    }
}
