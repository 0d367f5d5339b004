//! A message of several texts: its text, divided at a separator, is sent part by part.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::MessageId;

/// The separator of an installation that sets none.
pub const SEPARATOR: &str = "[BUBBLE]";

/// From the acceptance of one part to the next, in an installation that does not set it.
pub const GAP: Duration = Duration::from_millis(1_500);

/// The most parts of one message. More would take minutes, and are a mistake.
pub const PARTS_MAX: usize = 100;

/// Ranges of characters that are not shown, without white space. `blank!` in `store/expressions/trimmed.rs` has the
/// same.
pub const INVISIBLE: &[std::ops::RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2064}',
    '\u{2066}'..='\u{2069}',
    '\u{3164}'..='\u{3164}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
];

/// Whether a text is empty to whoever receives it.
pub fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_whitespace() || INVISIBLE.iter().any(|range| range.contains(&c)))
}

/// The texts of a message, in their order: its text, or, if that has the separator, what is between, trimmed and
/// without what is blank. `None`, or an empty separator: texts are not divided.
pub fn split<'a>(text: &'a str, separator: Option<&str>) -> Vec<&'a str> {
    match separator.filter(|separator| !separator.is_empty() && text.contains(separator)) {
        None => vec![text],
        Some(separator) => text
            .split(separator)
            .map(str::trim)
            .filter(|part| !is_blank(part))
            .collect(),
    }
}

/// The same of a text that is to be sent, or why it cannot be: each text may have so many characters.
pub fn divided<'a>(
    text: &'a str,
    separator: Option<&str>,
    max_chars: usize,
) -> Result<Vec<&'a str>, String> {
    let parts = split(text, separator);
    if parts.is_empty() {
        return Err("every part of it is empty".into());
    }
    if parts.len() > PARTS_MAX {
        return Err(format!(
            "it has {} parts; the limit is {PARTS_MAX}",
            parts.len()
        ));
    }
    for (n, part) in (1..).zip(&parts) {
        let characters = part.chars().count();
        if characters > max_chars {
            let what = match parts.len() {
                1 => "it".to_owned(),
                of => format!("part {n} of {of}"),
            };
            return Err(format!(
                "{what} has {characters} characters; the limit is {max_chars}"
            ));
        }
    }
    Ok(parts)
}

/// Which text of its message an attempt sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How many come before it: as the ledger has it (`attempts.part`).
    pub before: i16,
    /// How many the message has.
    pub of: i16,
}

/// The only text of its message.
impl Default for Part {
    fn default() -> Self {
        Self::ONLY
    }
}

impl Part {
    /// The only text of its message.
    pub const ONLY: Self = Self { before: 0, of: 1 };

    /// Whether its message has no other text.
    pub const fn is_only(&self) -> bool {
        self.of <= 1 && self.before == 0
    }

    /// Which part it is, if its message has several.
    pub fn of_several(self) -> Option<Self> {
        (!self.is_only()).then_some(self)
    }

    /// Whether others follow.
    pub const fn has_next(self) -> bool {
        self.before + 1 < self.of
    }

    /// From its acceptance to the next part: `gap`, and up to a fifth more or less. The share follows from message and
    /// part, so that whoever computes it comes to the same moment.
    pub fn gap(self, gap: Duration, message: MessageId) -> Duration {
        let (high, low) = message.0.as_u64_pair();
        let mixed = high ^ low.rotate_left(32) ^ u64::from(self.before.unsigned_abs());
        let [.., b, a] = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
        let share = u32::from(u16::from_le_bytes([a, b]));
        gap * 4 / 5 + gap * 2 / 5 * share / u32::from(u16::MAX)
    }
}

/// For people: `3 of 8`.
impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.before + 1, self.of)
    }
}

/// Writes it as for people.
#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "as serde calls it"
)]
pub(crate) fn as_text<S: serde::Serializer>(part: &Option<Part>, to: S) -> Result<S::Ok, S::Error> {
    match part {
        Some(part) => to.collect_str(part),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn is_divided_at_the_separator() {
        let on = Some(SEPARATOR);
        for (text, separator, expected) in [
            (
                "Test bubble 1\n\n[BUBBLE]\n\nTest bubble 2",
                on,
                &["Test bubble 1", "Test bubble 2"][..],
            ),
            ("a[BUBBLE]b[BUBBLE]a", on, &["a", "b", "a"]),
            ("[BUBBLE]a[BUBBLE] \u{a0}\n[BUBBLE]", on, &["a"]),
            ("[BUBBLE]", on, &[]),
            (" [BUBBLE]\t[BUBBLE]", on, &[]),
            // Nothing to divide: as it is written.
            (" a ", on, &[" a "]),
            ("a[bubble]b [BUBBLE", on, &["a[bubble]b [BUBBLE"]),
            ("a[BUBBLE]b", None, &["a[BUBBLE]b"]),
            ("a[BUBBLE]b", Some(""), &["a[BUBBLE]b"]),
            ("a--b", Some("--"), &["a", "b"]),
            (
                "a[BUBBLE]\u{200b} \u{feff}[BUBBLE]b\u{200b}",
                on,
                &["a", "b\u{200b}"],
            ),
            ("", on, &[""]),
        ] {
            assert_eq!(split(text, separator), expected, "{text:?}");
        }
    }

    #[test]
    fn counts_from_one_for_people() {
        let third = Part { before: 2, of: 8 };
        assert_eq!(third.to_string(), "3 of 8");
        assert!(third.has_next() && !third.is_only());
        assert!(!Part { before: 7, of: 8 }.has_next());
        assert!(Part::ONLY.is_only() && !Part::ONLY.has_next());
    }

    proptest! {
        /// Nothing but white space and separators is lost, and the order is kept.
        #[test]
        fn loses_no_word(texts in prop::collection::vec("[a-z \n]{0,6}", 1..9)) {
            let text = texts.join(SEPARATOR);
            let mut expected: Vec<&str> = texts.iter().map(|part| part.trim()).collect();
            expected.retain(|part| !part.is_empty());
            if texts.len() > 1 {
                prop_assert_eq!(split(&text, Some(SEPARATOR)), expected);
            }
        }

        #[test]
        fn the_gap_is_a_function_of_message_and_part(id: u128, before in 0..100_i16, ms in 0..60_000_u64) {
            let (id, gap) = (MessageId(Uuid::from_u128(id)), Duration::from_millis(ms));
            let part = Part { before, of: 100 };
            let own = part.gap(gap, id);
            prop_assert_eq!(own, part.gap(gap, id));
            prop_assert!(own >= gap * 4 / 5 && own <= gap * 6 / 5, "{:?}", own);
        }
    }

    /// The jitter differs between the parts of a message, and between messages.
    #[test]
    fn gaps_differ() {
        let gap = |id, before| Part { before, of: 9 }.gap(GAP, MessageId(Uuid::from_u128(id)));
        let mut gaps: Vec<_> = (0..8).map(|before| gap(7, before)).collect();
        gaps.extend((100..108).map(|id| gap(id, 0)));
        gaps.sort_unstable();
        gaps.dedup();
        assert_eq!(gaps.len(), 16);
    }
}
