//! Who a message comes from: a number, a short code, a name, or a pool that picks one.

use std::fmt;
use std::str::FromStr;

use super::{E164, PhoneError};

/// How many digits a short code has, over all the countries that have them.
const SHORT_CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=8;

/// The longest name a network shows in place of a number (GSM 03.40: 11 characters).
const NAME_MAX: usize = 11;

/// What a name may hold beside letters and digits (Twilio, `AlphaSender`).
const NAME_PUNCTUATION: &str = " -+_&";

/// A sender as the provider knows it; parsed from `from_number` or a setting.
///
/// `Debug` is masked, as it is for [`E164`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// A phone number of one's own.
    Number(E164),
    /// Three to eight digits, leased from the carriers of one country.
    ShortCode(ShortCode),
    /// A name in place of a number; it cannot be replied to.
    Alphanumeric(Name),
    /// A Twilio messaging service, which picks one of its numbers.
    Service(ServiceSid),
}

/// Three to eight digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ShortCode(String);

/// Up to eleven letters, digits, spaces and `-+_&`, at least one of them a letter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

/// `MG` and 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServiceSid(String);

impl Sender {
    /// As the provider wants it. Not for logs.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => number.as_str(),
            Self::ShortCode(ShortCode(text))
            | Self::Alphanumeric(Name(text))
            | Self::Service(ServiceSid(text)) => text,
        }
    }

    /// For people: enough to tell which of one's own senders it is.
    pub fn masked(&self) -> String {
        match self {
            Self::Number(number) => number.masked(),
            Self::ShortCode(code) => format!("{code:?}"),
            Self::Alphanumeric(name) => format!("{name:?}"),
            Self::Service(sid) => format!("{sid:?}"),
        }
    }
}

impl fmt::Debug for ShortCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "•••{}", &self.0[self.0.len() - 2..])
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}•••", &self.0[..1])
    }
}

impl fmt::Debug for ServiceSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MG•••{}", &self.0[self.0.len() - 4..])
    }
}

/// Why a text names no sender. No sentence repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SenderError {
    /// Nothing, or only white space.
    #[error("it is empty")]
    Empty,
    /// It starts with `+`, and is no number all the same.
    #[error(transparent)]
    Phone(#[from] PhoneError),
    /// Digits without `+`, and not as many as a short code has.
    #[error("it has {digits} digits: a short code has 3 to 8, and a phone number starts with +")]
    Digits {
        /// How many there are.
        digits: usize,
    },
    /// It starts like a messaging service and goes on otherwise.
    #[error("a messaging service is MG and 32 hexadecimal digits")]
    ServiceSid,
    /// A name beyond what networks show.
    #[error("as a name it has {chars} characters; the limit is {NAME_MAX}")]
    TooLong {
        /// How many there are.
        chars: usize,
    },
    /// A name with a character networks do not show.
    #[error("as a name it may have only unaccented letters, digits, spaces and - + _ &")]
    Character,
    /// A name of digits and punctuation only: a number in disguise.
    #[error("it is neither a phone number (+ and digits) nor a name, which needs a letter")]
    NoLetter,
}

impl FromStr for Sender {
    type Err = SenderError;

    /// White space around it is dropped. What starts with `+` is a number and nothing else;
    /// digits alone are a short code; `MG…` beyond a name's length is a messaging service.
    fn from_str(s: &str) -> Result<Self, SenderError> {
        let s = s.trim();
        if s.is_empty() {
            return Err(SenderError::Empty);
        }
        if s.starts_with('+') {
            return Ok(Self::Number(s.parse()?));
        }
        if s.bytes().all(|b| b.is_ascii_digit()) {
            let digits = s.len();
            return if SHORT_CODE_DIGITS.contains(&digits) {
                Ok(Self::ShortCode(ShortCode(s.to_owned())))
            } else {
                Err(SenderError::Digits { digits })
            };
        }
        if s.starts_with("MG") && s.len() > NAME_MAX {
            return if is_sid("MG", s) {
                Ok(Self::Service(ServiceSid(s.to_owned())))
            } else {
                Err(SenderError::ServiceSid)
            };
        }
        name(s)
    }
}

