//! The sender of a message: a number, a short code, a name, a number on WhatsApp, or a pool of which the provider picks
//! one.

use std::fmt;
use std::str::FromStr;

use super::{E164, Email, PhoneError, PoolForm};

/// How many digits a short code has in any country.
const SHORT_CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=8;

/// The longest name that a network shows in place of a number (GSM 03.40: 11 characters).
const NAME_MAX: usize = 11;

/// How a sender on WhatsApp begins.
pub const WHATSAPP: &str = "whatsapp:";

/// What a name may contain in addition to letters and digits.
const NAME_PUNCTUATION: &str = " -+_&";

/// A sender, parsed from `from_number` or a setting.
///
/// `Debug` is masked, as it is for [`E164`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// A phone number.
    Number(E164),
    /// Three to eight digits, leased from the carriers of one country.
    ShortCode(ShortCode),
    /// A name in place of a number; it cannot be replied to.
    Alphanumeric(Name),
    /// A phone number on WhatsApp: its messages go to the recipient's number there.
    WhatsApp(WhatsApp),
    /// A pool of senders, of which the provider picks one.
    Pool(PoolId),
    /// The address that an e-mail is from.
    Email(Email),
}

/// Three to eight digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ShortCode(String);

/// Up to eleven letters, digits, spaces and `-+_&`, at least one of them a letter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

/// `whatsapp:` and a phone number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WhatsApp(String);

/// The provider's id of a sender pool, in the form of [`Capabilities::sender_pools`].
///
/// [`Capabilities::sender_pools`]: super::Capabilities::sender_pools
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PoolId(String);

/// Whether a sender as a row has it is on WhatsApp.
pub fn is_whatsapp(text: &str) -> bool {
    text.trim().starts_with(WHATSAPP)
}

impl Sender {
    /// As a request has it. Not for logs.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => number.as_str(),
            Self::ShortCode(ShortCode(text))
            | Self::Alphanumeric(Name(text))
            | Self::WhatsApp(WhatsApp(text))
            | Self::Pool(PoolId(text)) => text,
            Self::Email(email) => email.as_str(),
        }
    }

    /// For people: enough to recognise one of their own senders.
    pub fn masked(&self) -> String {
        match self {
            Self::Number(number) => number.masked(),
            Self::ShortCode(code) => format!("{code:?}"),
            Self::Alphanumeric(name) => format!("{name:?}"),
            Self::WhatsApp(number) => format!("{number:?}"),
            Self::Pool(id) => format!("{id:?}"),
            Self::Email(email) => format!("{email:?}"),
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

impl fmt::Debug for WhatsApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0[WHATSAPP.len()..].parse::<E164>();
        write!(
            f,
            "{WHATSAPP}{}",
            number.map_or_else(|_| "•••".to_owned(), |own| own.masked())
        )
    }
}

impl fmt::Debug for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}•••{}", &self.0[..2], &self.0[self.0.len() - 4..])
    }
}

/// Why a text is not a sender. No sentence repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SenderError {
    /// Nothing, or only white space.
    #[error("it is empty")]
    Empty,
    /// It starts with `+`, but is not a number.
    #[error(transparent)]
    Phone(#[from] PhoneError),
    /// It starts with `whatsapp:`, and no phone number follows.
    #[error("after whatsapp: there is no phone number: {0}")]
    WhatsApp(PhoneError),
    /// Digits without `+`, and not as many as a short code has.
    #[error("it has {digits} digits: a short code has 3 to 8, and a phone number starts with +")]
    Digits {
        /// How many there are.
        digits: usize,
    },
    /// It starts like the id of a sender pool, but is not one.
    #[error("a sender pool is {0}")]
    Pool(PoolForm),
    /// A name that is longer than networks show.
    #[error("as a name it has {chars} characters; the limit is {NAME_MAX}")]
    TooLong {
        /// How many there are.
        chars: usize,
    },
    /// A name with a character that networks do not show.
    #[error("as a name it may have only unaccented letters, digits, spaces and - + _ &")]
    Character,
    /// Digits and punctuation only.
    #[error("it is neither a phone number (+ and digits) nor a name, which needs a letter")]
    NoLetter,
}

impl FromStr for Sender {
    type Err = SenderError;

    /// A sender of a provider without sender pools: see [`Sender::parse`].
    fn from_str(s: &str) -> Result<Self, SenderError> {
        Self::parse(s, None)
    }
}

