//! How numbers are written in a country, next to E.164.

use serde::Serialize;

use super::regions::{self, Region};

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
        let is_country = |region: &Region| region.id == country && region.id.len() == 2;
        let known = regions::all().find(is_country)?;
        let longest = longest(&known);
        Some(Self {
            code: known.code.to_string(),
            abroad: known.abroad.to_owned(),
            trunk: known.trunk.to_owned(),
            longest,
            usual: known.usual.unwrap_or(longest),
        })
    }
}

/// Of numbers that may be texted or called.
fn longest(region: &Region) -> u16 {
    let common = region.kinds.iter().filter(|kind| kind.is_common());
    let lengths = common.flat_map(|kind| kind.lengths.iter().copied());
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
            assert_eq!(DialPlan::of(none), None, "{none}");
        }
    }
}
