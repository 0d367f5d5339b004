//! The rules, each a function from a source to its complaints.

use crate::source::{Kind, Source};

/// Which module may know which: only those of earlier lines.
const ORDER: &[&[&str]] = &[
    &["version"],
    &["message"],
    &["schedule", "policy", "wording"],
    &["forecast", "limits", "settle", "plan"],
    &["reactor", "proof"],
    &["clock", "metrics", "store", "listen", "provider", "journal"],
    &["dispatch", "receipt"],
    &["http"],
    &["config", "daemon"],
    &["demo", "cli"],
];

/// Neighbours of one line that may know each other, this way round, and why.
const NEIGHBOURS: &[(&str, &str)] = &[
    // It listens on a connection that the store knows how to make.
    ("listen", "store"),
    // It is built from the settings.
    ("daemon", "config"),
    // Bounds how long a migration waits for its turn.
    ("store", "clock"),
    // The check of the app's inserts refuses what a provider of texts would refuse; and a provider sends to a table.
    ("store", "provider"),
    // A signature has the time at which it was made.
    ("provider", "clock"),
    // One of the commands.
    ("cli", "demo"),
];

/// Decisions only: a simulation runs them under a clock of its own.
const PURE: &[&str] = &[
    "message", "schedule", "policy", "wording", "forecast", "limits", "settle", "plan", "reactor",
    "proof",
];

/// What a pure module does not name: I/O, and the clocks.
const WORLD: &[&str] = &[
    "tokio",
    "tokio_util",
    "tokio_postgres",
    "deadpool_postgres",
    "reqwest",
    "axum",
    "hyper",
    "rustix",
    "Instant",
    "SystemTime",
];

/// What a pure module does not take of the standard library.
const WORLD_OF_STD: &[&str] = &["fs", "net", "env", "io", "thread", "process"];

/// The modules that the lists above name.
pub(crate) fn named() -> impl Iterator<Item = &'static str> {
    let neighbours = NEIGHBOURS.iter().flat_map(|(from, to)| [*from, *to]);
    let listed = ORDER
        .iter()
        .copied()
        .flatten()
        .chain(PURE)
        .chain(NAME_PROVIDERS);
    listed.copied().chain(neighbours)
}

pub(crate) fn broken(source: &Source) -> Vec<String> {
    // The roots only list the modules.
    let Some(module) = source.module.first() else {
        return Vec::new();
    };
    [
        imports(source, module),
        purity(source, module),
        time(source, module),
        sql(source, module),
        tasks(source, module),
        provider_words(source, module),
    ]
    .concat()
}

/// Modules that name providers to people, or build them: settings, commands, the simulated phone.
const NAME_PROVIDERS: &[&str] = &["config", "cli", "demo"];

/// A provider's words outside the modules that may know them: its name, but for the column and the
/// settings that are called so; its words for how far a message has come; its codes.
fn provider_words(source: &Source, module: &str) -> Vec<String> {
    let is_twilio = source
        .module
        .starts_with(&["provider".into(), "twilio".into()]);
    let is_root_of_providers = source.module == ["provider"];
    if is_twilio || is_root_of_providers || NAME_PROVIDERS.contains(&module) {
        return Vec::new();
    }
    source
        .words
        .iter()
        .filter(|word| is_provider_word(&word.text))
        .map(|word| {
            let what = format!(
                "{} is Twilio's word: only provider/twilio has those",
                word.text
            );
            complain(source, word.line, &what)
        })
        .collect()
}

pub(crate) fn is_provider_word(text: &str) -> bool {
    has_provider_name(text) || has_code(text)
}

fn has_provider_name(text: &str) -> bool {
    let mut own = text.to_owned();
    for fixed in FIXED {
        own = own.replace(fixed, "");
    }
    let own = own.to_lowercase();
    PROVIDER_WORDS.iter().any(|word| own.contains(word)) || own == "\"canceled\""
}

/// Whether one of Twilio's codes is in a text.
fn has_code(text: &str) -> bool {
    let is_code =
        |word: &str| word.len() == 5 && word.parse().is_ok_and(|n| (20_000..65_000).contains(&n));
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(is_code)
}

/// Names in Twilio's words that users write: columns, those of presets too, and the settings.
const FIXED: &[&str] = &[
    "twilio_sid",
    "twilio_status",
    "twilio_error_code",
    "twilio_error_message",
    "TWILIO_",
    "SMS_FROM_NUMBER",
    "MESSAGING_SERVICE_SID",
    "messaging_service_sid",
];

/// Twilio's name, and its words for statuses and sender pools.
const PROVIDER_WORDS: &[&str] = &[
    "twilio",
    "'canceled'",
    "partially_delivered",
    "messaging service",
    "messagingservice",
    "mg[0-9a-f",
];

