//! How numbers are written in each region, and which ones there are, as Google's libphonenumber knows it.

/// One line a region (`data/number-plans.py`). What begins with `#` is for people.
const DATA: &str = include_str!("../../data/number-plans.txt");

/// A country, or a country code that belongs to none.
pub(super) struct Region {
    /// Two letters, as ISO 3166 has them; `001`: of no country.
    pub(super) id: &'static str,
    /// Other regions may have it too.
    pub(super) code: u16,
    /// What is dialled before the code of another country, as a regular expression.
    pub(super) abroad: &'static str,
    /// What is dialled before a number of this one.
    pub(super) trunk: &'static str,
    /// The digits of a common mobile number.
    pub(super) usual: Option<u16>,
    /// The pattern of all numbers, without the country code.
    pub(super) general: &'static str,
    /// How its numbers begin, where others share the code, as a regular expression; empty: it has all other ones.
    pub(super) leading: &'static str,
    pub(super) kinds: Vec<Kind>,
}

/// The numbers of one kind, without the country code.
pub(super) struct Kind {
    letter: &'static str,
    pub(super) lengths: Vec<u16>,
    pub(super) pattern: &'static str,
}

/// The country code of Britain, whose personal numbers (070) cost as premium-rate ones do. Elsewhere people have such
/// numbers without a charge of their own.
const BRITAIN: u16 = 44;

impl Region {
    /// Whether a text to a number of this kind, or a call, costs extra.
    pub(super) fn is_premium(&self, kind: &Kind) -> bool {
        kind.letter == "p" || kind.letter == "n" && self.code == BRITAIN
    }
}

impl Kind {
    /// For people who have a telephone.
    pub(super) fn is_common(&self) -> bool {
        matches!(self.letter, "f" | "m")
    }
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Region> {
    let lines = DATA.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(region)
}

fn region(line: &'static str) -> Option<Region> {
    let mut parts = line.split('\t');
    let [id, code, abroad, trunk, usual, general, leading] = std::array::from_fn(|_| parts.next());
    Some(Region {
        id: id?,
        code: code?.parse().ok()?,
        abroad: abroad?,
        trunk: trunk?,
        usual: usual?.parse().ok(),
        general: general?,
        leading: leading?,
        kinds: parts.map(kind).collect::<Option<_>>()?,
    })
}

fn kind(part: &'static str) -> Option<Kind> {
    let mut words = part.split(' ');
    let [letter, lengths, pattern] = std::array::from_fn(|_| words.next());
    let lengths = lengths?.split(',').map(str::parse);
    Some(Kind {
        letter: letter?,
        lengths: lengths.collect::<Result<_, _>>().ok()?,
        pattern: pattern?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_region() {
        let lines = DATA.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.count(), all().count());
        for region in all() {
            assert!(!region.kinds.is_empty() && region.code > 0, "{}", region.id);
            assert!(region.id.len() == 2 || region.id == "001", "{}", region.id);
        }
    }
}
