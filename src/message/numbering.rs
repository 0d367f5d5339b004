//! Whether a phone number can receive texts, as far as its country's numbering plan says: by the data of Google's
//! libphonenumber, which the crate `phonenumber` has.
//!
//! The form of a number is decided before, by [`E164`]. The data is older than the newest ranges, so whoever uses this
//! decides whether a fault is reported or refused ([`Validate`](crate::policy::Validate)).

use std::collections::HashMap;
use std::sync::LazyLock;

use phonenumber::metadata::{DATABASE, Descriptor, Metadata};
use regex_lite::{Regex, RegexBuilder};

use super::E164;

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
}

impl NumberFault {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::CountryCode,
        Self::Length,
        Self::Unassigned,
        Self::Premium,
    ];

    /// What is wrong with this number; `None`: nothing. The first call of a process takes some 70 ms, for the data.
    pub fn of(number: &E164) -> Option<Self> {
        let digits = number.as_str().trim_start_matches('+');
        let plan = (1..=CODE_MAX).find_map(|n| {
            let (code, national) = digits.split_at_checked(n)?;
            Some((PLANS.get(&code.parse::<u16>().ok()?)?, national))
        });
        let Some((regions, national)) = plan else {
            return Some(Self::CountryCode);
        };
        let mut fault = Self::Length;
        for region in regions {
            match region.fault(national) {
                None => return None,
                Some(Self::Premium) => return Some(Self::Premium),
                Some(Self::Unassigned) => fault = Self::Unassigned,
                Some(Self::Length | Self::CountryCode) => {}
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
        }
    }

    /// A sentence about the number, as "it".
    pub const fn text(self) -> &'static str {
        match self {
            Self::CountryCode => "no country has its country code",
            Self::Length => "no number of its country has as many digits",
            Self::Unassigned => "it is in no range that its country has assigned",
            Self::Premium => "it is a premium-rate number",
        }
    }
}

/// The numbers of one region; several regions can share a country code.
struct Region {
    general: Regex,
    premium: Option<Kind>,
    others: Vec<Kind>,
}

/// The numbers of one kind, without the country code.
struct Kind {
    lengths: Vec<u16>,
    pattern: Regex,
}

/// By country code.
static PLANS: LazyLock<HashMap<u16, Vec<Region>>> = LazyLock::new(|| {
    // Those of no country (as +800) share one id, so all are found by their codes alone.
    let of = |code: u16| {
        let regions = DATABASE.by_code(&code)?;
        // A region whose patterns could not be read has no numbers.
        Some((code, regions.into_iter().filter_map(Region::of).collect()))
    };
    (1..1_000).filter_map(of).collect()
});

impl Region {
    fn of(metadata: &Metadata) -> Option<Self> {
        let all = metadata.descriptors();
        let others = [
            all.fixed_line(),
            all.mobile(),
            all.toll_free(),
            all.shared_cost(),
            all.personal_number(),
            all.voip(),
            all.pager(),
            all.uan(),
            all.voicemail(),
        ];
        let others = others.into_iter().flatten().map(Kind::of);
        Some(Self {
            general: pattern(all.general())?,
            premium: all
                .premium_rate()
                .map_or(Some(None), |of| Some(Some(Kind::of(of)?)))?,
            others: others.collect::<Option<_>>()?,
        })
    }

    fn fault(&self, national: &str) -> Option<NumberFault> {
        let is = |kind: &Kind| kind.has(national);
        if self.general.is_match(national) {
            // Some ranges are of several kinds.
            if self.premium.as_ref().is_some_and(is) {
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
    fn of(of: &Descriptor) -> Option<Self> {
        Some(Self {
            lengths: of.possible_length().to_vec(),
            pattern: pattern(of)?,
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

/// For whole numbers: the library itself would also take one that only begins so.
fn pattern(of: &Descriptor) -> Option<Regex> {
    let whole = format!("^(?:{})$", of.national_number().as_str());
    RegexBuilder::new(&whole)
        .ignore_whitespace(true)
        .build()
        .ok()
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
    fn every_region_is_known() {
        let all = PLANS.iter().map(|(code, regions)| {
            let known = DATABASE.by_code(code).unwrap().len();
            assert_eq!(regions.len(), known, "{code}");
            known
        });
        let all: usize = all.sum();
        assert!(all > 250 && PLANS.len() > 200, "{all} {}", PLANS.len());
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
