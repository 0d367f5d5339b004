//! What a server's sentence may quote of an e-mail, and what is not kept of it.

use super::response::enhanced;
use crate::provider::http::tidy::{tidy, unquote};

/// How much of a text is looked for in a sentence, and how much of a sentence is looked at, in bytes.
const TEXT_MAX: usize = 16 * 1024;
const SENTENCE_MAX: usize = 512;

/// The subject and the text of an e-mail. Not for logs.
pub(super) struct Quotable {
    pub(super) subject: Option<String>,
    pub(super) text: String,
}

impl Quotable {
    /// The sentence without them: the subject, the text, a line of it, and words with digits or an address in them.
    pub(super) fn cut(&self, sentence: &str) -> String {
        let text = start(&self.text, TEXT_MAX);
        let lines = || std::iter::once(text).chain(self.subject.as_deref());
        let mut parts: Vec<&str> = lines().collect();
        parts.extend(lines().flat_map(str::lines).map(str::trim));
        let is_known_by = |word: &&str| word.contains(|c: char| c.is_numeric() || "/@".contains(c));
        parts.extend(lines().flat_map(str::split_whitespace).filter(is_known_by));
        // The longest first: a shorter one may be a part of it.
        parts.sort_unstable_by_key(|part| std::cmp::Reverse(part.len()));
        parts.dedup();
        let mut cut = start(sentence, SENTENCE_MAX).to_owned();
        for part in parts {
            for seen in [of_bytes(part), of_characters(part)] {
                if seen.len() <= cut.len() {
                    cut = unquote(&cut, &seen);
                }
            }
        }
        cut
    }
}

/// A server's sentence, fit for a log: without addresses, which it often quotes, and without what it quotes of a mail.
pub(super) fn masked(text: &str, mail: Option<&Quotable>) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // The enhanced code stays, whatever digits follow it.
    let (code, text) = match text.split_once(' ') {
        Some((code, rest)) if enhanced(code).is_some() => (code, rest),
        _ => ("", &*text),
    };
    let text = mail.map_or_else(|| text.to_owned(), |mail| mail.cut(text));
    let word = |word| {
        if str::contains(word, '@') {
            "[address]"
        } else {
            word
        }
    };
    let words: Vec<&str> = text.split(' ').map(word).collect();
    let text = tidy(&words.join(" "));
    if code.is_empty() {
        text
    } else {
        format!("{code} {text}")
    }
}

fn start(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// As the text is read where the server writes it in UTF-8: of a response only ASCII is read.
fn of_bytes(text: &str) -> String {
    let ascii = |byte: u8| {
        if byte.is_ascii() {
            char::from(byte)
        } else {
            '?'
        }
    };
    text.bytes().map(ascii).collect()
}

/// The same where a character is one byte.
fn of_characters(text: &str) -> String {
    let ascii = |c: char| if c.is_ascii() { c } else { '?' };
    text.chars().map(ascii).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_quotes_is_cut_out() {
        let mail = Quotable {
            subject: Some("Ihr Schlüssel".into()),
            text: "Hello Ada,\nyour code is 4711.\nhttps://a.example/x?y=1 ok".into(),
        };
        for (said, kept) in [
            (
                "5.7.1 subject \"Ihr Schl??ssel\" is spam",
                "5.7.1 subject \"[text]\" is spam",
            ),
            ("5.7.1 subject Ihr Schl?ssel", "5.7.1 subject [text]"),
            ("5.7.1 line: Hello Ada,", "5.7.1 line: [text]"),
            (
                "5.7.1 listed: https://a.example/x?y=1",
                "5.7.1 listed: [text]",
            ),
            ("5.7.1 4711. is a code", "5.7.1 [text] is a code"),
            ("5.7.1 not ok", "5.7.1 not ok"),
        ] {
            assert_eq!(mail.cut(said), kept);
        }
    }

    #[test]
    fn what_a_server_quotes_is_masked() {
        let said = "5.1.1 <ada@example.com>: no such user; call +13105551234";
        assert_eq!(
            masked(said, None),
            "5.1.1 [address] no such user; call +•••"
        );
        let listed = "4.7.1 203.0.113.199 is greylisted";
        let shown = masked(listed, None);
        assert!(shown.starts_with("4.7.1 "), "{shown}");
        assert_eq!(masked("5.1.1", None), "5.1.1");
    }
}
