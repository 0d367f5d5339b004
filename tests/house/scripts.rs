//! The scripts of the live page are modules that a browser can load. Node.js reads them; without it `SKIPPED` is
//! printed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::source;

pub(crate) fn broken(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    source::collect(&root.join("src/http/page"), "js", &mut files);
    assert!(!files.is_empty(), "the page has scripts");
    let broken = files.into_iter().filter_map(|file| {
        let why = syntax_error(&std::fs::read_to_string(&file).unwrap())?;
        Some(format!("{}: {why}", file.display()))
    });
    broken.collect()
}

/// What Node.js says of a module that it cannot read.
pub(crate) fn syntax_error(module: &str) -> Option<String> {
    let mut node = Command::new("node")
        .args(["--input-type=module", "--check", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = node.stdin.take().unwrap();
    input.write_all(module.as_bytes()).unwrap();
    drop(input);
    let read = node.wait_with_output().unwrap();
    (!read.status.success()).then(|| String::from_utf8_lossy(&read.stderr).into_owned())
}

pub(crate) fn has_node() -> bool {
    let version = Command::new("node").arg("--version").output();
    version.is_ok_and(|version| version.status.success())
}
