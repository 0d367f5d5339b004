//! Which parts of the server's error are repeated.
//!
//! Its MESSAGE may be the app's own (`raise exception`), or quote a value, and so contain numbers and texts; a
//! line break in it would forge a line of the log. So logs get the code, and the names of what refused. The
//! message itself is for a person who requests it: [`words`].

use std::fmt::Write as _;

use tokio_postgres::error::DbError;

/// Classes of errors whose messages contain names, limits and addresses and no values, if they come from
/// Punctual's own statement: connections, rights, missing objects, resources, time-outs.
const PLAIN: [&str; 11] = [
    "08", "0A", "25", "28", "3D", "3F", "42", "53", "55", "57", "58",
];

/// Classes of errors whose messages and details quote values: data that does not fit, and constraints.
const QUOTING: [&str; 2] = ["22", "23"];

/// The longest name that is repeated; Postgres truncates its own there.
const NAME_MAX: usize = 63;

/// The longest message that is repeated.
const WORDS_MAX: usize = 500;

/// Whether the error's message or detail quotes a value, which may be a number or a text.
pub(super) fn quotes_values(db: &DbError) -> bool {
    let code = db.code().code();
    QUOTING.iter().any(|class| code.starts_with(class))
}

/// Whether a function or trigger of others made the message: neither Punctual's nor a `do` block of a migration.
pub(super) fn is_of_others(db: &DbError) -> bool {
    db.where_()
        .and_then(function)
        .is_some_and(|name| name != "inline_code_block" && !name.starts_with("punctual."))
}

/// The code and the names of what refused. `punctual.refusal` in `triggers/messages.sql` does the same.
pub(super) fn names(db: &DbError) -> String {
    let code = db.code().code();
    // With a context, a function or trigger ran, and made the message or its contents.
    let plain = db.where_().is_none() && PLAIN.iter().any(|class| code.starts_with(class));
    let mut text = if plain {
        format!("{} (SQLSTATE {code})", words(db))
    } else {
        format!("SQLSTATE {code}")
    };
    for (kind, name) in [
        ("constraint", db.constraint()),
        ("table", db.table()),
        ("column", db.column()),
        ("function", db.where_().and_then(function)),
    ] {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let name: String = name.chars().take(NAME_MAX).collect();
            // Writing to a String does not fail. `Debug` escapes line breaks and quotes.
            let _ = write!(text, ", {kind} {name:?}");
        }
    }
    text
}

/// The same of any error of a connection; the client's own message where the server sent none.
pub(crate) fn of(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => names(db),
        None => error.to_string(),
    }
}

/// The server's message, for a person who requests it: in one line, and safe for a terminal.
pub(super) fn words(db: &DbError) -> String {
    let message = db.message().chars().take(WORDS_MAX);
    message.flat_map(escaped).collect()
}

/// What a statement of Punctual's own reports, which may have several lines; the names and values in it may not.
pub(super) fn own_words(db: &DbError) -> String {
    own_lines(db.message())
}

fn own_lines(message: &str) -> String {
    let lines = message.split('\n');
    let lines = lines.map(|line| line.chars().flat_map(escaped).collect::<String>());
    lines.collect::<Vec<_>>().join("\n")
}

/// Characters that would end a line or control a terminal are escaped.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let plain = matches!(c, '"' | '\'' | '\\').then_some(c);
    let written_out = plain.is_none().then(|| c.escape_debug());
    plain.into_iter().chain(written_out.into_iter().flatten())
}

/// The function or trigger that refused, from the first line of the context that names one.
fn function(context: &str) -> Option<&str> {
    context.lines().find_map(|line| {
        let pl = line.strip_prefix("PL/pgSQL function ");
        let pl = pl
            .and_then(|rest| rest.split_once('('))
            .map(|(name, _)| name);
        let sql = || {
            let rest = line.strip_prefix("SQL function \"")?;
            rest.split_once('"').map(|(name, _)| name)
        };
        pl.or_else(sql)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_by_the_context() {
        for (context, expected) in [
            ("PL/pgSQL function say_no() line 3 at RAISE", Some("say_no")),
            (
                "SQL statement \"insert\n into x\"\nPL/pgSQL function app.deep(text,uuid) line 3 at SQL statement",
                Some("app.deep"),
            ),
            ("SQL function \"plain\" statement 1", Some("plain")),
            ("SQL statement \"PL/pgSQL function no(\"", None),
            ("", None),
        ] {
            assert_eq!(function(context), expected, "{context}");
        }
    }

    #[test]
    fn what_would_end_a_line_or_steer_a_terminal_is_written_out() {
        let all: String = "a \"b\" c'é\\\n\u{1b}[2J\u{202e}"
            .chars()
            .flat_map(escaped)
            .collect();
        assert_eq!(all, "a \"b\" c'é\\\\n\\u{1b}[2J\\u{202e}");
        // Lists of a migration keep their lines.
        let own = own_lines("not usable:\n  - a\u{1b}[2J\n  - b");
        assert_eq!(own, "not usable:\n  - a\\u{1b}[2J\n  - b");
    }
}
