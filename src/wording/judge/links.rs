//! Links and addresses: a text has the event's link once, and no other. A phone makes a link of whatever looks like
//! one.

use super::{Brief, Fault};

/// The shortest end of a host's name that a phone takes for one.
const TOP_LEVEL_MIN: usize = 2;

/// The text without the event's link.
pub(super) fn without(text: &str, brief: &Brief) -> Result<String, Fault> {
    let mut rest = text.to_owned();
    if let Some(link) = &brief.link {
        rest = cut(text, link).ok_or(Fault::NoLink)?;
    }
    for word in rest.split_whitespace() {
        let is_of_title = |bare: &str| {
            let facts = super::facts(brief);
            facts.split_whitespace().any(|own| trimmed(own) == bare)
        };
        let bare = trimmed(word);
        // A name in the title, like Node.js, is part of it. A whole link is one, whoever has written it there.
        if is_link(bare) && (is_whole(bare) || !is_of_title(bare)) {
            return Err(Fault::OtherLink);
        }
    }
    Ok(rest)
}

/// The text without this link, if it has it once: as it is, or without `https://`, by which phones know it too.
fn cut(text: &str, link: &str) -> Option<String> {
    let bare = link.strip_prefix("https://").unwrap_or(link);
    let forms = [link, bare];
    let form = forms.into_iter().find(|form| text.contains(*form))?;
    let (before, after) = text.split_once(form)?;
    let ends = |c: char| c.is_whitespace() || ",;:!?)\"'".contains(c);
    let begins = |c: char| c.is_whitespace() || ":(\"'".contains(c);
    let is_end = match after.strip_prefix('.') {
        Some(rest) => rest.is_empty() || rest.starts_with(char::is_whitespace),
        None => after.is_empty() || after.starts_with(ends),
    };
    let is_alone = is_end && (before.is_empty() || before.ends_with(begins));
    let is_once = !after.contains(bare);
    (is_alone && is_once).then(|| format!("{before} {after}"))
}

/// Without what stands around a word.
fn trimmed(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && !"/@+".contains(c))
}

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
}

/// Whether it is a link whatever it is in: with a scheme, a path or an `@`.
fn is_whole(word: &str) -> bool {
    let lower = word.to_lowercase();
    lower.contains("://")
        || lower.starts_with("www.")
        || word.contains('@')
        || ["mailto:", "tel:", "sms:", "http:", "https:"]
            .iter()
            .any(|scheme| lower.starts_with(scheme))
        || word.contains('/') && is_host(word.split('/').next().unwrap_or_default())
}

fn is_link(word: &str) -> bool {
    is_whole(word) || is_host(word.split([':', '?', '#', '/']).next().unwrap_or_default())
}

/// Labels with dots between them, the last one of letters.
fn is_host(word: &str) -> bool {
    let labels: Vec<&str> = word.split(is_dot).collect();
    let Some((last, others)) = labels.split_last() else {
        return false;
    };
    let is_label = |label: &&str| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    !others.is_empty()
        && others.iter().all(is_label)
        && last.chars().count() >= TOP_LEVEL_MIN
        && last.chars().all(char::is_alphabetic)
}
