//! A text as numbers, words and what is between them.

/// A piece of a text. White space is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Letters, in lower case.
    Word(String),
    /// Digits 0 to 9, as they are written.
    Number(String),
    /// Digits of other kinds.
    OtherNumber(String),
    /// Any other character.
    Sign(char),
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    OtherNumber,
    Space,
    Sign,
}

fn kind(c: char) -> Kind {
    if c.is_ascii_digit() {
        Kind::Number
    } else if c.is_numeric() {
        Kind::OtherNumber
    } else if c.is_alphabetic() || is_mark(c) {
        Kind::Word
    } else if c.is_whitespace() {
        Kind::Space
    } else {
        Kind::Sign
    }
}

/// Marks that belong to the letter before them.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// The pieces of a text, in order.
pub(super) fn of(text: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    let mut last = Kind::Space;
    for c in text.chars() {
        let kind = kind(c);
        let is_more = kind == last && kind != Kind::Sign;
        match (kind, found.last_mut()) {
            (Kind::Space, _) => {}
            (Kind::Word, Some(Token::Word(text))) if is_more => text.extend(c.to_lowercase()),
            (Kind::Number, Some(Token::Number(text)))
            | (Kind::OtherNumber, Some(Token::OtherNumber(text)))
                if is_more =>
            {
                text.push(c);
            }
            (Kind::Word, _) => found.push(Token::Word(c.to_lowercase().collect())),
            (Kind::Number, _) => found.push(Token::Number(c.to_string())),
            (Kind::OtherNumber, _) => found.push(Token::OtherNumber(c.to_string())),
            (Kind::Sign, _) => found.push(Token::Sign(c)),
        }
        last = kind;
    }
    found
}
