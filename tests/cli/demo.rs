//! `punctual demo` as a newcomer runs it. Its own verdict is the judge of what arrived; here it
//! is held to what it promises about its end.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long the demo may take to be gone after it was asked to end.
const GONE_WITHIN: Duration = Duration::from_secs(20);

fn demo(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_punctual"))
        .arg("demo")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The lines up to and with the one that has `text`.
fn lines_until(child: &mut Child, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
        let line = line.unwrap();
        let found = line.contains(text);
        lines.push(line);
        if found {
            return lines;
        }
    }
    panic!("no {text:?} in {lines:?}");
}

/// The postmaster's pid and directory, from the port in the URL that the demo prints.
fn server(lines: &[String]) -> (Pid, PathBuf) {
    let url = lines
        .iter()
        .find_map(|l| l.split_once("the database:"))
        .unwrap();
    let port = url.1.rsplit_once(':').unwrap().1.split('/').next().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    for process in processes {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line
            .split(|b| *b == 0)
            .map(String::from_utf8_lossy)
            .collect();
        if words.windows(2).any(|w| w[0] == "-p" && w[1] == port) {
            let at = words.iter().position(|w| w == "-D").unwrap();
            let data = PathBuf::from(words[at + 1].as_ref());
            return (Pid::from_raw(pid).unwrap(), data);
        }
    }
    panic!("no server on port {port}");
}

fn wait_until_gone(pid: Pid, data: &Path) {
    let began = Instant::now();
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    while process.exists() || data.exists() {
        assert!(
            began.elapsed() < GONE_WITHIN,
            "{} or {} is left",
            process.display(),
            data.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_runs_to_a_good_end_by_itself() {
    let mut child = demo(&["--exit-after"]);
    let lines = lines_until(&mut child, "the database:");
    let (pid, data) = server(&lines);
    let rest = lines_until(&mut child, "none lost, doubled, early or wrongly sent");
    assert!(child.wait().unwrap().success(), "{rest:?}");
    let count = |what: &str| rest.iter().filter(|l| l.starts_with(what)).count();
    assert_eq!(count("three at the same time"), 3, "{rest:?}");
    assert_eq!(count("cancelled just before"), 1, "{rest:?}");
    assert_eq!(count("message of three texts"), 3, "{rest:?}");
    assert_eq!(count("webhook, verified"), 1, "{rest:?}");
    assert!(
        rest.iter()
            .any(|l| l.contains("16 texts and 1 webhook arrived")),
        "{rest:?}"
    );
    assert!(rest.iter().any(|l| l.contains("Code: 21211")), "{rest:?}");
    wait_until_gone(pid, &data);
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    for (signal, code) in [(Signal::INT, Some(0)), (Signal::KILL, None)] {
        let mut child = demo(&[]);
        let lines = lines_until(&mut child, "planned (UTC)");
        let (pid, data) = server(&lines);
        let own = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(own, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), code, "{signal:?}");
        wait_until_gone(pid, &data);
    }
}
