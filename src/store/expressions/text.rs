//! The texts of files with the expressions of [`put`] substituted.

use super::put;

/// A text that is assembled at compile time. With no capacity it only counts.
pub(super) struct Text<const N: usize> {
    pub(super) bytes: [u8; N],
    pub(super) len: usize,
}

impl<const N: usize> Text<N> {
    pub(super) const fn byte(&mut self, byte: u8) {
        if N > 0 {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
    }

    /// `$` is replaced by the alias and its dot, or by nothing where there is no alias.
    pub(super) const fn row(&mut self, expression: &str, alias: &[u8]) {
        let mut rest = expression.as_bytes();
        loop {
            let (before, after) = rest.split_at(up_to(b'$', rest));
            self.bytes(before);
            let [_, after @ ..] = after else { return };
            if !alias.is_empty() {
                self.bytes(alias);
                self.byte(b'.');
            }
            rest = after;
        }
    }

    /// A whole number that is not negative.
    pub(super) const fn number(&mut self, n: i32) {
        if n >= 10 {
            self.number(n / 10);
        }
        self.byte(b"0123456789"[(n % 10).unsigned_abs() as usize]);
    }

    /// A literal of a list.
    pub(super) const fn quoted(&mut self, word: &str, follows: bool) {
        self.row(if follows { ", '" } else { "'" }, b"");
        self.row(word, b"");
        self.byte(b'\'');
    }

    /// In one piece: for a megabyte of SQL, each byte by itself takes the compiler seconds.
    pub(super) const fn bytes(&mut self, bytes: &[u8]) {
        if N > 0 {
            let (_, free) = self.bytes.split_at_mut(self.len);
            let (place, _) = free.split_at_mut(bytes.len());
            place.copy_from_slice(bytes);
        }
        self.len += bytes.len();
    }

    pub(super) const fn of(sql: &str) -> Self {
        let mut out = Self {
            bytes: [0; N],
            len: 0,
        };
        out.append(sql);
        out
    }

    /// A text with its expressions substituted.
    pub(super) const fn append(&mut self, sql: &str) {
        let mut rest = sql.as_bytes();
        loop {
            let (before, after) = rest.split_at(up_to(b'!', rest));
            let (kept, name) = before.split_at(last_word(before));
            rest = match after {
                [] => {
                    self.bytes(before);
                    return;
                }
                [_, b'(', inside @ ..] if !name.is_empty() => {
                    let (alias, after) = inside.split_at(word_len(inside));
                    self.bytes(kept);
                    put(name, alias, self);
                    let [b')', after @ ..] = after else {
                        panic!("an expression takes the alias of a row, or nothing");
                    };
                    after
                }
                [mark, after @ ..] => {
                    self.bytes(before);
                    self.byte(*mark);
                    after
                }
            };
        }
    }
}

/// How many bytes there are before this one, or at all.
const fn up_to(byte: u8, text: &[u8]) -> usize {
    let mut at = 0;
    while at < text.len() && text[at] != byte {
        at += 1;
    }
    at
}

/// Where the word begins that a text ends with.
const fn last_word(text: &[u8]) -> usize {
    let mut at = text.len();
    while at > 0 && is_of_word(text[at - 1]) {
        at -= 1;
    }
    at
}

const fn word_len(text: &[u8]) -> usize {
    let mut len = 0;
    while len < text.len() && is_of_word(text[len]) {
        len += 1;
    }
    len
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
