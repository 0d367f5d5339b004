//! A source file as its words: comments, attributes and test code are gone, groups are flat.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

pub(crate) struct Source {
    /// Below `src/`.
    pub(crate) path: PathBuf,
    /// `message/ids.rs` is `[message, ids]`; the crate's root is `[]`.
    pub(crate) module: Vec<String>,
    pub(crate) words: Vec<Word>,
    /// Modules in other files that only tests have: `#[cfg(test)] mod tests;`.
    test_modules: Vec<String>,
}

pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) kind: Kind,
    pub(crate) line: usize,
    /// How many `mod { … }` of this file stand around it.
    pub(crate) inside: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ident,
    Punct,
    Literal,
}

/// A path as it is written, `use a::{b, c}` taken apart.
pub(crate) struct Named {
    pub(crate) parts: Vec<String>,
    pub(crate) line: usize,
    pub(crate) inside: usize,
}

impl Source {
    /// Every file below `src`, tests' own files left out.
    pub(crate) fn read_all(src: &Path) -> Vec<Self> {
        let mut files = Vec::new();
        collect(src, "rs", &mut files);
        let parse = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).unwrap();
            Self::parse(path.strip_prefix(src).unwrap(), &text)
        };
        let all: Vec<Self> = files.iter().map(parse).collect();
        let tests: Vec<Vec<String>> = all
            .iter()
            .flat_map(|s| {
                let child =
                    |name: &String| [s.module.as_slice(), std::slice::from_ref(name)].concat();
                s.test_modules.iter().map(child)
            })
            .collect();
        all.into_iter()
            .filter(|s| !tests.iter().any(|test| s.module.starts_with(test)))
            .collect()
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Self {
        let mut source = Self {
            path: path.to_owned(),
            module: module_of(path),
            words: Vec::new(),
            test_modules: Vec::new(),
        };
        let tokens = TokenStream::from_str(text)
            .unwrap_or_else(|e| panic!("{} is not Rust: {e}", path.display()));
        source.flatten(tokens, 0);
        source
    }

    fn flatten(&mut self, tokens: TokenStream, inside: usize) {
        let mut tokens = tokens.into_iter().peekable();
        // The two words before a group show whether it is a module's.
        let mut before = [String::new(), String::new()];
        while let Some(token) = tokens.next() {
            if is_punct(&token, '#') {
                if tokens.peek().is_some_and(|t| is_punct(t, '!')) {
                    tokens.next();
                }
                if let Some(TokenTree::Group(attribute)) = tokens.next()
                    && only_for_tests(&attribute.stream())
                {
                    self.skip_item(&mut tokens);
                }
                continue;
            }
            let line = token.span().start().line;
            let word = |text: String, kind| Word {
                text,
                kind,
                line,
                inside,
            };
            match token {
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    let module = open == "{" && before[0] == "mod";
                    self.words.push(word(open.into(), Kind::Punct));
                    self.flatten(group.stream(), inside + usize::from(module));
                    self.words.push(word(close.into(), Kind::Punct));
                    before = [String::new(), String::new()];
                }
                TokenTree::Ident(ident) => {
                    before = [std::mem::take(&mut before[1]), ident.to_string()];
                    self.words.push(word(ident.to_string(), Kind::Ident));
                }
                TokenTree::Punct(punct) => {
                    self.words.push(word(punct.as_char().into(), Kind::Punct));
                }
                TokenTree::Literal(literal) => {
                    self.words.push(word(literal.to_string(), Kind::Literal));
                }
            }
        }
    }

    /// Passes over what a `#[cfg(test)]` stands before: up to its braces or its semicolon.
    fn skip_item(&mut self, tokens: &mut impl Iterator<Item = TokenTree>) {
        let mut last_ident = String::new();
        for token in tokens {
            match token {
                TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => return,
                TokenTree::Ident(ident) => last_ident = ident.to_string(),
                TokenTree::Punct(p) if p.as_char() == ';' => {
                    self.test_modules.push(last_ident);
                    return;
                }
                _ => {}
            }
        }
    }

    pub(crate) fn paths(&self) -> Vec<Named> {
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.words.len() {
            if self.words[at].kind == Kind::Ident {
                at = self.path(at, &[], &mut paths);
            } else {
                at += 1;
            }
        }
        paths
    }

    /// Reads one path at `at` that continues `prefix`; answers where it ended.
    fn path(&self, mut at: usize, prefix: &[String], paths: &mut Vec<Named>) -> usize {
        let Word { line, inside, .. } = self.words[at];
        let mut parts = prefix.to_vec();
        loop {
            let word = &self.words[at];
            at += 1;
            if word.text == "{" {
                while self.text(at) != "}" {
                    let start = at;
                    at = self.path(at, &parts, paths);
                    while !matches!(self.text(at), "," | "}") {
                        at += 1;
                    }
                    at += usize::from(self.text(at) == ",");
                    assert!(at > start, "{}:{line}: endless", self.path.display());
                }
                return at + 1;
            }
            parts.push(word.text.clone());
            let goes_on = self.text(at) == ":" && self.text(at + 1) == ":";
            let next = self.words.get(at + 2);
            let into = next.is_some_and(|w| w.kind == Kind::Ident || w.text == "{");
            if !(goes_on && into) {
                paths.push(Named {
                    parts,
                    line,
                    inside,
                });
                return at;
            }
            at += 2;
        }
    }

    /// The text of a word; past the end, a brace, so that every search ends.
    fn text(&self, at: usize) -> &str {
        self.words.get(at).map_or("}", |word| &word.text)
    }
}

fn is_punct(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(p) if p.as_char() == c)
}

fn only_for_tests(attribute: &TokenStream) -> bool {
    let text = attribute.to_string().replace(' ', "");
    text.starts_with("cfg(")
        && !text.contains("not(")
        && text
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word == "test")
}

fn module_of(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let mut module: Vec<String> = path
        .components()
        .map(|c| c.as_os_str().to_str().unwrap().to_owned())
        .collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    if module == ["lib"] || module == ["main"] {
        module.clear();
    }
    module
}

/// Files below `dir` whose names end so.
pub(crate) fn collect(dir: &Path, ending: &str, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, ending, files);
        } else if path.extension().is_some_and(|e| e == ending) {
            files.push(path);
        }
    }
}