impl Sender {
    /// A sender of a provider whose ids of sender pools have the form `pools`. White space around
    /// it is dropped. A text that starts with `+` can only be a number, digits alone are a short
    /// code, `whatsapp:` and a number are a sender on WhatsApp, and a text longer than a name that starts
    /// like a pool's id can only be one.
    pub fn parse(s: &str, pools: Option<PoolForm>) -> Result<Self, SenderError> {
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
        if let Some(number) = s.strip_prefix(WHATSAPP) {
            // White space is around the whole only.
            let is_one = !number.starts_with(char::is_whitespace);
            let number = if is_one {
                number.parse()
            } else {
                Err(PhoneError::NoPlus)
            };
            let number: E164 = number.map_err(SenderError::WhatsApp)?;
            let text = format!("{WHATSAPP}{}", number.as_str());
            return Ok(Self::WhatsApp(WhatsApp(text)));
        }
        if let Some(form) = pools
            && s.len() > NAME_MAX
            && s.starts_with(form.prefix)
        {
            return if form.matches(s) {
                Ok(Self::Pool(PoolId(s.to_owned())))
            } else {
                Err(SenderError::Pool(form))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POOL: &str = "PX0123456789ABCDEF";
    const POOLS: PoolForm = PoolForm {
        prefix: "PX",
        digits: 16,
    };

    fn check(text: &str, expected: Result<(&str, &str), SenderError>) {
        let got = Sender::parse(text, Some(POOLS));
        let kind = got.as_ref().map(|sender| match sender {
            Sender::Number(_) => "number",
            Sender::ShortCode(_) => "short code",
            Sender::Alphanumeric(_) => "name",
            Sender::WhatsApp(_) => "whatsapp",
            Sender::Pool(_) => "pool",
            Sender::Email(_) => "address",
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
        check("PX", Ok(("name", "PX")));
        check("PXM Resorts", Ok(("name", "PXM Resorts")));
        check(POOL, Ok(("pool", POOL)));
        let whatsapp = "whatsapp:+14155238886";
        check(&format!(" {whatsapp}\n"), Ok(("whatsapp", whatsapp)));
        check("whatsapp", Ok(("name", "whatsapp")));
    }

    #[test]
    fn what_is_no_sender() {
        check("", Err(SenderError::Empty));
        check("  ", Err(SenderError::Empty));
        check("+1310", Err(PhoneError::TooShort { digits: 4 }.into()));
        check("+ACME", Err(PhoneError::Letter.into()));
        for (rest, why) in [
            ("", PhoneError::Empty),
            ("14155238886", PhoneError::NoPlus),
            ("+1415", PhoneError::TooShort { digits: 4 }),
            ("whatsapp:+14155238886", PhoneError::NoPlus),
        ] {
            check(&format!("whatsapp:{rest}"), Err(SenderError::WhatsApp(why)));
        }
        check("WhatsApp:+14155238886", Err(SenderError::Character));
        check("12", Err(SenderError::Digits { digits: 2 }));
        check("13105551234", Err(SenderError::Digits { digits: 11 }));
        check(&POOL[..17], Err(SenderError::Pool(POOLS)));
        check(&POOL.replace('F', "G"), Err(SenderError::Pool(POOLS)));
        check("Twelve Chars", Err(SenderError::TooLong { chars: 12 }));
        check("Café", Err(SenderError::Character));
        check("ACME\n2", Err(SenderError::Character));
        check("ACME!", Err(SenderError::Character));
        check("555-1234", Err(SenderError::NoLetter));
    }

    #[test]
    fn a_provider_without_pools_takes_no_id_of_one() {
        let chars = POOL.len();
        assert_eq!(POOL.parse::<Sender>(), Err(SenderError::TooLong { chars }));
    }

    #[test]
    fn debug_is_masked() {
        for (text, shown) in [
            ("+13105551234", "Number(E164(+13•••34))"),
            ("12345", "ShortCode(•••45)"),
            ("ACME", "Alphanumeric(A•••)"),
            (POOL, "Pool(PX•••CDEF)"),
            ("whatsapp:+14155238886", "WhatsApp(whatsapp:+14•••86)"),
        ] {
            let sender = Sender::parse(text, Some(POOLS)).unwrap();
            assert_eq!(format!("{sender:?}"), shown);
            assert!(!sender.masked().contains(text));
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_one_of_the_five_forms(text in "(whatsapp:)?.{0,40}") {
            if let Ok(sender) = Sender::parse(&text, Some(POOLS)) {
                let wire = sender.as_str();
                prop_assert_eq!(wire, text.trim());
                let number = wire.strip_prefix(WHATSAPP).unwrap_or(wire);
                prop_assert!(wire.is_ascii() && (number.len() <= 16 || POOLS.matches(wire)));
                // Masking slices bytes: it must hold for all that parses.
                prop_assert!(!sender.masked().is_empty());
            }
        }
    }
}
