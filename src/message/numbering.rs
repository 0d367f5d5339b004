//! Whether a phone number can receive texts, as far as its country's numbering plan says.
//!
//! The form of a number is decided before, by [`E164`]. The data is older than the newest ranges, so whoever uses this
//! decides whether a fault is reported or refused ([`Validate`](crate::policy::Validate)).

use std::collections::HashMap;
use std::sync::LazyLock;

use regex_lite::Regex;

use super::E164;
use super::regions;

/// A country code has at most so many digits.
const CODE_MAX: usize = 3;

/// What is wrong with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberFault {
    /// No country has its country code.
    CountryCode,
    /// No number of its country has that many digits.
    Length,
    /// It is in no range that is assigned.
    Unassigned,
    /// A text to it, or a call, costs extra.
    Premium,
    /// It is in a country that the installation sends no texts to. Its numbering plan says nothing of that.
    Country,
}

impl NumberFault {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::CountryCode,
        Self::Length,
        Self::Unassigned,
        Self::Premium,
        Self::Country,
    ];

    /// What is wrong with this number; `None`: nothing. The first call of a process takes some 70 ms, for the data.
    pub fn of(number: &E164) -> Option<Self> {
        let Some((regions, national)) = plan_of(number) else {
            return Some(Self::CountryCode);
        };
        let mut fault = Self::Length;
        for region in regions {
            match region.fault(national) {
                None => return None,
                Some(Self::Premium) => return Some(Self::Premium),
                Some(Self::Unassigned) => fault = Self::Unassigned,
                Some(Self::Length | Self::CountryCode | Self::Country) => {}
            }
        }
        Some(fault)
    }

    /// The kind, as `punctual.number_faults` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CountryCode => "country_code",
            Self::Length => "length",
            Self::Unassigned => "unassigned",
            Self::Premium => "premium",
            Self::Country => "country",
        }
    }

    /// A sentence about the number, as "it".
    pub const fn text(self) -> &'static str {
        match self {
            Self::CountryCode => "no country has its country code",
            Self::Length => "no number of its country has as many digits",
            Self::Unassigned => "it is in no range that its country has assigned",
            Self::Premium => "it is a premium-rate number",
            Self::Country => "it is in a country that no text goes to",
        }
    }
}

/// The regions that share a number's country code, and the rest of it.
fn plan_of(number: &E164) -> Option<(&'static [Region], &str)> {
    let digits = number.as_str().trim_start_matches('+');
    (1..=CODE_MAX).find_map(|n| {
        let (code, national) = digits.split_at_checked(n)?;
        let regions = PLANS.get(&code.parse::<u16>().ok()?)?;
        Some((regions.as_slice(), national))
    })
}

/// The countries that a number may be in, by their two letters: those whose plans have it, or else all that share its
/// country code, the main one of the code first. Empty: it is in no country.
pub fn countries_of(number: &E164) -> Vec<&'static str> {
    let Some((regions, national)) = plan_of(number) else {
        return Vec::new();
    };
    let mut own: Vec<_> = regions
        .iter()
        .filter(|region| region.has(national))
        .map(|region| region.id)
        .collect();
    if own.is_empty() {
        own = regions.iter().map(|region| region.id).collect();
    }
    own.retain(|id| is_two_letters(id));
    own
}

/// The first country whose plan has the number; `None`: none has it.
pub fn country_of(number: &E164) -> Option<&'static str> {
    let (regions, national) = plan_of(number)?;
    let mut own = regions.iter().filter(|own| is_two_letters(own.id));
    own.find(|own| own.has(national)).map(|own| own.id)
}

/// Whether a number may be in one of these countries: the same by [`countries_of`], and quicker, because it first asks
/// their plans alone.
pub fn is_in_any(number: &E164, is_one: impl Fn(&str) -> bool) -> bool {
    let Some((regions, national)) = plan_of(number) else {
        return false;
    };
    let is_one = |region: &&Region| is_two_letters(region.id) && is_one(region.id);
    let has = |region: &Region| region.has(national);
    let mut these = regions.iter().filter(is_one);
    these.any(has) || !regions.iter().any(has) && regions.iter().any(|own| is_one(&own))
}

