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

/// The countries that a number may be in, by their two letters: those whose plans have it, or else those of its country
/// code that would, the main one of the code first. Empty: it is in no country.
pub fn countries_of(number: &E164) -> Vec<&'static str> {
    let Some((regions, national)) = plan_of(number) else {
        return Vec::new();
    };
    let mut own: Vec<_> = regions.iter().filter(|own| own.has(national)).collect();
    if own.is_empty() {
        own = of_no_plan(regions, national);
    }
    let own = own.into_iter().map(|region| region.id);
    own.filter(|id| is_two_letters(id)).collect()
}

/// Where a number would be that is in no plan: where all numbers begin as it does, or else where they have no beginning
/// of their own.
fn of_no_plan<'a>(regions: &'a [Region], national: &str) -> Vec<&'a Region> {
    let begins = |own: &&Region| own.leading.as_ref().map(|begin| begin.is_match(national));
    let own: Vec<_> = regions
        .iter()
        .filter(|own| begins(own) == Some(true))
        .collect();
    if own.is_empty() {
        let others = regions.iter().filter(|own| begins(own).is_none());
        return others.collect();
    }
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
    these.any(has) || !regions.iter().any(has) && of_no_plan(regions, national).iter().any(is_one)
}

/// Reads the plans of all countries, which takes some 70 ms: a daemon does so before its first claim needs them.
pub fn read_plans() {
    LazyLock::force(&PLANS);
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
    /// How its numbers begin, where others share the code.
    leading: Option<Regex>,
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
        let kinds = region.kinds.iter();
        let (premium, others): (Vec<_>, Vec<_>) = kinds.partition(|kind| region.is_premium(kind));
        let kinds = |of: Vec<&regions::Kind>| of.into_iter().map(Kind::of).collect::<Option<_>>();
        Some(Self {
            id: region.id,
            general: pattern(region.general)?,
            leading: match region.leading {
                "" => None,
                begin => Some(Regex::new(&format!("^(?:{begin})")).ok()?),
            },
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
mod tests;
