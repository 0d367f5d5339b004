//! How SQL names the schema of the app's tables: `public.` and `'public'`, which the name of another schema replaces
//! (`src/store/app_schema.rs`). Any other `public` would stay as it is. The pseudo role is written PUBLIC.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source;

/// In files that are never edited. The one is the hint of a refusal, the other is the pseudo role.
const FROZEN: &[(&str, &str)] = &[
    ("20261128000000_shape.sql", "set schema public (and set the"),
    (
        "20261128000003_private_schema.sql",
        "revoke all on schema punctual from public;",
    ),
];

pub(crate) fn broken(root: &Path) -> Vec<String> {
    let mut files: Vec<PathBuf> = Vec::new();
    for below in ["src/store", "triggers", "migrations"] {
        source::collect(&root.join(below), "sql", &mut files);
    }
    // Expressions that are inserted in statements.
    files.push(root.join("src/store/expressions/rights.rs"));
    files.push(root.join("src/store/expressions/catalog.rs"));
    files.push(root.join("src/store/expressions/fault.rs"));
    files.push(root.join("src/store/expressions/lists.rs"));
    let mut broken = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root).unwrap().display().to_string();
        for (number, line) in (1..).zip(text.lines()) {
            let is_frozen =
                |(file, part): &(&str, &str)| name.ends_with(file) && line.contains(part);
            if !FROZEN.iter().any(is_frozen) && names_it_otherwise(line) {
                broken.push(format!(
                    "{name}:{number}: another schema replaces only `public.` and `'public'`: {}",
                    line.trim()
                ));
            }
        }
    }
    broken
}

/// Whether a line of SQL has a `public` that is not replaced.
pub(crate) fn names_it_otherwise(line: &str) -> bool {
    let code = line.split("--").next().unwrap_or(line);
    code.match_indices("public").any(|(at, word)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_word = !before.ends_with(is_of_word) && !after.starts_with(is_of_word);
        let mut next = after.chars();
        let is_qualifier = next.next() == Some('.')
            && next
                .next()
                .is_some_and(|c| c.is_ascii_alphanumeric() || "_%'".contains(c))
            && !before.ends_with(['.', '"', '$']);
        let is_name =
            before.ends_with('\'') && after.starts_with('\'') && !after.starts_with("'::reg");
        is_word && !is_qualifier && !is_name
    })
}