fn name(s: &str) -> Result<Sender, SenderError> {
    if !s
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || NAME_PUNCTUATION.contains(c))
    {
        return Err(SenderError::Character);
    }
    if s.len() > NAME_MAX {
        return Err(SenderError::TooLong { chars: s.len() });
    }
    if !s.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Err(SenderError::NoLetter);
    }
    Ok(Sender::Alphanumeric(Name(s.to_owned())))
}

/// Whether a text has the form of a Twilio identifier: two letters that tell the kind, and 32
/// hexadecimal digits.
pub(crate) fn is_sid(kind: &str, text: &str) -> bool {
    text.strip_prefix(kind)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SERVICE: &str = "MG0123456789abcdef0123456789ABCDEF";

    fn check(text: &str, expected: Result<(&str, &str), SenderError>) {
        let got = text.parse::<Sender>();
        let kind = got.as_ref().map(|sender| match sender {
            Sender::Number(_) => "number",
            Sender::ShortCode(_) => "short code",
            Sender::Alphanumeric(_) => "name",
            Sender::Service(_) => "service",
        });
        let expected_kind = expected.as_ref().map(|(kind, _)| *kind);
        assert_eq!(kind, expected_kind, "{text:?}");
        if let (Ok(sender), Ok((_, wire))) = (got, expected) {
            assert_eq!(sender.as_str(), wire);
        }
    }

    #[test]
    fn every_kind_of_sender() {
        check("+13105551234", Ok(("number", "+13105551234")));
        check(" +13105551234 ", Ok(("number", "+13105551234")));
        check("789", Ok(("short code", "789")));
        check("12345", Ok(("short code", "12345")));
        check("12345678", Ok(("short code", "12345678")));
        check("ACME", Ok(("name", "ACME")));
        check("Dr-Who & Co", Ok(("name", "Dr-Who & Co")));
        check("a", Ok(("name", "a")));
        check("MG", Ok(("name", "MG")));
        check("MGM Resorts", Ok(("name", "MGM Resorts")));
        check(SERVICE, Ok(("service", SERVICE)));
    }

    #[test]
    fn what_is_no_sender() {
        check("", Err(SenderError::Empty));
        check("  ", Err(SenderError::Empty));
        check("+1310", Err(PhoneError::TooShort { digits: 4 }.into()));
        check("+ACME", Err(PhoneError::Letter.into()));
        check("12", Err(SenderError::Digits { digits: 2 }));
        check("13105551234", Err(SenderError::Digits { digits: 11 }));
        check(&SERVICE[..33], Err(SenderError::ServiceSid));
        check(&SERVICE.replace('f', "g"), Err(SenderError::ServiceSid));
        check("Twelve Chars", Err(SenderError::TooLong { chars: 12 }));
        check("Café", Err(SenderError::Character));
        check("ACME\n2", Err(SenderError::Character));
        check("ACME!", Err(SenderError::Character));
        check("555-1234", Err(SenderError::NoLetter));
    }

    #[test]
    fn debug_is_masked() {
        for (text, shown) in [
            ("+13105551234", "Number(E164(+13•••34))"),
            ("12345", "ShortCode(•••45)"),
            ("ACME", "Alphanumeric(A•••)"),
            (SERVICE, "Service(MG•••CDEF)"),
        ] {
            let sender: Sender = text.parse().unwrap();
            assert_eq!(format!("{sender:?}"), shown);
            assert!(!sender.masked().contains(text));
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_one_of_the_four_forms(text in ".{0,40}") {
            if let Ok(sender) = text.parse::<Sender>() {
                let wire = sender.as_str();
                prop_assert_eq!(wire, text.trim());
                prop_assert!(wire.is_ascii() && (wire.len() <= 16 || is_sid("MG", wire)));
                // Masking slices bytes: it must hold for all that parses.
                prop_assert!(!sender.masked().is_empty());
            }
        }
    }
}
