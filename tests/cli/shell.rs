//! Completions, pages of the manual, and the manners of a program in a pipe.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::{check, punctual};

#[test]
fn completions_are_scripts_that_the_shells_can_read() {
    check(&["completions", "bash"], &[], 0, "complete -F");
    check(&["completions", "zsh"], &[], 0, "#compdef punctual");
    check(&["completions", "fish"], &[], 0, "complete -c punctual");
    check(&["completions", "tcsh"], &[], 64, "bash");
    let script = punctual(&["completions", "bash"], &[]).output().unwrap();
    let read = Command::new("bash")
        .args(["-n", "-c", &String::from_utf8(script.stdout).unwrap()])
        .status()
        .unwrap();
    assert!(read.success());
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    check(&["man"], &[], 0, ".TH punctual 1");
    check(&["man", "schedule"], &[], 0, "See you at eight");
    check(&["man", "tea"], &[], 64, "no command");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("man1");
    check(&["man", "--out", out.to_str().unwrap()], &[], 0, "");
    for page in [
        "punctual",
        "punctual-schedule",
        "punctual-doctor",
        "punctual-run",
    ] {
        let page = out.join(format!("{page}.1"));
        assert!(page.exists(), "no {}", page.display());
    }
}

#[test]
fn a_reader_that_goes_early_is_no_error() {
    for args in [
        &["migrate", "--print"][..],
        &["completions", "bash"],
        &["man"],
    ] {
        let mut child = punctual(args, &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0];
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut first).unwrap();
        drop(out);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), "", "{args:?}");
    }
}