/// Whether these are the two letters of a country that has numbers.
pub fn is_country(code: &str) -> bool {
    is_two_letters(code) && PLANS.values().flatten().any(|region| region.id == code)
}

/// Codes of no country (as +800) have a region of digits.
fn is_two_letters(id: &str) -> bool {
    id.len() == 2 && id.bytes().all(|b| b.is_ascii_uppercase())
}

/// The numbers of one region; several regions can share a country code.
struct Region {
    id: &'static str,
    general: Regex,
    premium: Vec<Kind>,
    others: Vec<Kind>,
}

/// The numbers of one kind, without the country code.
struct Kind {
    lengths: Vec<u16>,
    pattern: Regex,
}

/// By country code.
static PLANS: LazyLock<HashMap<u16, Vec<Region>>> = LazyLock::new(|| {
    let mut plans: HashMap<u16, Vec<Region>> = HashMap::new();
    for region in regions::all() {
        let of_code = plans.entry(region.code).or_default();
        // A region whose patterns could not be read has no numbers.
        of_code.extend(Region::of(&region));
    }
    plans
});

impl Region {
    fn of(region: &regions::Region) -> Option<Self> {
        let (premium, others): (Vec<_>, Vec<_>) =
            region.kinds.iter().partition(|kind| kind.is_premium());
        let kinds = |of: Vec<&regions::Kind>| of.into_iter().map(Kind::of).collect::<Option<_>>();
        Some(Self {
            id: region.id,
            general: pattern(region.general)?,
            premium: kinds(premium)?,
            others: kinds(others)?,
        })
    }

    /// Whether its plan has the number.
    fn has(&self, national: &str) -> bool {
        matches!(self.fault(national), None | Some(NumberFault::Premium))
    }

    fn fault(&self, national: &str) -> Option<NumberFault> {
        let is = |kind: &Kind| kind.has(national);
        if self.general.is_match(national) {
            // Some ranges are of several kinds.
            if self.premium.iter().any(is) {
                return Some(NumberFault::Premium);
            }
            if self.others.iter().any(is) {
                return None;
            }
        }
        let mut kinds = self.premium.iter().chain(&self.others);
        let is_possible = kinds.any(|kind| kind.has_length(national));
        Some(if is_possible {
            NumberFault::Unassigned
        } else {
            NumberFault::Length
        })
    }
}

impl Kind {
    fn of(kind: &regions::Kind) -> Option<Self> {
        Some(Self {
            lengths: kind.lengths.clone(),
            pattern: pattern(kind.pattern)?,
        })
    }

    fn has_length(&self, national: &str) -> bool {
        self.lengths
            .iter()
            .any(|n| usize::from(*n) == national.len())
    }

    fn has(&self, national: &str) -> bool {
        self.has_length(national) && self.pattern.is_match(national)
    }
}

/// For whole numbers.
fn pattern(of: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{of})$")).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Recorded with Python's `phonenumbers` 9.0.33: of each region and kind an example, and numbers made from these by
    /// changing, dropping or adding a digit. What can be dialled only without its area code has a wrong length.
    const RECORDED: &str = include_str!("numbering/recorded.json");

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
                if said != verdict && !is_other_region {
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
        // Of all that share its code, the main one first: free of charge, or in no plan.
        for shared in ["+18005551234", "+15551234567"] {
            let shared: E164 = shared.parse().unwrap();
            let countries = countries_of(&shared);
            assert_eq!(countries.first(), Some(&"US"), "{countries:?}");
            assert!(countries.contains(&"JM"), "{countries:?}");
            assert!(is_in_any(&shared, |own| own == "JM"));
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
}