/// The same for a statement: its comments aside, and for codes its literals, which may be SQLSTATEs.
pub(crate) fn provider_words_of_sql(text: &str) -> Vec<&str> {
    let code = text
        .lines()
        .map(|line| line.split("--").next().unwrap_or(line));
    let has_number = |line: &str| line.split('\'').step_by(2).any(has_code);
    code.filter(|line| has_provider_name(line) || has_number(line))
        .collect()
}

fn complain(source: &Source, line: usize, what: &str) -> String {
    format!("src/{}:{line}: {what}", source.path.display())
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|line| line.contains(&module))
}

fn imports(source: &Source, module: &str) -> Vec<String> {
    let Some(own) = rank(module) else {
        let what = format!("{module} has no place in the order of modules: give it one");
        return vec![complain(source, 1, &what)];
    };
    let mut broken = Vec::new();
    for path in source.paths() {
        let ups = path.parts.iter().take_while(|p| *p == "super").count();
        let top = if path.parts[0] == "crate" {
            1
        } else if ups > 0 && ups == source.module.len() + path.inside {
            ups
        } else {
            continue;
        };
        let Some(used) = path.parts.get(top) else {
            continue;
        };
        let allowed = used == module
            || rank(used).is_some_and(|r| r < own)
            || NEIGHBOURS.contains(&(module, used));
        if !allowed {
            let what = format!("{module} may not use {used}");
            broken.push(complain(source, path.line, &what));
        }
    }
    broken
}

fn purity(source: &Source, module: &str) -> Vec<String> {
    if !PURE.contains(&module) {
        return Vec::new();
    }
    let mut broken = Vec::new();
    for path in source.paths() {
        let named = path
            .parts
            .iter()
            .find(|part| WORLD.contains(&part.as_str()));
        let of_std = match path.parts.as_slice() {
            [std, part, ..] if std == "std" && WORLD_OF_STD.contains(&part.as_str()) => Some(part),
            _ => None,
        };
        if let Some(part) = named.or(of_std) {
            let what = format!("{module} is pure and may not name {part}");
            broken.push(complain(source, path.line, &what));
        }
    }
    for words in source.words.windows(3) {
        if [".", "now", "("] == [&words[0].text, &words[1].text, &words[2].text] {
            let what = format!("{module} is pure: time comes in as an argument, not by now()");
            broken.push(complain(source, words[1].line, &what));
        }
    }
    broken
}

/// `X::now`, called or handed on.
fn time(source: &Source, module: &str) -> Vec<String> {
    if module == "clock" {
        return Vec::new();
    }
    source
        .words
        .windows(3)
        .filter(|words| words[0].text == ":" && words[1].text == ":" && words[2].text == "now")
        .map(|words| complain(source, words[2].line, "only clock may read the time"))
        .collect()
}

fn tasks(source: &Source, module: &str) -> Vec<String> {
    if module == "daemon" {
        return Vec::new();
    }
    source
        .paths()
        .iter()
        .filter(|path| match path.parts.as_slice() {
            [.., from, spawn] => (from == "tokio" || from == "task") && spawn == "spawn",
            _ => false,
        })
        .map(|path| complain(source, path.line, "only daemon may start a task of its own"))
        .collect()
}

fn sql(source: &Source, module: &str) -> Vec<String> {
    if module == "store" {
        return Vec::new();
    }
    source
        .words
        .iter()
        .filter(|word| word.kind == Kind::Literal && is_sql(&word.text))
        // It subscribes to a channel, whose name cannot be a statement's parameter, and reads
        // and writes nothing.
        .filter(|word| module != "listen" || !word.text.starts_with("\"listen "))
        .map(|word| complain(source, word.line, "SQL belongs in store"))
        .collect()
}

/// What `create`, `alter` and `drop` are followed by.
const OBJECTS: &[&str] = &[
    "table",
    "index",
    "unique",
    "function",
    "trigger",
    "schema",
    "role",
    "type",
    "database",
    "extension",
    "policy",
    "or",
    "user",
    "publication",
    "view",
];

/// Whether a literal is a statement. By its first words, for sentences begin with the same verbs.
fn is_sql(literal: &str) -> bool {
    let Some((_, text)) = literal.split_once('"') else {
        return false;
    };
    let text = text.trim_end_matches(['"', '#']).to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    match words.as_slice() {
        ["select", ..] => has("from") || text.contains('('),
        ["update", ..] => has("set"),
        ["with", _, "as", rest, ..] => rest.starts_with('('),
        ["create" | "alter" | "drop", object, ..] => OBJECTS.contains(object),
        ["grant" | "revoke", ..] => has("on"),
        ["notify", rest @ ..] => rest.len() == 1 || text.contains('\''),
        words => matches!(
            words,
            ["insert", "into", ..]
                | ["delete", "from", ..]
                | ["set", "local" | "session", ..]
                | ["truncate" | "unlisten" | "listen", _]
                | ["begin" | "commit" | "rollback"]
        ),
    }
}
