//! How numbers are written in a country, next to E.164: by the data of Google's libphonenumber, which the crate
//! `phonenumber` has.

use phonenumber::metadata::{DATABASE, Metadata};
use serde::Serialize;

/// What makes a number of a country that is written in its national form one in E.164.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DialPlan {
    /// The country code.
    code: String,
    /// What is dialled before the code of another country, as a regular expression.
    abroad: String,
    /// What is dialled before a number of the country; may be empty.
    trunk: String,
    /// The most digits of a number without these.
    longest: u16,
    /// The digits of a common mobile number without these.
    usual: u16,
}

impl DialPlan {
    /// That of a country, by its two letters as in ISO 3166; `None`: there is no such country.
    pub fn of(country: &str) -> Option<Self> {
        let known = DATABASE.by_id(country)?;
        let abroad = known.international_prefix().map_or("00", |p| p.as_str());
        Some(Self {
            code: known.country_code().to_string(),
            // The data has line breaks in it.
            abroad: abroad.split_whitespace().collect(),
            trunk: known.national_prefix().unwrap_or_default().to_owned(),
            longest: longest(known),
            usual: usual(known).unwrap_or_else(|| longest(known)),
        })
    }
}

/// Of the example that the data has.
fn usual(known: &Metadata) -> Option<u16> {
    let example = known.descriptors().mobile()?.example()?;
    u16::try_from(example.len()).ok()
}

/// Of numbers that may be texted or called.
fn longest(known: &Metadata) -> u16 {
    let all = known.descriptors();
    let lengths = [all.mobile(), all.fixed_line()].into_iter().flatten();
    let lengths = lengths.flat_map(|kind| kind.possible_length().iter().copied());
    lengths.max().unwrap_or(15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_has_its_code_and_what_is_dialled_before_numbers() {
        let check = |country, code: &str, abroad: &str, trunk: &str, (usual, longest)| {
            let expected = DialPlan {
                code: code.to_owned(),
                abroad: abroad.to_owned(),
                trunk: trunk.to_owned(),
                longest,
                usual,
            };
            assert_eq!(DialPlan::of(country), Some(expected), "{country}");
        };
        check("US", "1", "011", "1", (10, 10));
        check("GB", "44", "00", "0", (10, 10));
        check("JP", "81", "010", "0", (10, 10));
        check("IT", "39", "00", "", (10, 12));
        check("DE", "49", "00", "0", (11, 15));
        for none in ["", "us", "XX", "001", "USA"] {
            let plan = DialPlan::of(none);
            assert!(none == "001" || plan.is_none(), "{none}: {plan:?}");
        }
    }
}
