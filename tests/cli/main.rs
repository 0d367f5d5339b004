//! The built command: usage, exit codes and the manners of a program in a pipe.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod campaign;
mod database;
mod demo;
mod deploy;
mod doctor;
mod guides;
#[path = "../pg/harness.rs"]
#[allow(dead_code, reason = "shared with tests/pg, which uses all of it")]
mod harness;
mod notifications;
mod operator;
mod plan;
mod preferences;
mod resolve;
mod schedule;
mod shell;

use std::process::{Command, Output, Stdio};

fn punctual(args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
    command
        .current_dir(std::env::temp_dir())
        .env_clear()
        .envs(env.iter().copied())
        .args(args)
        .stdin(Stdio::null());
    command
}

/// Runs it; what it says on the wrong stream is as wrong as a wrong code.
fn check(args: &[&str], env: &[(&str, &str)], code: i32, says: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = punctual(args, env).output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    );
    assert_eq!(status.code(), Some(code), "{args:?}: {stdout}{stderr}");
    let (said, silent) = if code == 0 {
        (stdout, stderr)
    } else {
        (stderr, stdout)
    };
    assert!(said.contains(says), "{args:?}: no {says} in\n{said}");
    assert_eq!(silent, "", "{args:?}");
}

#[test]
fn help_and_version_are_answers() {
    check(&["--help"], &[], 0, "exact moment");
    check(&["help", "timers"], &[], 0, "punctual timers --limit 20");
    check(&["timers", "--help"], &[], 0, "Show the armed timers");
    check(&["--version"], &[], 0, punctual::version::WITH_COMMIT);
}

#[test]
fn wrong_usage_is_64() {
    check(&[], &[], 64, "Usage: punctual");
    check(&["timer"], &[], 64, "'timers'");
    check(&["timers", "--limit", "ten"], &[], 64, "--limit");
    check(&["timers", "--limit", "10001"], &[], 64, "10000");
    check(
        &["timers", "--url", "localhost:8080"],
        &[],
        64,
        "http://127.0.0.1:8080",
    );
}

#[test]
fn wrong_configuration_is_64_and_names_the_key() {
    let timers = &["timers"];
    check(
        timers,
        &[("PUNCTUAL_HTTP_ADDR", "nowhere")],
        64,
        "PUNCTUAL_HTTP_ADDR is not valid",
    );
    check(
        timers,
        &[("PUNCTUAL_HORZON", "1h")],
        64,
        "did you mean PUNCTUAL_HORIZON?",
    );
    check(
        &["timers", "--config", "no-such.toml"],
        &[],
        64,
        "no-such.toml",
    );
    check(
        &["--config", "no-such.toml", "timers"],
        &[],
        64,
        "no-such.toml",
    );
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = punctual(&["--help"], &[]).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = punctual(&["nonsense"], &[])
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(64));
}
