//! The alphabet of GSM 03.38: 7 bits a character, and ten more characters by an escape.

/// The characters of the alphabet in the order of their codes, without the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The code that says that the next one is of the extension.
pub const ESCAPE: u8 = 0x1b;

/// The extension: codes after the escape, and their characters.
const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// The code of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A character of the alphabet itself.
    Basic(u8),
    /// A character of the extension: it comes after the escape.
    Extended(u8),
}

impl Code {
    /// The code of this character; `None`: the alphabet does not have it.
    pub fn of(c: char) -> Option<Self> {
        if let Some(position) = BASIC.chars().position(|own| own == c) {
            let position = u8::try_from(position).ok()?;
            return Some(Self::Basic(position + u8::from(position >= ESCAPE)));
        }
        let (code, _) = EXTENSION.iter().find(|(_, own)| *own == c)?;
        Some(Self::Extended(*code))
    }

    /// How many groups of 7 bits it takes.
    pub const fn septets(self) -> usize {
        match self {
            Self::Basic(_) => 1,
            Self::Extended(_) => 2,
        }
    }
}

/// The text of these codes. What no table has is a space, as a phone shows it.
pub fn text(codes: &[u8]) -> String {
    let mut text = String::with_capacity(codes.len());
    let mut codes = codes.iter().copied();
    while let Some(code) = codes.next() {
        if code != ESCAPE {
            let position = code - u8::from(code > ESCAPE);
            text.push(BASIC.chars().nth(usize::from(position)).unwrap_or(' '));
        } else if let Some(extended) = codes.next() {
            let known = EXTENSION.iter().find(|(own, _)| *own == extended);
            text.push(known.map_or(' ', |(_, c)| *c));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_of_one_character_and_back() {
        assert_eq!(BASIC.chars().count(), 127);
        for code in (0..128).filter(|code| *code != ESCAPE) {
            let text = text(&[code]);
            let c = text.chars().next().unwrap();
            assert_eq!(Code::of(c), Some(Code::Basic(code)));
        }
        for (code, c) in EXTENSION {
            assert_eq!(Code::of(c), Some(Code::Extended(code)));
            assert_eq!(text(&[ESCAPE, code]), c.to_string());
        }
        for c in ['`', 'ç', '“', '👍', '\t'] {
            assert_eq!(Code::of(c), None, "{c}");
        }
        for (c, code) in [('@', 0), ('Æ', 0x1c), ('A', 0x41), ('¿', 0x60), ('à', 0x7f)] {
            assert_eq!(Code::of(c), Some(Code::Basic(code)), "{c}");
        }
    }
}
