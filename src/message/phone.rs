//! Phone numbers in the form of ITU-T E.164: `+`, the country code and the number, digits only. They are parsed
//! once, where a row or a setting is read.

use std::fmt;
use std::str::FromStr;

/// The fewest digits, country code included. E.164 has no minimum; the shortest numbers that receive texts have
/// a country code of three digits and four more (Niue, Tokelau, Saint Helena).
pub(crate) const DIGITS_MIN: usize = 7;

/// The most digits, country code included (ITU-T E.164, 6.2.1).
pub(crate) const DIGITS_MAX: usize = 15;

/// How many digits of a masked number are shown at its front (the country) and at its end (to distinguish
/// numbers). At least three are hidden.
const SHOWN: usize = 2;

/// A phone number: `+` and 7 to 15 digits, the first of them not 0.
///
/// Surrounding white space is dropped. White space and punctuation *within* it are refused, because they can
/// change the number, as in `+44 (0)20 …`.
///
/// It has no `Display`: only [`as_str`](Self::as_str), for requests, or [`masked`](Self::masked), for people,
/// put it into a text. `Debug` is masked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct E164(String);

impl E164 {
    /// As a request has it. Not for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough to recognise a known number, not enough to call it: `+13•••34`.
    pub fn masked(&self) -> String {
        let (front, back) = (&self.0[..=SHOWN], &self.0[self.0.len() - SHOWN..]);
        format!("{front}•••{back}")
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164({})", self.masked())
    }
}

/// Why a text is not a phone number. The sentences go into `error_message` and logs, so none of them repeats
/// the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Nothing, or only white space.
    #[error("it is empty")]
    Empty,
    /// A national number, or one with the prefix 00.
    #[error("it must start with + and the country code, like +1… (not with 0 or 00)")]
    NoPlus,
    /// `+0…`: no country code starts with 0.
    #[error("after the + it must start with a country code, and none starts with 0")]
    LeadingZero,
    /// Letters, as in 1-800-FLOWERS.
    #[error("it has a letter; only digits may follow the +")]
    Letter,
    /// Spaces, hyphens, dots, brackets.
    #[error("it has a space or punctuation between its digits; write + and digits only")]
    Separator,
    /// Anything else: digits of other scripts, invisible characters.
    #[error("it has a character that is not a digit from 0 to 9 (perhaps an invisible one)")]
    Character,
    /// Fewer digits than any number has.
    #[error("it has {digits} digits, too few for a number with its country code")]
    TooShort {
        /// How many there are.
        digits: usize,
    },
    /// More digits than E.164 permits.
    #[error("it has {digits} digits; the limit is {DIGITS_MAX}")]
    TooLong {
        /// How many there are.
        digits: usize,
    },
}

impl FromStr for E164 {
    type Err = PhoneError;

    fn from_str(s: &str) -> Result<Self, PhoneError> {
        let s = s.trim();
        if s.is_empty() {
            return Err(PhoneError::Empty);
        }
        let number = s.strip_prefix('+').ok_or(PhoneError::NoPlus)?;
        if let Some(stray) = number.chars().find(|c| !c.is_ascii_digit()) {
            return Err(what_is(stray));
        }
        match number.len() {
            _ if number.starts_with('0') => Err(PhoneError::LeadingZero),
            digits if digits < DIGITS_MIN => Err(PhoneError::TooShort { digits }),
            digits if digits > DIGITS_MAX => Err(PhoneError::TooLong { digits }),
            _ => Ok(Self(s.to_owned())),
        }
    }
}

fn what_is(stray: char) -> PhoneError {
    match stray {
        c if c.is_alphabetic() => PhoneError::Letter,
        c if c.is_whitespace() || c.is_ascii_punctuation() => PhoneError::Separator,
        _ => PhoneError::Character,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<&str, PhoneError>) {
        let got = text.parse::<E164>();
        assert_eq!(
            got.as_ref().map(E164::as_str),
            expected.as_ref().copied(),
            "{text:?}"
        );
    }

    #[test]
    fn real_numbers_are_taken() {
        for number in [
            "+13105551234",     // North America
            "+442071838750",    // London
            "+4915112345678",   // a German mobile
            "+6835123",         // Niue, seven digits in all
            "+2908123",         // Saint Helena
            "+68871234",        // Tuvalu
            "+881612345678",    // Iridium
            "+393401234567890", // fifteen
        ] {
            check(number, Ok(number));
        }
        check(" +13105551234\r\n", Ok("+13105551234"));
        check("\u{a0}+13105551234\u{a0}", Ok("+13105551234"));
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        check("", Err(PhoneError::Empty));
        check(" \t\n", Err(PhoneError::Empty));
        check("13105551234", Err(PhoneError::NoPlus));
        check("0013105551234", Err(PhoneError::NoPlus));
        check("whatsapp:+13105551234", Err(PhoneError::NoPlus));
        check("+0310555123", Err(PhoneError::LeadingZero));
        check("+1800FLOWERS", Err(PhoneError::Letter));
        check("+1 310 555 1234", Err(PhoneError::Separator));
        check("+44(0)2071838750", Err(PhoneError::Separator));
        check("+1310555-1234", Err(PhoneError::Separator));
        check("+1310555+1234", Err(PhoneError::Separator));
        check("++13105551234", Err(PhoneError::Separator));
        check("+1310555\u{202c}1234", Err(PhoneError::Character));
        check("+١٣١٠٥٥٥١٢٣٤", Err(PhoneError::Character));
        check("+", Err(PhoneError::TooShort { digits: 0 }));
        check("+123456", Err(PhoneError::TooShort { digits: 6 }));
        check("+1234567890123456", Err(PhoneError::TooLong { digits: 16 }));
    }

    #[test]
    fn masked_for_people() {
        let number: E164 = "+13105551234".parse().unwrap();
        assert_eq!(number.masked(), "+13•••34");
        assert_eq!(format!("{number:?}"), "E164(+13•••34)");
    }

    proptest! {
        /// The rule, said once more in another language.
        #[test]
        fn accepts_what_the_pattern_accepts(text in "[+]?[0-9 a-z-]{0,18}") {
            let by_rule = text.trim().strip_prefix('+').is_some_and(|n| {
                (7..=15).contains(&n.len())
                    && n.bytes().all(|b| b.is_ascii_digit())
                    && !n.starts_with('0')
            });
            prop_assert_eq!(text.parse::<E164>().is_ok(), by_rule);
        }

        #[test]
        fn neither_debug_nor_an_error_shows_the_number(number in "[1-9][0-9]{6,17}", plus in any::<bool>()) {
            let text = if plus { format!("+{number}") } else { number.clone() };
            let shown = match text.parse::<E164>() {
                Ok(e164) => format!("{e164:?} {}", e164.masked()),
                Err(error) => format!("{error:?} {error}"),
            };
            for four in number.as_bytes().windows(4) {
                let four = std::str::from_utf8(four).unwrap();
                prop_assert!(!shown.contains(four), "{}", shown);
            }
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            if let Ok(number) = text.parse::<E164>() {
                prop_assert!(!number.masked().is_empty());
            }
        }
    }
}
