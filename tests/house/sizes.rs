//! The largest size of a file, of an SQL statement, and of a line of comment.

use std::path::Path;

use crate::source;

/// The most lines of a Rust file in `src`, its tests included.
const FILE_MAX: usize = 350;

/// The most lines of an SQL statement.
pub(crate) const STATEMENT_MAX: usize = 110;

/// The most characters of a line of comment. rustfmt does not wrap those.
const COMMENT_MAX: usize = 120;

pub(crate) fn broken(root: &Path) -> Vec<String> {
    let mut broken = comments(root);
    let mut files = Vec::new();
    source::collect(&root.join("src"), "rs", &mut files);
    for path in files {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        broken.extend(too_long(&name, lines, FILE_MAX));
    }
    let mut files = Vec::new();
    // Not those of migrations: files that have landed are not changed any more. Those of the store are measured with
    // their expressions, in `statements`.
    source::collect(&root.join("triggers"), "sql", &mut files);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        for (line, lines) in statements(&text) {
            broken.extend(too_long(&format!("{name}:{line}"), lines, STATEMENT_MAX));
        }
    }
    broken
}

/// The lines of comment that are too long, in sources and SQL, but for the dumps of earlier states.
fn comments(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for (below, ending) in [
        ("src", "rs"),
        ("tests", "rs"),
        ("src", "sql"),
        ("triggers", "sql"),
    ] {
        source::collect(&root.join(below), ending, &mut files);
    }
    let mut broken = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display();
        broken.extend(long_comments(&text).map(|line| {
            format!("{name}:{line}: a line of comment has over {COMMENT_MAX} characters: wrap it")
        }));
    }
    broken
}

/// The numbers of the lines of comment in a text that are too long.
pub(crate) fn long_comments(text: &str) -> impl Iterator<Item = usize> {
    let is_comment = |line: &str| {
        ["//", "--"]
            .iter()
            .any(|mark| line.trim_start().starts_with(mark))
    };
    let is_long = move |line: &str| is_comment(line) && line.chars().count() > COMMENT_MAX;
    let lines = (1..).zip(text.lines());
    lines
        .filter(move |(_, line)| is_long(line))
        .map(|(number, _)| number)
}

fn too_long(what: &str, lines: usize, most: usize) -> Option<String> {
    (lines > most).then(|| format!("{what} has {lines} lines, the most are {most}: split it"))
}

/// The first line of each statement, from 1, and its number of lines. A statement ends with a
/// semicolon at the end of a line, outside of a body that is quoted by dollars; comments between
/// statements belong to none.
pub(crate) fn statements(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let (mut first, mut last) = (None, 0);
    let mut quoted_by: Option<&str> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split("--").next().unwrap_or_default().trim_end();
        if first.is_none() && code.trim().is_empty() {
            continue;
        }
        let from = *first.get_or_insert(number);
        last = number;
        for quote in dollar_quotes(code) {
            match quoted_by {
                None => quoted_by = Some(quote),
                Some(open) if open == quote => quoted_by = None,
                Some(_) => {}
            }
        }
        if quoted_by.is_none() && code.ends_with(';') {
            found.push((from, number + 1 - from));
            first = None;
        }
    }
    if let Some(from) = first {
        found.push((from, last + 1 - from));
    }
    found
}

/// `$$` and `$tag$` in a line.
fn dollar_quotes(code: &str) -> impl Iterator<Item = &str> {
    let mut rest = code;
    std::iter::from_fn(move || {
        loop {
            let from = rest.find('$')?;
            let tag = rest[from + 1..].find('$')? + from + 1;
            let name = &rest[from + 1..tag];
            if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                let quote = &rest[from..=tag];
                rest = &rest[tag + 1..];
                return Some(quote);
            }
            rest = &rest[tag..];
        }
    })
}
