//! Whether an answer may be sent. It is refused when it says anything that does not follow from the brief: the message
//! has a text of its own, and a wrong one is worse than a plain one.

use super::brief::is_hidden;
use super::{Brief, TEXT_MAX};
use crate::message::gsm7::Code;
use crate::message::segments::Segments;

mod links;
mod times;
mod tokens;

use tokens::Token;

/// Why an answer is not sent. Without the answer: it may have anything in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// There is no text.
    #[error("the answer is empty")]
    Empty,
    /// It has a line break or another control character, or one that is not shown.
    #[error("the answer has a line break or a character that is not shown")]
    Control,
    /// More than [`TEXT_MAX`] characters.
    #[error("the answer has more than 160 characters")]
    Long,
    /// More than one segment.
    #[error("the answer needs more than one segment")]
    Segments,
    /// An emoji, or another character that neither texts nor the brief have.
    #[error("the answer has a character that is neither in the alphabet of texts nor in the facts")]
    Alphabet,
    /// Marks of markdown or of a placeholder.
    #[error("the answer has markdown, or marks that are not in the facts")]
    Markdown,
    /// It stands between quotation marks.
    #[error("the answer is quoted")]
    Quoted,
    /// What divides texts into parts.
    #[error("the answer has the separator of parts")]
    Separator,
    /// The link is not there, or more than once.
    #[error("the answer does not have the link, or not once")]
    NoLink,
    /// Another link, or an address.
    #[error("the answer has a link or an address that is not the event's")]
    OtherLink,
    /// A number that is not in the brief.
    #[error("the answer has a number that does not follow from the facts")]
    Number,
    /// Another time to the event, or another time of day.
    #[error("the answer has a wrong time")]
    WrongTime,
    /// It does not say when the event begins.
    #[error("the answer does not say when the event begins")]
    NoTime,
    /// It does not name the event.
    #[error("the answer does not name the event")]
    Unrelated,
}

/// Marks that a text has only if the facts have them.
const MARKS: &str = "*_`#~|<>[]{}\\^=";

/// The shortest word of a title by which it is known.
const WORD_MIN: usize = 3;

/// The text that may be sent, of this answer. `separator` divides texts into parts.
pub fn judge(answer: &str, brief: &Brief, separator: Option<&str>) -> Result<String, Fault> {
    let text = plain(answer.trim());
    form(&text, brief)?;
    if separator.is_some_and(|separator| text.contains(separator)) {
        return Err(Fault::Separator);
    }
    let rest = links::without(&text, brief)?;
    marks(&rest, brief)?;
    times::check(&rest, brief)?;
    if !names(&rest, &brief.title) {
        return Err(Fault::Unrelated);
    }
    Ok(text)
}

/// With the characters of GSM-7 in place of those that typography has.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{2032}' => plain.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{2033}' => plain.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => plain.push('-'),
            '\u{2026}' => plain.push_str("..."),
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

fn form(text: &str, brief: &Brief) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if text.chars().any(|c| c.is_control() || is_hidden(c)) {
        return Err(Fault::Control);
    }
    if text.chars().count() > TEXT_MAX {
        return Err(Fault::Long);
    }
    let facts = facts(brief);
    let is_known = |c: char| Code::of(c).is_some() || facts.contains(c);
    if !text.chars().all(is_known) {
        return Err(Fault::Alphabet);
    }
    if Segments::of(text).count > 1 {
        return Err(Fault::Segments);
    }
    let is_quote = |c: Option<char>| c.is_some_and(|c| "\"'\u{ab}\u{bb}".contains(c));
    if is_quote(text.chars().next())
        && is_quote(text.chars().last())
        && !brief.title.starts_with(['"', '\''])
    {
        return Err(Fault::Quoted);
    }
    Ok(())
}

/// All that strangers have written of it, but for the link.
fn facts(brief: &Brief) -> String {
    let location = brief.location.as_deref().unwrap_or_default();
    format!("{} {location}", brief.title)
}

/// Refuses marks that the facts do not have as often, and the beginning of an item or a heading.
fn marks(rest: &str, brief: &Brief) -> Result<(), Fault> {
    let facts = facts(brief);
    let count = |text: &str, mark: char| text.chars().filter(|c| *c == mark).count();
    let has_more = MARKS
        .chars()
        .any(|mark| count(rest, mark) > count(&facts, mark));
    let is_item = ["- ", "+ ", "1. "]
        .iter()
        .any(|item| rest.starts_with(item) && !brief.title.starts_with(item));
    if has_more || is_item {
        Err(Fault::Markdown)
    } else {
        Ok(())
    }
}

/// Whether a text names what has this title: by one of its words, or, if it has no word that is long enough, by all
/// of it.
fn names(text: &str, title: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        tokens::of(text)
            .into_iter()
            .filter_map(|token| match token {
                Token::Word(word) if word.chars().count() >= WORD_MIN => Some(word),
                _ => None,
            })
            .collect()
    };
    let (own, wanted) = (words(text), words(title));
    if wanted.is_empty() {
        return text.to_lowercase().contains(&title.to_lowercase());
    }
    wanted.iter().any(|word| own.contains(word))
}
