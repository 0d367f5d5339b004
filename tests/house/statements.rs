//! How statements of the store are built: few steps (CTEs), and a diagram of them at the beginning.

use std::path::Path;

use regex_lite::Regex;

use crate::{sizes, source};

/// The most steps of a statement.
const STEPS_MAX: usize = 6;

/// The most lines of a statement as Postgres receives it, with its expressions.
const LINES_MAX: usize = sizes::STATEMENT_MAX;

/// From this number of steps on a statement begins with a diagram.
const DIAGRAM_FROM: usize = 3;

/// A statement that may have more, and why.
struct Exception {
    name: &'static str,
    steps: usize,
    lines: usize,
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        name: "path/sql/claim.sql",
        steps: 7,
        lines: 140,
        reason: "a claim is one round trip: what is won, what is cancelled, the quota and the ledger commit together",
    },
    Exception {
        name: "path/sql/claim_paced.sql",
        steps: 15,
        lines: 215,
        reason: "chooses the message before the steps of claim.sql, in the same round trip: what it has locked is claimed",
    },
];

/// A statement of the store as it is sent.
struct Statement {
    name: String,
    header: Vec<String>,
    steps: Vec<String>,
    lines: usize,
}

impl Statement {
    fn read(name: String, text: &str) -> Self {
        let header = text.lines().take_while(|line| line.starts_with("--"));
        let expanded = punctual::store::with_expressions(text);
        let code: Vec<&str> = expanded
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default().trim_end())
            .filter(|line| !line.is_empty())
            .collect();
        let lines = sizes::statements(&expanded).into_iter();
        Self {
            name,
            header: header.map(str::to_owned).collect(),
            steps: steps(&code.join("\n")),
            lines: lines.map(|(_, lines)| lines).max().unwrap_or(0),
        }
    }

    fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let exception = EXCEPTIONS.iter().find(|own| own.name == self.name);
        let (steps, lines) = exception.map_or((STEPS_MAX, LINES_MAX), |own| (own.steps, own.lines));
        let mut limit = |what: &str, is: usize, most: usize| {
            if is > most {
                broken.push(format!(
                    "{} has {is} {what}, the most are {most}: split it",
                    self.name
                ));
            }
        };
        limit("steps", self.steps.len(), steps);
        limit("lines", self.lines, lines);
        let diagram: Vec<&String> = self
            .header
            .iter()
            .filter(|line| line.contains('▶'))
            .collect();
        if diagram.is_empty() && self.steps.len() >= DIAGRAM_FROM {
            broken.push(format!(
                "{} has no diagram of its steps at the beginning",
                self.name
            ));
        }
        let unknown = names(&diagram)
            .into_iter()
            // The first may be the input.
            .skip(1)
            .filter(|name| !self.steps.contains(name));
        broken.extend(unknown.map(|name| format!("{}: its diagram names {name}", self.name)));
        broken
    }
}

/// The names of the CTEs in a statement without comments.
fn steps(code: &str) -> Vec<String> {
    let step =
        Regex::new(r"([a-z_]+)(?:\s*\([a-z_, ]*\))?\s+as\s+(?:(?:not\s+)?materialized\s*)?\($")
            .unwrap();
    let ends = Regex::new(r"(?:\bwith(?:\s+recursive)?|\),|^,|^\s*\)?,)\s*$").unwrap();
    code.lines()
        .filter_map(|line| {
            let found = step.captures(line)?;
            let before = &line[..found.get(0)?.start()];
            let begins = before.trim().is_empty() || ends.is_match(before);
            begins.then(|| found[1].to_owned())
        })
        .collect()
}

/// The words in the lines of a diagram, without remarks in parentheses.
fn names(diagram: &[&String]) -> Vec<String> {
    let remark = Regex::new(r"\([^)]*\)").unwrap();
    let word = Regex::new(r"[a-z_]+").unwrap();
    diagram
        .iter()
        .flat_map(|line| {
            let line = remark.replace_all(line, "");
            let words: Vec<String> = word
                .find_iter(&line)
                .map(|w| w.as_str().to_owned())
                .collect();
            words
        })
        .collect()
}

pub(crate) fn broken(root: &Path) -> Vec<String> {
    let store = root.join("src/store");
    let mut files = Vec::new();
    source::collect(&store, "sql", &mut files);
    assert!(files.len() > 100, "only {} statements found", files.len());
    let all: Vec<Statement> = files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&store).unwrap().display().to_string();
            Statement::read(name, &std::fs::read_to_string(path).unwrap())
        })
        .collect();
    let mut broken: Vec<String> = all.iter().flat_map(Statement::broken).collect();
    for own in EXCEPTIONS {
        let exceeds = |of: &&Statement| {
            of.name == own.name && (of.steps.len() > STEPS_MAX || of.lines > LINES_MAX)
        };
        if !all.iter().any(|of| exceeds(&of)) {
            broken.push(format!("{} needs no exception ({})", own.name, own.reason));
        }
    }
    broken
}

#[test]
fn statements_have_few_steps_and_a_diagram_of_them() {
    let broken = broken(crate::root());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    let check = |text: &str| Statement::read("path/sql/x.sql".into(), text).broken();
    let body = "with a as (\n  select 1\n), b as not materialized (\n  select 2\n)\n, c (x) as (\n  select 3\n)\nselect 4";
    assert!(check(&format!("-- a ─▶ b, c (why)\n{body}")).is_empty());
    assert!(check(&format!("-- input ─▶ b, c\n{body}")).is_empty());
    assert!(check(body)[0].contains("no diagram"));
    assert!(check(&format!("-- a ─▶ d\n{body}"))[0].contains("names d"));
    let many: Vec<String> = (0..7)
        .map(|n| {
            format!(
                "{} as (\n  select 1\n)",
                ["a", "b", "c", "d", "e", "f", "g"][n]
            )
        })
        .collect();
    let many = format!("-- a ─▶ b\nwith {}\nselect 1", many.join(", "));
    assert!(check(&many)[0].contains("7 steps"), "{:?}", check(&many));
    let long = format!("select 1\n{}", "  + 1\n".repeat(110));
    assert!(check(&long)[0].contains("111 lines"));
}
