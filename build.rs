//! Tells the program which commit it is built from, and on which day.
//!
//! Only in a release: in a debug build each commit would compile the whole program again.

use std::env;
use std::process::Command;

/// What decides whether the working tree is that of the commit.
const SOURCES: [&str; 6] = [
    "src",
    "data",
    "migrations",
    "triggers",
    "Cargo.toml",
    "Cargo.lock",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let (commit, day) = if is_release {
        (commit(), day())
    } else {
        (None, None)
    };
    let built = match (&commit, &day) {
        _ if !is_release => "debug build".into(),
        (Some(commit), Some(day)) => format!("{commit}, built {day}"),
        (Some(known), None) => known.clone(),
        (None, Some(day)) => format!("commit unknown, built {day}"),
        (None, None) => "commit unknown".into(),
    };
    println!(
        "cargo::rustc-env=BUILD_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
    println!(
        "cargo::rustc-env=BUILD_DAY={}",
        day.as_deref().unwrap_or("unknown")
    );
    println!("cargo::rustc-env=BUILD_WORDS={built}");
}

/// Given by who builds without a repository (a container image, a package), else asked of git.
fn commit() -> Option<String> {
    if let Some(given) = env::var("BUILD_COMMIT").ok().filter(|it| !it.is_empty()) {
        return Some(given);
    }
    // A package of cargo's has no repository of its own, and may lie in that of another project.
    if let Some(packed) = packed() {
        return Some(packed);
    }
    let top = output("git", &["rev-parse", "--show-toplevel"])?;
    let here = env::current_dir().ok()?.canonicalize().ok()?;
    if std::path::Path::new(&top).canonicalize().ok()? != here {
        return None;
    }
    // Written at each commit and checkout.
    let log = output("git", &["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let commit = output("git", &["rev-parse", "--short=10", "HEAD"])?;
    let mut changed = vec!["status", "--porcelain", "--"];
    changed.extend(SOURCES);
    let is_clean = output("git", &changed)?.is_empty();
    Some(if is_clean {
        commit
    } else {
        format!("{commit} with changes")
    })
}

/// The commit that a package of cargo's was made of, as cargo has written it.
fn packed() -> Option<String> {
    let written = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = written.split_once("\"sha1\": \"")?;
    let commit = rest.get(..10)?;
    Some(if written.contains("\"dirty\": true") {
        format!("{commit} with changes")
    } else {
        commit.to_owned()
    })
}

/// The day of the build in UTC. Builds that are to be equal byte for byte set `SOURCE_DATE_EPOCH`.
fn day() -> Option<String> {
    match env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => output("date", &["-u", "-d", &format!("@{seconds}"), "+%F"]),
        Err(_) => output("date", &["-u", "+%F"]),
    }
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
