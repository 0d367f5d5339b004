//! Words that the project has retired, with the term that replaces each (`docs/glossary.md`).
//!
//! A word moves from [`Scope::Docs`] to [`Scope::All`] once the code has none left of it.

use std::path::{Path, PathBuf};

/// Where a word is retired.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// In texts for people: docs and `deploy/`.
    Docs,
    /// Also in sources and SQL, comments and identifiers included.
    All,
}

/// The word or phrase, the term to use, and where that is enforced.
const RETIRED: &[(&str, &str, Scope)] = &[
    ("in doubt", "unconfirmed, or uncertain outcome", Scope::All),
    ("nobody knows", "unknown, uncertain outcome", Scope::All),
    ("anew", "again", Scope::All),
    ("person's word", "manual decision", Scope::All),
    ("mended", "fixed, recovered", Scope::All),
    ("stand in", "be in, be recorded in", Scope::All),
    ("let go", "clear, release", Scope::All),
    ("give back", "release, return", Scope::All),
    ("given back", "released, returned", Scope::All),
    ("gives back", "releases, returns", Scope::All),
    ("gives its slot back", "returns its slot", Scope::All),
    ("tell", "show, report, notify, say", Scope::All),
    ("tells", "shows, reports, notifies, says", Scope::All),
    ("told", "shown, reported, notified", Scope::All),
    ("telling", "showing, reporting, notifying", Scope::All),
    ("is asked again", "is queried again", Scope::All),
    (
        "see the module",
        "a noun phrase that says what it is",
        Scope::All,
    ),
    ("named so", "that matches", Scope::All),
    (
        "held by another transaction",
        "locked by another transaction",
        Scope::All,
    ),
    ("worth nothing", "expired", Scope::All),
    ("lays down", "sets", Scope::All),
    ("is no moment", "is not a valid time", Scope::All),
    ("is no iana zone", "is not an IANA time zone", Scope::All),
    ("pretend", "simulated", Scope::All),
    ("strays", "orphaned claims", Scope::All),
    ("gives way", "is closed, stops", Scope::Docs),
    ("notice channel", "notification channel", Scope::All),
    ("besides", "also", Scope::All),
    ("came back older", "was restored", Scope::All),
    ("held back", "deferred", Scope::All),
    ("gives its place back", "returns its quota", Scope::All),
    ("lets the account in", "accepts the account", Scope::All),
    (
        "takes the credentials",
        "accepts the credentials",
        Scope::All,
    ),
    ("mends", "fixes, recovers", Scope::All),
    ("true to the table", "consistent with the table", Scope::All),
    ("goes without saying", "is not reported", Scope::All),
    (
        "see there",
        "a noun phrase that says what it is",
        Scope::All,
    ),
    ("stands before it", "delays it", Scope::All),
    ("is let in", "is accepted", Scope::All),
    ("asked again", "read, queried or entered again", Scope::Docs),
    ("upkeep", "maintenance", Scope::All),
    ("warmth", "prewarm", Scope::All),
];

/// Fixed names that contain a retired word.
const FIXED: &[&str] = &[
    // The name of a check of `punctual doctor`, in the docs, in its statement and in its test.
    "`in doubt`",
    "'in doubt'",
    "\"in doubt\"",
    // The column, the setting and the metric of the policy for uncertain outcomes.
    "in_doubt",
    // A function that daemons of the version before call, and an argument: neither can be renamed in place.
    "tell_statuses",
    "told text[]",
    "sent, told",
    "c.told",
    // The noun: the server that tests have in place of a provider. What is retired is the verb.
    "stand_in",
];

/// What names retired words and has to: the databases of earlier versions, and this list.
const EXEMPT: &[&str] = &["tests/pg/landed", "tests/house/words.rs"];

pub(crate) fn broken(root: &Path) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, scope) in files(root) {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        broken.extend(in_text(&name, &text, scope));
        let is_marker = |line: &&str| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ");
        let markers = text.lines().filter(is_marker);
        broken.extend(markers.map(|line| format!("{name}: a conflict is not resolved: {line}")));
    }
    broken
}

/// All texts, with the scope that a word must have to be retired there.
fn files(root: &Path) -> Vec<(PathBuf, Scope)> {
    let mut files = Vec::new();
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "Dockerfile",
    ] {
        files.push((root.join(name), Scope::Docs));
    }
    for (dir, scope, ends) in [
        ("docs", Scope::Docs, &["md"][..]),
        (
            "deploy",
            Scope::Docs,
            &["yml", "yaml", "toml", "env", "service", "json"],
        ),
        ("src", Scope::All, &["rs", "sql", "js", "css", "html", "sh"]),
        ("triggers", Scope::All, &["sql", "md"]),
        ("migrations", Scope::All, &["sql"]),
        ("tests", Scope::All, &["rs", "sql", "mjs", "py", "json"]),
    ] {
        walk(&root.join(dir), &mut |path| {
            if EXEMPT
                .iter()
                .any(|exempt| path.starts_with(root.join(exempt)))
            {
                return;
            }
            let end = path.extension().and_then(|end| end.to_str());
            if end.is_some_and(|end| ends.contains(&end)) {
                files.push((path, scope));
            }
        });
    }
    files
}

fn walk(dir: &Path, take: &mut impl FnMut(PathBuf)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, take);
        } else {
            take(path);
        }
    }
}

fn in_text(name: &str, text: &str, scope: Scope) -> Vec<String> {
    let mut broken = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let mut text = text.to_lowercase();
        for fixed in FIXED {
            text = text.replace(fixed, "");
        }
        // A name in code is read like a phrase.
        let text = text.replace('_', " ");
        for (word, instead, of) in RETIRED {
            if (scope == Scope::Docs || *of == Scope::All) && has_word(&text, word) {
                broken.push(format!(
                    "{name}:{line}: {word:?} is retired, use: {instead}"
                ));
            }
        }
    }
    broken
}

/// Whether `word` is in `text` as a whole.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

#[test]
fn a_retired_word_is_found_as_a_whole_word_and_where_it_is_retired() {
    let count = |text: &str, scope| in_text("x", text, scope).len();
    assert_eq!(count("fn upkeep_of() {}\n// Upkeep.", Scope::All), 2);
    assert_eq!(count("// The latch gives way.", Scope::All), 0);
    assert_eq!(count("It is in doubt, and sent anew.", Scope::Docs), 2);
    let fixed = "| `in doubt` | PUNCTUAL_IN_DOUBT, renewed |";
    assert_eq!(count(fixed, Scope::Docs), 0);
}
